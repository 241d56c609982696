//! `@actions/cache`, unchanged.

use serde_json::{Value as Json, json};

use crate::attacks::{CACHES, ask, call, target};
use crate::world::{Facts, Job, World};

async fn save(job: &Job, key: &str, content: &str) -> Result<Json, String> {
    job.write("deps/x", content.as_bytes());
    job.drive("cache-save", json!({ "paths": ["deps"], "key": key })).await
}

/// The key that was found, and what came.
async fn restore(job: &Job, key: &str, more: &[&str]) -> (Json, Option<String>) {
    let folder = job.workspace.join("deps");
    let _none = std::fs::remove_dir_all(&folder);
    let wanted = json!({ "paths": ["deps"], "key": key, "restoreKeys": more });
    let found = job.drive("cache-restore", wanted).await.unwrap();
    (found, std::fs::read_to_string(folder.join("x")).ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_saved_once_and_found_as_on_github() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    assert_eq!(restore(&job, "k-1", &["k-"]).await, (json!(null), None));
    assert!(save(&job, "k-1", "one").await.unwrap().as_i64().unwrap() > 0);
    // What is there is not changed.
    assert_eq!(save(&job, "k-1", "two").await.unwrap(), json!(-1));
    assert_eq!(restore(&job, "k-1", &[]).await, (json!("k-1"), Some("one".into())));
    save(&job, "k-2", "newer").await.unwrap();
    assert_eq!(restore(&job, "k-9", &["z", "k-"]).await, (json!("k-2"), Some("newer".into())));
}

/// Releases 3 of the package speak the first form only; later ones where the second is not offered. What they send is a stream, which does
/// not say its length in its head.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_speak_the_first_form_save_and_restore() {
    let world = World::new();
    let mut job = world.job(Facts::default()).await;
    job.served.actions.shift_remove("ACTIONS_CACHE_SERVICE_V2").unwrap();
    assert_eq!(restore(&job, "k-1", &["k-"]).await, (json!(null), None));
    assert!(save(&job, "k-1", "one").await.unwrap().as_i64().unwrap() > 0);
    assert_eq!(save(&job, "k-1", "two").await.unwrap(), json!(-1));
    assert_eq!(restore(&job, "k-2", &["k-"]).await, (json!("k-1"), Some("one".into())));
}

/// What `sccache` does, by way of `opendal`.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_speak_protobuf_save_and_restore() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/protobuf\r\n", job.token());
    let say = async |method: &str, body: &[u8]| ask(&job, "POST", &format!("{CACHES}{method}"), &headers, body).await;
    let entry = b"\x12\x01k\x1a\x01v";
    let (status, head, body) = say("CreateCacheEntry", entry).await;
    assert!(status == 200 && head.contains("application/protobuf"), "{status} {head}");
    // `ok`, and then the address.
    assert!(body.starts_with("\u{8}\u{1}\u{12}"), "{body}");
    assert_eq!(ask(&job, "PUT", &target(&json!(body)), "x-ms-blob-type: BlockBlob\r\n", b"of it").await.0, 201);
    let (status, _, body) = say("FinalizeCacheEntryUpload", b"\x12\x01k\x18\x05\x22\x01v").await;
    assert_eq!((status, body.as_str()), (200, "\u{8}\u{1}\u{10}\u{1}"));
    assert!(say("CreateCacheEntry", entry).await.2.contains("never changed"));
    let (status, _, body) = say("GetCacheEntryDownloadURL", b"\x12\x01k\x22\x01v").await;
    let (address, key) = body.rsplit_once("\u{1a}\u{1}").unwrap();
    assert_eq!((status, key), (200, "k"));
    assert_eq!(ask(&job, "GET", &target(&json!(address)), "", b"").await.2, "of it");
    // A miss is not ok, and an error is JSON.
    let (status, _, body) = say("GetCacheEntryDownloadURL", b"\x12\x01l\x22\x01v").await;
    assert_eq!((status, body.as_str()), (200, ""));
    let (status, _, body) = say("GetCacheEntryDownloadURL", b"{}").await;
    assert!(status == 400 && serde_json::from_str::<Json>(&body).is_ok(), "{status} {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_saves_a_key_once_at_a_time() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    let create = async |version: &str| {
        let request = json!({ "key": "k", "version": version });
        call(&job, job.token(), &format!("{CACHES}CreateCacheEntry"), &request).await.1
    };
    let first = create("v").await;
    assert_eq!(first["ok"], json!(true));
    let second = create("v").await;
    assert_eq!(second["ok"], json!(false));
    assert!(second["message"].as_str().unwrap().contains("already"), "{second}");
    assert_eq!(create("another").await["ok"], json!(true));
    assert_eq!(ask(&job, "PUT", &target(&first["signed_upload_url"]), "", b"of it").await.0, 201);
    let request = json!({ "key": "k", "version": "v", "size_bytes": "5" });
    let (status, done) = call(&job, job.token(), &format!("{CACHES}FinalizeCacheEntryUpload"), &request).await;
    assert_eq!((status, &done["ok"]), (200, &json!(true)), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_damaged_is_a_miss_and_goes() {
    let world = World::new();
    let job = world.job(Facts::default()).await;
    save(&job, "k", "whole").await.unwrap();
    let blob = walk(&world.root.path().join("kept/blobs")).into_iter().find(|path| path.ends_with(".plain")).unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    assert_eq!(restore(&job, "k", &[]).await.1, None);
    assert_eq!(restore(&job, "k", &[]).await, (json!(null), None));
    assert!(save(&job, "k", "again").await.unwrap().as_i64().unwrap() > 0);
    assert_eq!(restore(&job, "k", &[]).await, (json!("k"), Some("again".into())));
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(walk(&entry)) } else { found.push(entry.display().to_string()) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn f08_what_a_pull_request_of_a_fork_saves_main_does_not_find() {
    let world = World::new();
    let fork = Facts {
        run: 2,
        event: "pull_request",
        git_ref: "refs/pull/1/merge",
        base_ref: "main",
        trusted: false,
        fork: true,
        ..Facts::default()
    };
    let fork = world.job(fork).await;
    save(&fork, "k", "poison").await.unwrap();
    let main = world.job(Facts::default()).await;
    assert_eq!(restore(&main, "k", &["k"]).await, (json!(null), None));
    save(&main, "k", "clean").await.unwrap();
    // It finds its own first, and of others what is of the branch that it is for.
    assert_eq!(restore(&fork, "k", &[]).await.1, Some("poison".into()));
    save(&main, "only-main", "clean").await.unwrap();
    assert_eq!(restore(&fork, "only-main", &[]).await.1, Some("clean".into()));
    // One that runs with the rights of the target may not write at all.
    let target = Facts { run: 3, event: "pull_request_target", fork: true, trusted: false, ..Facts::default() };
    let target = world.job(target).await;
    assert_eq!(save(&target, "t", "poison").await.unwrap(), json!(-1));
    // Neither branches nor repositories see each other's.
    let topic = world.job(Facts { run: 4, git_ref: "refs/heads/topic", ..Facts::default() }).await;
    save(&topic, "topic", "x").await.unwrap();
    assert_eq!(restore(&main, "topic", &[]).await.0, json!(null));
    let stranger = world.job(Facts { run: 5, repository: "o/other", ..Facts::default() }).await;
    assert_eq!(restore(&stranger, "k", &["k"]).await.0, json!(null));
}
