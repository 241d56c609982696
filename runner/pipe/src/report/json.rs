//! A run as JSON lines: one versioned event a line. docs/events.md is the reference.

use std::collections::HashMap;
use std::io::Write;

use engine::notice::Notice;
use engine::placement::PlacementProgress;
use engine::store::RunNumbers;
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use workflow::run::{JobRunKey, RunEvent, StepIndex};

use super::lines::Lines;
use super::{Record, View, clean};

/// Version of the form.
pub const VERSION: u32 = 1;

/// Writes events to standard output. When its reader goes away the run goes on.
#[derive(Debug)]
pub struct JsonView<W> {
    output: Option<W>,
    run: Option<RunNumbers>,
    lines: HashMap<(JobRunKey, Option<StepIndex>), Lines>,
}

impl<W: Write + Send> JsonView<W> {
    /// Writes there.
    pub fn new(output: W) -> Self {
        Self { output: Some(output), run: None, lines: HashMap::new() }
    }

    fn event(&mut self, kind: &str, at: Timestamp, more: Json) {
        let mut event = Map::new();
        event.insert("v".into(), VERSION.into());
        event.insert("type".into(), kind.into());
        event.insert("at".into(), at.to_string().into());
        event.insert("run".into(), self.run.map(|run| run.id.0).into());
        if let Json::Object(more) = more {
            event.extend(more.into_iter().filter(|(name, _)| name != "type"));
        }
        if let Some(output) = &mut self.output
            && writeln!(output, "{}", Json::Object(event)).is_err()
        {
            self.output = None;
        }
    }

    fn flush(&mut self) {
        if self.output.as_mut().is_some_and(|output| output.flush().is_err()) {
            self.output = None;
        }
    }

    fn log(&mut self, key: &JobRunKey, step: Option<StepIndex>, bytes: Option<&[u8]>) {
        let Some(output) = &mut self.output else { return };
        let lines = self.lines.entry((key.clone(), step)).or_default();
        // All but the text is the same for each line, and there may be millions of them.
        let head = json!({
            "v": VERSION, "type": "log", "at": Timestamp::now().to_string(), "run": self.run.map(|run| run.id.0),
            "job": key, "step": step, "text": "",
        });
        let head = head.to_string();
        let head = head.strip_suffix("\"}").unwrap_or(&head).as_bytes();
        let mut failed = false;
        let take = |line: &[u8]| failed |= log_line(output, head, line).is_err();
        match bytes {
            Some(bytes) => lines.push(bytes, take),
            None => lines.finish(take),
        }
        if failed {
            self.output = None;
        }
    }
}

impl<W: Write + Send> View for JsonView<W> {
    fn begun(&mut self, workflow: &str, title: &str, numbers: RunNumbers) {
        self.run = Some(numbers);
        let more = json!({ "workflow": workflow, "title": title, "number": numbers.number });
        self.event("run_created", Timestamp::now(), more);
        self.flush();
    }

    fn notice(&mut self, notice: &Notice, _record: &Record) {
        match notice {
            Notice::Recorded(recorded) => {
                if let RunEvent::StepFinished { key, step, .. } = &recorded.event {
                    self.log(key, Some(*step), None);
                }
                if let RunEvent::JobRunFinished { key, .. } = &recorded.event {
                    self.log(key, None, None);
                }
                let mut fact = serde_json::to_value(&recorded.event).unwrap_or_default();
                let kind = fact.get("type").and_then(Json::as_str).unwrap_or_default().to_owned();
                fact["seq"] = recorded.seq.into();
                // `key` is the name in the stored log; here it is what it names.
                if let Some(key) = fact.as_object_mut().and_then(|fact| fact.shift_remove("key")) {
                    fact["job"] = key;
                }
                self.event(&kind, recorded.at, fact);
            }
            Notice::Output { key, step, bytes } => self.log(key, *step, Some(bytes)),
            Notice::Placing { key, progress } => {
                let mut more = placing(progress);
                more["job"] = json!(key);
                self.event("placing", Timestamp::now(), more);
            }
            Notice::Annotated { key, step, annotation } => {
                let more = json!({ "job": key, "step": step, "annotation": annotation });
                self.event("annotation", Timestamp::now(), more);
            }
            Notice::Summary { key, step, markdown } => {
                self.event("summary", Timestamp::now(), json!({ "job": key, "step": step, "markdown": markdown }));
            }
        }
        self.flush();
    }

    fn say(&mut self, text: &str) {
        self.event("message", Timestamp::now(), json!({ "text": clean::clean(text.as_bytes(), false) }));
        self.flush();
    }

    fn ended(&mut self) {
        self.flush();
    }
}

/// Writes an event that is whole but for its text.
fn log_line(output: &mut impl Write, head: &[u8], line: &[u8]) -> std::io::Result<()> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    output.write_all(head)?;
    if line.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        output.write_all(line)?;
    } else {
        let quoted = serde_json::to_vec(&String::from_utf8_lossy(line))?;
        output.write_all(&quoted[1..quoted.len() - 1])?;
    }
    output.write_all(b"\"}\n")
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
    use super::*;

    #[test]
    fn a_line_is_one_event() {
        let lines = ["plain", "", "q\"uo\\te\"", "\"", "tab\tand \u{1b}[31m", "ü \u{1f600}", "carriage return\r"];
        let mut view = JsonView::new(Vec::new());
        let key = JobRunKey::parse("build");
        let bytes = lines.map(|line| format!("{line}\n")).concat();
        view.log(&key, Some(StepIndex(2)), Some(bytes.as_bytes()));
        view.log(&key, Some(StepIndex(2)), Some(b"\xff"));
        view.log(&key, Some(StepIndex(2)), None);
        let written = String::from_utf8(view.output.unwrap()).unwrap();
        let events: Vec<Json> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let texts: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
        assert_eq!(texts[..7], lines.map(|line| line.trim_end_matches('\r')));
        assert_eq!(texts[7..], ["\u{fffd}"]);
        assert_eq!(events[0]["job"], "build");
        assert_eq!((&events[0]["step"], &events[0]["v"]), (&json!(2), &json!(VERSION)));
        let keys: Vec<_> = events[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["v", "type", "at", "run", "job", "step", "text"]);
    }
}
