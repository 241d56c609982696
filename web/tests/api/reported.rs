//! Results of tests and coverage, of a run and over runs.

use engine::reports::{Case, FileCoverage, Outcome, Rate};
use engine::store::RunId;
use engine::store::reports::Origin;
use engine::store::tokens::Scope;
use jiff::Timestamp;
use serde_json::json;

use crate::world::World;

fn origin(run: RunId, name: &str) -> Origin {
    Origin {
        run,
        job: "build".into(),
        step: 3,
        name: name.into(),
        repository: "octo/shop".into(),
        sha: "1".repeat(40),
        git_ref: "refs/heads/main".into(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn case(name: &str, outcome: Outcome) -> Case {
    Case {
        suite: "s".into(),
        class: "C".into(),
        name: name.into(),
        file: None,
        line: None,
        time_us: Some(1),
        outcome,
        message: None,
        details: None,
        retries: 0,
    }
}

#[tokio::test]
async fn reports_are_shown_by_run_and_by_test() {
    let world = World::new().await;
    let run = world.finished().await;
    let reports = world.store.reports();
    let cases = vec![case("a", Outcome::Passed), case("b", Outcome::Failed), case("c", Outcome::Flaky)];
    reports.keep_tests(origin(run, "Tests"), cases, 1, 0).await.unwrap();
    let files =
        vec![FileCoverage { path: "a.rs".into(), lines: Rate { covered: 1, total: 4 }, branches: Rate::default() }];
    let kept = reports.keep_coverage(origin(run, "Coverage"), files, "main").await.unwrap();
    let tests = world.get("/runs/1/tests?limit=2").await.json();
    assert_eq!(
        (&tests["totals"]["failed"], &tests["failed"], &tests["next"]),
        (&json!(1), &json!(["C › b"]), &json!(2))
    );
    assert_eq!((&tests["cases"][0]["name"], &tests["reports"][0]["passed"]), (&json!("b"), &json!(1)));
    let passed = world.get("/runs/1/tests?outcome=passed&cursor=0").await.json();
    assert_eq!((&passed["cases"][0]["name"], &passed["next"]), (&json!("a"), &json!(null)));
    assert_eq!(world.get("/runs/1/tests?outcome=bad").await.status, 400);
    let coverage = world.get("/runs/1/coverage").await.json();
    assert_eq!((&coverage["coverage"][0]["percent"], &coverage["coverage"][0]["change"]), (&json!(25.0), &json!(null)));
    let files = world.get(&format!("/runs/1/coverage/{}", kept.id)).await.json();
    assert_eq!(files["files"][0]["path"], "a.rs");
    let flaky = world.get("/tests?repository=octo/shop&order=flaky").await.json();
    assert_eq!((&flaky["tests"][0]["name"], &flaky["tests"][0]["flaky_score"]), (&json!("c"), &json!(1.0)));
    let test = &flaky["tests"][0]["id"];
    let history = world.get(&format!("/tests/{test}/history?limit=5")).await.json();
    assert_eq!((&history["history"][0]["outcome"], &history["test"]["name"]), (&json!("flaky"), &json!("c")));
    let blind = world.token("blind", &[Scope::RunsRead], &["octo/other"]).await;
    for path in [
        "/runs/1/tests".to_owned(),
        "/runs/1/coverage".to_owned(),
        format!("/runs/1/coverage/{}", kept.id),
        "/tests?repository=octo/shop".to_owned(),
        format!("/tests/{test}/history"),
    ] {
        assert_eq!(world.get_as(&blind, &path).await.status, 404, "{path}");
        assert_eq!(world.get_as("", &path).await.status, 401, "{path}");
    }
    for path in ["/tests/99/history", "/runs/1/coverage/99", "/runs/9/tests"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_long_history_is_read_page_by_page() {
    let world = World::new().await;
    let reports = world.store.reports();
    for _ in 0..120 {
        let run = world.run("octo/shop", "main").await;
        reports.keep_tests(origin(run, "Tests"), vec![case("a", Outcome::Failed)], 1, 0).await.unwrap();
    }
    let listed = world.get("/tests?repository=octo/shop&order=name").await.json();
    let page = format!("/tests/{}", listed["tests"][0]["id"]);
    for (query, rows, next, first) in [
        ("", 50, "?skip=50", false),
        ("?skip=50", 50, "?skip=100", true),
        ("?skip=100", 20, "", true),
        ("?skip=9999", 0, "", true),
        ("?skip=-1", 50, "?skip=50", false),
    ] {
        let shown = world.browse(&format!("{page}{query}")).await;
        let text = shown.text().replace("&#x2f;", "/").replace("&#x3d;", "=");
        assert_eq!((shown.status.as_u16(), text.matches("data-row").count()), (200, rows), "{query}");
        assert_eq!(text.contains("rel=\"next\""), !next.is_empty(), "{query}");
        assert!(text.contains(&format!("href=\"{page}{next}\"")) || next.is_empty(), "{query}: {text}");
        assert_eq!(text.contains(">Newest</a>"), first, "{query}");
        assert!(shown.body.len() < 80_000, "{query}: {} bytes", shown.body.len());
    }
}
