//! Logs that were recorded once and must replay for ever: `tests/logs/v1`, a workflow and its log each.
//!
//! They are never written anew. A change of events that breaks one of them breaks the history of everybody.

use std::sync::Arc;

use super::folder;
use super::world::{facts, workflow};
use crate::run::{Recorded, Run};

#[test]
fn old_logs_replay() {
    let folder = folder("logs/v1");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (text, end) = text.split_once("----\n").unwrap();
        let mut run = Run::new(Arc::new(facts(workflow(text))));
        let log = std::fs::read_to_string(path.with_extension("jsonl")).unwrap();
        for line in log.lines() {
            let recorded: Recorded = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(recorded.v, 1);
            run.apply(&recorded).unwrap_or_else(|illegal| panic!("{}: {illegal}", path.display()));
        }
        let results = run.jobs.iter().map(|(job, state)| format!("{job} {}\n", state.result().unwrap().word()));
        let found: String = results.chain([format!("run {}\n", run.conclusion().unwrap().word())]).collect();
        assert_eq!(found, end, "{}", path.display());
        count += 1;
    }
    assert!(count >= 4, "the logs are gone");
}
