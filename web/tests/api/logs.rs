//! Logs in parts and as downloads.

use axum::body::Body;

use crate::world::{World, request};

const WHOLE: &str = "pulling\nplaced\none\ntwo\n\u{fc}ber\nno line feed";

#[tokio::test]
async fn a_log_is_read_in_parts() {
    let world = World::new().await;
    world.finished().await;
    for (query, expected) in [
        ("", WHOLE),
        ("?step=0", "one\ntwo\n\u{fc}ber\n"),
        ("?step=setup", "pulling\nplaced\n"),
        ("?step=1&from=3", "line feed"),
        ("?step=1&from=3&to=7", "line"),
        ("?step=1&from=300", ""),
        ("?step=1&from=5&to=2", ""),
        ("?from=11&to=20", "ced\none\nt"),
    ] {
        let answer = world.get(&format!("/jobs/1:build/log{query}")).await;
        assert_eq!(answer.text(), expected, "{query}");
        assert_eq!(answer.header("pipe-log-complete"), "true");
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
    let answer = world.get("/jobs/1:build/log?step=1&from=3&to=7").await;
    assert_eq!(["pipe-log-from", "pipe-log-to", "pipe-log-size"].map(|name| answer.header(name)), ["3", "7", "12"]);
    for path in [
        "/jobs/1:other/log",
        "/jobs/2:build/log",
        "/jobs/build/log",
        "/jobs/1:build/log?step=7",
        "/jobs/1:..%2f..%2f..%2fetc/log",
        "/jobs/1:..%2fbuild/log",
        "/jobs/1:%00/log",
        "/jobs/1:build/log/raw?step=9",
    ] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    assert_eq!(world.get("/jobs/1:build/log?step=x").await.status, 400);
}

#[tokio::test]
async fn a_log_is_downloaded_whole_or_in_ranges() {
    let world = World::new().await;
    let run = world.finished().await;
    let answer = world.get("/jobs/1:build/log/raw").await;
    assert_eq!((answer.text(), answer.header("accept-ranges")), (WHOLE, "bytes"));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"1_build.log\"");
    assert_eq!(answer.header("content-length"), WHOLE.len().to_string());
    let range = async |range: &str| {
        let request = request("GET", "/jobs/1:build/log/raw", &world.admin).header("range", range);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let part = range("bytes=11-19").await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "ced\none\nt"));
    assert_eq!(part.header("content-range"), format!("bytes 11-19/{}", WHOLE.len()));
    assert_eq!(range("bytes=-4").await.text(), "feed");
    let none = range("bytes=900-").await;
    assert_eq!(
        (none.status.as_u16(), none.header("content-range")),
        (416, format!("bytes */{}", WHOLE.len()).as_str())
    );
    let long = "0123456789abcde\n".repeat(20_000);
    world.log(run, "build", Some(1), &long);
    assert_eq!(world.get("/jobs/1:build/log/raw?step=1").await.text(), long);
}
