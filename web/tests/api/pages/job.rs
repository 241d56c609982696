//! The page of a job and its log: parts, search, hostile lines, and the stream.

use std::io::Write as _;

use axum::http::StatusCode;
use engine::job::log_path;
use engine::store::RunId;
use workflow::run::{JobRunKey, StepIndex};

use crate::pages::hostile::{TEXTS, check_harmless};
use crate::world::{World, course};

#[tokio::test]
async fn steps_that_failed_are_open_and_others_closed() {
    let world = World::new().await;
    let run = world.finished().await;
    world.log(run, "build", Some(1), "fine\n##[group]Details\nx\n##[endgroup]\n##[error]it broke\n");
    let page = world.browse(&format!("/runs/{run}/jobs/build")).await;
    let text = page.text();
    assert_eq!(page.status, StatusCode::OK, "{text}");
    assert!(text.contains("id=\"s0\" data-lines=\"3\" data-errors=\"\">"), "{text}");
    assert!(text.contains("id=\"s1\" data-lines=\"5\" data-errors=\"5\" open>"), "{text}");
    assert!(text.contains("<div id=s1-L5 class=e><a href=#s1-L5 tabindex=-1>5</a>Error: it broke</div>"), "{text}");
    assert!(text.contains("<details class=group><summary>"), "{text}");
    let same = world.browse(&format!("/runs/{run}/jobs/{run}%3Abuild")).await;
    assert_eq!(same.status, StatusCode::OK);
    for other in ["none", "build%00", "..%2F..", "9:build", "%3Cscript%3E"] {
        let page = world.browse(&format!("/runs/{run}/jobs/{other}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{other}");
        check_harmless(page.text(), other);
    }
}

#[tokio::test]
async fn what_a_log_holds_stays_text() {
    let world = World::new().await;
    let run = world.finished().await;
    let log: String =
        TEXTS.iter().flat_map(|text| [format!("{text}\n"), format!("##[group]{text}\n##[error]{text}\n")]).collect();
    world.log(run, "build", Some(1), &log);
    let lines = world.browse(&format!("/runs/{run}/jobs/build/lines?step=s1")).await;
    assert_eq!(lines.status, StatusCode::OK, "{}", lines.text());
    assert_eq!(lines.text().matches("<div id=s1-L").count(), 3 * TEXTS.len());
    check_harmless(lines.text(), "lines");
    check_harmless(world.browse(&format!("/runs/{run}/jobs/build")).await.text(), "page");
    for text in TEXTS {
        let q: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let page = world.browse(&format!("/runs/{run}/jobs/build?q={q}")).await;
        assert_eq!(page.status, StatusCode::OK, "{text:?}");
        check_harmless(page.text(), text);
    }
}

#[tokio::test]
async fn a_search_counts_what_is_not_in_the_page_too() {
    let world = World::new().await;
    let run = world.finished().await;
    let log: String =
        (1..=120_000).map(|n| if n % 1_000 == 0 { format!("needle {n}\n") } else { "hay\n".into() }).collect();
    world.log(run, "build", Some(0), &log);
    let found = world.browse(&format!("/runs/{run}/jobs/build/search?q=NEEDLE")).await.json();
    assert_eq!((found["total"].as_u64(), &found["hits"][0]), (Some(120), &serde_json::json!(["s0", 1_000])));
    let page = world.browse(&format!("/runs/{run}/jobs/build?q=needle&n=60")).await;
    let text = page.text();
    assert!(text.contains("60 of 120"), "counts");
    assert!(text.contains("id=s0-L60000>"), "the line that is looked at stands in the page");
    assert!(text.contains("n=61#s0-L61000") && text.contains("n=59#s0-L59000"), "links to those beside it");
    assert!(!text.contains("id=s0-L100000>"), "what is far away does not");
    let whole = world.browse(&format!("/runs/{run}/jobs/build/lines?step=s0")).await;
    assert_eq!(whole.text().matches("<div id=").count(), 4_000);
    assert!(whole.text().contains("data-from=1001 data-to=117000"), "{}", &whole.text()[..200]);
    let part = world.browse(&format!("/runs/{run}/jobs/build/lines?step=s0&from=50000&to=50009")).await;
    assert_eq!(part.text().matches("<div id=").count(), 10);
    let empty = world.browse(&format!("/runs/{run}/jobs/build/search?q=")).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
}

/// Writes a log of many equal pieces.
fn large(world: &World, run: RunId, piece: &str, count: usize) {
    world.log(run, "build", Some(1), "");
    let path = log_path(&world.folders.logs(run), &JobRunKey::parse("build"), Some(StepIndex(1)));
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    (0..count).for_each(|_| file.write_all(piece.as_bytes()).unwrap());
    file.flush().unwrap();
}

#[tokio::test]
async fn u13_no_log_makes_a_page_that_hurts() {
    let world = World::new().await;
    let run = world.finished().await;
    let a_line_without_an_end = ("x".repeat(1 << 20), 500);
    let ten_million_lines = ("a\n".repeat(1_000), 10_000);
    let groups_in_groups = ("::group::g\n##[group]g\n".repeat(100), 1_000);
    for (piece, count) in [a_line_without_an_end, ten_million_lines, groups_in_groups] {
        large(&world, run, &piece, count);
        for address in ["", "/lines?step=s1", "?q=nothing", "/search?q=nothing"] {
            let page = world.browse(&format!("/runs/{run}/jobs/build{address}")).await;
            assert_eq!(page.status, StatusCode::OK, "{address}");
            assert!(page.body.len() < 8 << 20, "{address} of {:?}… has {} bytes", &piece[..3], page.body.len());
            assert!(!address.is_empty() || page.text().contains("lines are not shown"), "of {:?}…", &piece[..3]);
        }
    }
}

#[tokio::test]
async fn a_log_is_followed_from_where_the_page_ended() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    let events = course();
    world.facts(run, 1, &events[..5]).await;
    world.log(run, "build", None, "pulling\n");
    world.log(run, "build", Some(0), "one\ntwo\n");
    let page = world.browse(&format!("/runs/{run}/jobs/build")).await;
    let text = page.text().replace("&#x2f;", "/").replace("&#x3d;", "=");
    let place = text.split("/live?after=").nth(1).and_then(|rest| rest.split('"').next());
    assert_eq!(place, Some("s=1.s0=2"), "{text}");
    world.log(run, "build", Some(0), "one\ntwo\nthree\n");
    world.facts(run, 6, &events[5..]).await;
    world.log(run, "build", Some(1), "four");
    let stream = world.browse(&format!("/runs/{run}/jobs/build/live?after=s=1.s0=2")).await;
    let text = stream.text();
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert!(text.starts_with("retry: 1000\n\n"), "{text}");
    assert!(text.contains("three") && text.contains("four") && !text.contains("two<"), "{text}");
    assert!(text.contains("id: s=1.s0=3.s1=1\n"), "{text}");
    assert!(text.trim_end().ends_with("event: end\ndata: end"), "{text}");
    let again = world
        .get_of(&world.admin, &format!("/runs/{run}/jobs/build/live"), &[("last-event-id", "s=1.s0=3.s1=1")])
        .await;
    assert!(!again.text().contains("event: lines"), "{}", again.text());
    let foreign = [("sec-fetch-site", "cross-site")];
    let refused = world.get_of(&world.admin, &format!("/runs/{run}/jobs/build/live"), &foreign).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn streams_lead_nobody_to_another_page() {
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    for path in [format!("/runs/{run}/live"), format!("/runs/{run}/jobs/build/live"), "/live".to_owned()] {
        for accept in ["text/html, text/event-stream", "text/event-stream"] {
            let refused = world.get_of("", &path, &[("accept", accept)]).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path} {accept}");
        }
        let page = world.get_of("", &path, &[("accept", "text/html")]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
    }
}
