//! Artifacts: what an attempt has, as a list and as archives.

use std::io::Write as _;

use engine::kept::{Artifact, Form, Kept, KeptRules, now};
use engine::store::tokens::Scope;

use crate::world::World;

pub(crate) fn keep(world: &World, run: u64, name: &str, content: &[u8]) -> Artifact {
    let kept = Kept::new(&world.folders.state, KeptRules::default());
    let mut writer = kept.blobs.writer(3).unwrap();
    writer.write_all(content).unwrap();
    let (digest, bytes, stored) = writer.finish().unwrap();
    let artifact = Artifact {
        id: 0,
        repository: "github octo/shop".into(),
        run,
        attempt: 1,
        job: "build".into(),
        name: name.into(),
        digest,
        bytes,
        stored,
        files: 1,
        created: now(),
        expires: now() + 1_000,
        sha: String::new(),
        event: "push".into(),
        form: Form::Tar,
        zipped: None,
    };
    kept.add_artifact(artifact, false, false).unwrap()
}

#[tokio::test]
async fn artifacts_are_listed_and_given_out() {
    let world = World::new().await;
    let run = world.finished().await;
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let made = keep(&world, run.0, "a b/\u{fc}", &content);
    keep(&world, 4711, "other", b"x");
    let listed = world.get("/runs/1/artifacts").await.json();
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 1);
    let one = &listed["artifacts"][0];
    assert_eq!((one["name"].as_str(), one["bytes"].as_u64()), (Some("a b/\u{fc}"), Some(400_000)));
    assert_eq!(one["digest"], format!("sha256:{}", made.digest.hex()));
    let got = world.get("/runs/1/artifacts/a%20b%2F%C3%BC").await;
    assert!(got.status == 200 && got.body == content, "{}", got.status);
    assert_eq!((got.header("content-length"), got.header("content-type")), ("400000", "application/x-tar"));
    assert_eq!(got.header("content-disposition"), "attachment; filename=\"a_b__.tar\"");
    let blind = world.token("blind", &[Scope::RunsRead], &["octo/other"]).await;
    for path in ["/runs/1/artifacts/none", "/runs/2/artifacts", "/runs/x/artifacts", "/runs/2/artifacts/other"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    for path in ["/runs/1/artifacts", "/runs/1/artifacts/a%20b%2F%C3%BC"] {
        assert_eq!(world.get_as(&blind, path).await.status, 404, "{path}");
        assert_eq!(world.get_as("", path).await.status, 401, "{path}");
    }
}
