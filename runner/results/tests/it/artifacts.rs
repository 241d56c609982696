//! `@actions/artifact`, unchanged.

use std::io::Read as _;

use engine::kept::{Kept, KeptRules};
use serde_json::{Value as Json, json};
use workflow::model::{PermissionLevel, Permissions};

use crate::attacks::{ARTIFACTS, ask, call, create, target};
use crate::world::{Facts, World};

/// What compresses badly, so that there are many blocks.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_goes_up_and_comes_down_in_another_job() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let large = noise(20_000_000);
    let files = [job.write("out/a.txt", b"hello"), job.write("out/deep/b.bin", &large)];
    let root = job.workspace.join("out");
    let upload = json!({ "name": "my art", "files": files, "root": root, "options": { "retentionDays": 3 } });
    let up = job.drive("artifact-upload", upload.clone()).await.unwrap();
    assert!(up["size"].as_u64().unwrap() > 20_000_000 && up["id"].as_u64().unwrap() > 0, "{up}");
    // Of the same name there is one.
    let error = job.drive("artifact-upload", upload).await.unwrap_err();
    assert!(error.contains("(409)") && error.contains("already exists"), "{error}");
    let other = world.job(Facts { job: "test", ..Facts::default() }).await;
    let to = other.workspace.join("got");
    let down = other.drive("artifact-download", json!({ "name": "my art", "path": to })).await.unwrap();
    assert_eq!(down["digestMismatch"], json!(false), "{down}");
    assert_eq!(std::fs::read(to.join("deep/b.bin")).unwrap(), large);
    assert_eq!(std::fs::read(to.join("a.txt")).unwrap(), b"hello");
    // Our own action sees it, as files.
    let kept = world.kept.artifacts(1, 1).unwrap();
    let [artifact] = &kept[..] else { panic!("{kept:?}") };
    let days = (artifact.expires - engine::kept::now()).div_ceil(24 * 60 * 60);
    assert_eq!((artifact.files, days), (2, 3));
    let mut tar = world.kept.tar_of(artifact).unwrap();
    let mut bytes = Vec::new();
    tar.archive.read_to_end(&mut bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(engine::kept::unpack(&bytes[..], folder.path()).unwrap(), 2);
    assert_eq!(std::fs::read(folder.path().join("deep/b.bin")).unwrap(), large);
    // Another run has none of it.
    let stranger = world.job(Facts { run: 2, ..Facts::default() }).await;
    let none = stranger.drive("artifact-list", json!({})).await.unwrap();
    assert_eq!(none["artifacts"], json!([]));
    // Deleting and overwriting are the client's own three calls.
    other.drive("artifact-delete", json!({ "name": "my art" })).await.unwrap();
    assert_eq!(job.drive("artifact-list", json!({})).await.unwrap()["artifacts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_action_uploads_a_client_downloads() {
    use std::io::Write as _;
    let world = World::new();
    let mut tar = tar_of(&[("dir/x", b"native"), ("y", &noise(100_000))]);
    let mut writer = world.kept.blobs.writer(3).unwrap();
    writer.write_all(&std::mem::take(&mut tar)).unwrap();
    let (digest, bytes, stored) = writer.finish().unwrap();
    let artifact = engine::kept::Artifact {
        id: 0,
        repository: "o/r".into(),
        run: 1,
        attempt: 1,
        job: "build".into(),
        name: "native".into(),
        digest,
        bytes,
        stored,
        files: 2,
        created: engine::kept::now(),
        expires: engine::kept::now() + 1000,
        sha: String::new(),
        event: "push".into(),
        form: engine::kept::Form::Tar,
        zipped: None,
    };
    world.kept.add_artifact(artifact, false, false).unwrap();
    let job = world.job(Facts::default()).await;
    let to = job.workspace.join("got");
    let down = job.drive("artifact-download", json!({ "name": "native", "path": to })).await.unwrap();
    assert_eq!(down["digestMismatch"], json!(false), "{down}");
    assert_eq!(std::fs::read(to.join("dir/x")).unwrap(), b"native");
    assert_eq!(std::fs::read(to.join("y")).unwrap(), noise(100_000));
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_goes_as_it_is() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let file = job.write("page.html", b"<script>alert(1)</script>");
    let upload =
        json!({ "name": "page.html", "files": [file], "root": job.workspace, "options": { "skipArchive": true } });
    job.drive("artifact-upload", upload).await.unwrap();
    let to = job.workspace.join("got");
    let listed = job.drive("artifact-list", json!({})).await.unwrap();
    let name = listed["artifacts"][0]["name"].clone();
    job.drive("artifact-download", json!({ "name": name, "path": to })).await.unwrap();
    let found: Vec<_> = std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(found, [name.as_str().unwrap()]);
    assert_eq!(std::fs::read(to.join("page.html")).unwrap(), b"<script>alert(1)</script>");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_taken_up_goes_on_with_its_uploads() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let (port, token, record) = (job.port, job.token().to_owned(), job.served.record.clone());
    let file = job.write("a", b"one");
    let upload = json!({ "name": "a", "files": [file], "root": job.workspace });
    job.drive("artifact-upload", upload).await.unwrap();
    // The process ends without a word; the next one listens behind the same port.
    drop(job);
    let again = world.job(Facts { record: Some(record), port, ..Facts::default() }).await;
    assert_eq!(again.token(), token);
    let to = again.workspace.join("got");
    again.drive("artifact-download", json!({ "name": "a", "path": to })).await.unwrap();
    assert_eq!(std::fs::read(to.join("a")).unwrap(), b"one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_attempt_overwrites_what_an_earlier_one_left() {
    let world = World::new();
    for (attempt, content) in [(1, "one"), (2, "two")] {
        let job = world.job(Facts { attempt, ..Facts::default() }).await;
        let file = job.write("a", content.as_bytes());
        if attempt == 2 {
            // What `overwrite: true` of the action does.
            job.drive("artifact-delete", json!({ "name": "a" })).await.unwrap();
        }
        let upload = json!({ "name": "a", "files": [file], "root": job.workspace });
        job.drive("artifact-upload", upload).await.unwrap();
        let to = job.workspace.join("got");
        job.drive("artifact-download", json!({ "name": "a", "path": to })).await.unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), content);
    }
    assert_eq!(world.kept.artifacts_of("o/r").unwrap().len(), 1);
}

/// What runs do that follow others (`workflow_run`), with the token of their job.
#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_other_runs_are_found_by_the_api_as_far_as_permissions_go() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    for name in ["a", "b"] {
        let file = job.write("file", name.as_bytes());
        job.drive("artifact-upload", json!({ "name": name, "files": [file], "root": job.workspace })).await.unwrap();
    }
    let find = |repository: &str| {
        let whose = json!({
            "token": "ghs_of_the_job", "workflowRunId": 1, "repositoryOwner": "o", "repositoryName": repository,
        });
        json!({ "findBy": whose })
    };
    let given = |run: u64, repository: &'static str, level: PermissionLevel| {
        let scopes = [("actions".to_owned(), level)].into_iter().collect();
        Facts { run, repository, permissions: Some(Permissions::Scopes(scopes)), ..Facts::default() }
    };
    let names = |listed: &Json| -> Vec<String> {
        let all = listed["artifacts"].as_array().unwrap().iter();
        all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let reads = world.job(given(2, "o/r", PermissionLevel::Read)).await;
    let listed = reads.drive("artifact-list", json!({ "options": find("r") })).await.unwrap();
    assert_eq!(names(&listed), ["b", "a"]);
    let to = reads.workspace.join("got");
    let wanted = json!({ "name": "a", "path": to, "options": find("r") });
    let down = reads.drive("artifact-download", wanted).await.unwrap();
    assert_eq!(down["digestMismatch"], json!(false), "{down}");
    assert_eq!(std::fs::read_to_string(to.join("file")).unwrap(), "a");
    let route = "GET /repos/{owner}/{repo}/actions/artifacts";
    let page = json!({ "owner": "o", "repo": "r", "per_page": 1, "page": 2 });
    let asked = json!({ "token": "ghs_of_the_job", "route": route, "parameters": page });
    let page = reads.drive("github", asked).await.unwrap()["data"].clone();
    assert_eq!((&page["total_count"], names(&page)), (&json!(2), vec!["a".to_owned()]));
    assert_eq!(page["artifacts"][0]["workflow_run"]["id"], json!(1));

    let delete = json!({ "name": "a", "options": find("r") });
    let error = reads.drive("artifact-delete", delete.clone()).await.unwrap_err();
    assert!(error.contains("permissions: { actions: write }"), "{error}");
    let none = world.job(Facts { run: 3, ..Facts::default() }).await;
    let error = none.drive("artifact-list", json!({ "options": find("r") })).await.unwrap_err();
    assert!(error.contains("permissions: { actions: read }"), "{error}");
    let stranger = world.job(given(4, "o/other", PermissionLevel::Write)).await;
    let listed = stranger.drive("artifact-list", json!({ "options": find("other") })).await.unwrap();
    assert_eq!(names(&listed), [""; 0]);
    for id in 1..3 {
        let bearer = "Authorization: Bearer ghs_of_the_job\r\n";
        let path = format!("/api/v3/repos/o/other/actions/artifacts/{id}");
        assert_eq!(ask(&stranger, "GET", &path, bearer, b"").await.0, 404);
        assert_eq!(ask(&stranger, "DELETE", &path, bearer, b"").await.0, 404);
    }
    let writes = world.job(given(5, "o/r", PermissionLevel::Write)).await;
    writes.drive("artifact-delete", delete).await.unwrap();
    assert_eq!(names(&job.drive("artifact-list", json!({})).await.unwrap()), ["b"]);
}

