//! A run as JSON objects, as `pipe run --json` prints them and the server streams them, written and read again.
//!
//! docs/events.md is the reference. The form is versioned; readers ignore what they do not know. Where the objects go,
//! and whether output is cut into lines before, is the caller's.

mod lines;
mod read;

pub use lines::Lines;
pub use read::{Incoming, read};

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use workflow::run::{JobRunKey, Recorded, StepIndex};

use crate::notice::Notice;
use crate::placement::PlacementProgress;
use crate::store::{RunId, RunNumbers};

/// Version of the form.
pub const VERSION: u32 = 1;

/// An object with the fields that all have.
#[must_use]
pub fn event(kind: &str, at: Timestamp, run: Option<RunId>, more: Json) -> Json {
    let mut event = Map::new();
    event.insert("v".into(), VERSION.into());
    event.insert("type".into(), kind.into());
    event.insert("at".into(), at.to_string().into());
    event.insert("run".into(), run.map(|run| run.0).into());
    if let Json::Object(more) = more {
        event.extend(more.into_iter().filter(|(name, _)| name != "type"));
    }
    Json::Object(event)
}

/// A run has its numbers and its title, which is empty where the workflow gives none.
#[must_use]
pub fn created(at: Timestamp, workflow: &str, title: &str, numbers: RunNumbers) -> Json {
    let more = json!({ "workflow": workflow, "title": title, "number": numbers.number });
    event("run_created", at, Some(numbers.id), more)
}

/// A fact of the run's log.
#[must_use]
pub fn fact(run: Option<RunId>, recorded: &Recorded) -> Json {
    let mut fact = serde_json::to_value(&recorded.event).unwrap_or_default();
    let kind = fact.get("type").and_then(Json::as_str).unwrap_or_default().to_owned();
    fact["seq"] = recorded.seq.into();
    // `key` is the name in the stored log; here it is what it names.
    if let Some(key) = fact.as_object_mut().and_then(|fact| fact.shift_remove("key")) {
        fact["job"] = key;
    }
    event(&kind, recorded.at, run, fact)
}

/// A notice; `None` for output, which becomes lines ([`Lines`], [`LogLines`]).
#[must_use]
pub fn notice(run: Option<RunId>, notice: &Notice) -> Option<Json> {
    let now = Timestamp::now;
    Some(match notice {
        Notice::Recorded(recorded) => fact(run, recorded),
        Notice::Output { .. } => return None,
        Notice::Placing { key, progress } => {
            let mut more = placing(progress);
            more["job"] = json!(key);
            event("placing", now(), run, more)
        }
        Notice::Annotated { key, step, annotation } => {
            event("annotation", now(), run, json!({ "job": key, "step": step, "annotation": annotation }))
        }
        Notice::Summary { key, step, markdown } => {
            event("summary", now(), run, json!({ "job": key, "step": step, "markdown": markdown }))
        }
    })
}

/// A sentence about the whole. The text is clean.
#[must_use]
pub fn message(run: Option<RunId>, text: &str) -> Json {
    event("message", Timestamp::now(), run, json!({ "text": text }))
}

/// Writes lines of one step, as objects on a line each. All but the text is the same for each line, and there may be
/// millions of them.
#[derive(Debug)]
pub struct LogLines {
    head: String,
}

impl LogLines {
    /// Lines of this step, now.
    #[must_use]
    pub fn of(run: Option<RunId>, key: &JobRunKey, step: Option<StepIndex>) -> Self {
        let head = event("log", Timestamp::now(), run, json!({ "job": key, "step": step, "text": "" })).to_string();
        Self { head: head.strip_suffix("\"}").unwrap_or(&head).to_owned() }
    }

    /// Writes one line, without its line break, as an object; no line break follows it.
    ///
    /// # Errors
    /// The output takes nothing.
    pub fn write(&self, output: &mut impl Write, line: &[u8]) -> std::io::Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        output.write_all(self.head.as_bytes())?;
        if line.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            output.write_all(line)?;
        } else {
            let quoted = serde_json::to_vec(&String::from_utf8_lossy(line))?;
            output.write_all(&quoted[1..quoted.len() - 1])?;
        }
        output.write_all(b"\"}")
    }
}

