//! Annotations and summaries: listed, and part of the events.

use std::fmt::Write as _;

use engine::job::log_path;
use engine::store::RunId;
use engine::store::tokens::Scope;
use serde_json::json;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::run::{JobRunKey, StepIndex};

use crate::world::World;

/// As engines write them beside logs.
pub(crate) fn find(world: &World, run: RunId, step: Option<u32>, message: &str, summary: Option<&str>) {
    let path = log_path(&world.folders.logs(run), &JobRunKey::parse("build"), step.map(StepIndex));
    let annotation = Annotation { line: Some(7), ..Annotation::new(AnnotationLevel::Error, message) };
    let mut text = format!("{}\n", json!({ "annotation": annotation }));
    if let Some(summary) = summary {
        writeln!(text, "{}", json!({ "summary": summary })).unwrap();
    }
    std::fs::write(path.with_extension("findings"), text).unwrap();
}

#[tokio::test]
async fn what_steps_leave_is_listed_and_told() {
    let world = World::new().await;
    let run = world.finished().await;
    find(&world, run, None, "slow", None);
    find(&world, run, Some(1), "wrong", Some("# Sum"));
    let listed = world.get("/runs/1/annotations").await.json();
    assert_eq!(listed["annotations"][1]["annotation"]["message"], "wrong");
    assert_eq!(listed["annotations"][1]["annotation"]["line"], 7);
    assert_eq!((&listed["annotations"][0]["step"], &listed["more"]), (&json!(null), &json!(0)));
    let listed = world.get("/runs/1/summaries").await.json();
    assert_eq!(listed["summaries"], json!([{ "job": "build", "step": 1, "markdown": "# Sum" }]));
    let events = world.get("/runs/1/events").await;
    let text = events.text();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("no line feed") < at("\"wrong\"") && at("\"wrong\"") < at("# Sum"));
    assert!(at("# Sum") < text.rfind("step_finished").unwrap());
    assert!(text.rfind("step_finished").unwrap() < at("\"slow\"") && at("\"slow\"") < at("job_run_finished"));
    assert!(!world.get("/runs/1/events?logs=false").await.text().contains("wrong"));
    let blind = world.token("blind", &[Scope::RunsRead], &["octo/other"]).await;
    for path in ["/runs/1/annotations", "/runs/1/summaries"] {
        assert_eq!(world.get_as(&blind, path).await.status, 404, "{path}");
        assert_eq!(world.get_as("", path).await.status, 401, "{path}");
    }
}