/// Runs of a laptop do not wait for the disk, so after a power cut a blob may be short, empty or gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_power_cut_took_is_not_given_as_if_it_were_whole() {
    let mut world = World::new();
    world.kept = Kept::of_local_runs(world.root.path(), KeptRules::default());
    let job = world.job(Facts::default()).await;
    for (name, left) in [("none", None), ("empty", Some(0)), ("half", Some(4))] {
        let (method, request) = (|method| format!("{ARTIFACTS}{method}"), create(job.token(), name));
        let (_, created) = call(&job, job.token(), &method("CreateArtifact"), &request).await;
        let put = ask(&job, "PUT", &target(&created["signed_upload_url"]), "", b"PK of it").await;
        assert_eq!(put.0, 201);
        assert_eq!(call(&job, job.token(), &method("FinalizeArtifact"), &request).await.0, 200);
        let (_, signed) = call(&job, job.token(), &method("GetSignedArtifactURL"), &request).await;
        let address = target(&signed["signed_url"]);
        assert_eq!(ask(&job, "GET", &address, "", b"").await.2, "PK of it");
        let blob = world.root.path().join("kept/blobs");
        let kept = world.kept.artifacts(1, 1).unwrap().into_iter().find(|artifact| artifact.name == name).unwrap();
        let (start, rest) = kept.digest.hex().split_at(2);
        let blob = blob.join(start).join(format!("{rest}.plain"));
        match left {
            None => std::fs::remove_file(&blob).unwrap(),
            Some(bytes) => std::fs::File::options().write(true).open(&blob).unwrap().set_len(bytes).unwrap(),
        }
        // Either it is not there, or the answer has less than its head says.
        let (status, head, body) = ask(&job, "GET", &address, "", b"").await;
        let whole = head.to_lowercase().contains(&format!("content-length: {}", body.len()));
        assert!(status == 404 || !whole, "{name}: {status} {head} {body}");
    }
}