fn placing(progress: &PlacementProgress) -> Json {
    match progress {
        PlacementProgress::Pulling { image, bytes_done, bytes_total } => {
            json!({ "stage": "pulling", "image": image, "bytes_done": bytes_done, "bytes_total": bytes_total })
        }
        PlacementProgress::Pulled { image } => json!({ "stage": "pulled", "image": image }),
        PlacementProgress::ServiceStarted { service } => json!({ "stage": "service_started", "service": service }),
        PlacementProgress::ServiceWaiting { service } => json!({ "stage": "service_waiting", "service": service }),
        PlacementProgress::ServiceReady { service } => json!({ "stage": "service_ready", "service": service }),
        PlacementProgress::Ready => json!({ "stage": "ready" }),
    }
}

#[cfg(test)]
mod tests {
    use workflow::command::{Annotation, AnnotationLevel};
    use workflow::run::{Conclusion, RunEvent};

    use super::*;

    fn lines(texts: &[&[u8]]) -> Vec<Json> {
        let log = LogLines::of(None, &JobRunKey::parse("build"), Some(StepIndex(2)));
        let write = |text: &&[u8]| {
            let mut bytes = Vec::new();
            log.write(&mut bytes, text).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        texts.iter().map(write).collect()
    }

    #[test]
    fn a_line_is_one_event() {
        let texts = ["plain", "", "q\"uo\\te\"", "\"", "tab\tand \u{1b}[31m", "ü \u{1f600}", "carriage return\r"];
        let bytes: Vec<_> = texts.iter().map(|text| text.as_bytes()).chain([&b"\xff"[..]]).collect();
        let events = lines(&bytes);
        let written: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
        assert_eq!(written[..7], texts.map(|line| line.trim_end_matches('\r')));
        assert_eq!(written[7..], ["\u{fffd}"]);
        assert_eq!(events[0]["job"], "build");
        assert_eq!((&events[0]["step"], &events[0]["v"]), (&json!(2), &json!(VERSION)));
        let keys: Vec<_> = events[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["v", "type", "at", "run", "job", "step", "text"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let key = JobRunKey::parse("deploy(1)/push(0)");
        let facts = [
            RunEvent::RunStarted,
            RunEvent::JobRunStarted { key: key.clone() },
            RunEvent::StepStarted { key: key.clone(), step: StepIndex(3), name: "Test".into() },
            RunEvent::JobRefused { job: key.job.clone(), message: "no".into() },
            RunEvent::RunFinished { conclusion: Conclusion::Failure },
        ];
        let recorded = |event: &RunEvent| {
            Notice::Recorded(Box::new(Recorded { v: 1, seq: 7, at: Timestamp::UNIX_EPOCH, event: event.clone() }))
        };
        let annotation = Box::new(Annotation::new(AnnotationLevel::Error, "wrong"));
        let mut notices: Vec<_> = facts.iter().map(recorded).collect();
        notices.extend([
            Notice::Annotated { key: key.clone(), step: None, annotation },
            Notice::Summary { key: key.clone(), step: StepIndex(1), markdown: "# x".into() },
        ]);
        let progress = [
            PlacementProgress::Pulling { image: "a".into(), bytes_done: 1, bytes_total: 2 },
            PlacementProgress::Pulled { image: "a".into() },
            PlacementProgress::ServiceStarted { service: "db".into() },
            PlacementProgress::ServiceWaiting { service: "db".into() },
            PlacementProgress::ServiceReady { service: "db".into() },
            PlacementProgress::Ready,
        ];
        notices.extend(progress.map(|progress| Notice::Placing { key: key.clone(), progress }));
        for one in notices {
            let written = notice(Some(RunId(1)), &one).unwrap();
            let Some(Incoming::Notice(again)) = read(written.clone()) else { panic!("{written}") };
            assert_eq!(format!("{again:?}"), format!("{one:?}"));
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        for text in [r#"{"v":1,"type":"newer"}"#, "{}", "[]", "null", r#"{"v":1,"type":"step_started","job":1}"#] {
            assert!(read(serde_json::from_str(text).unwrap()).is_none(), "{text}");
        }
        let line = lines(&[b"one"]).remove(0);
        let Some(Incoming::Notice(Notice::Output { key, step, bytes })) = read(line) else { panic!() };
        assert_eq!((key.to_string().as_str(), step, &bytes[..]), ("build", Some(StepIndex(2)), &b"one\n"[..]));
    }
}
