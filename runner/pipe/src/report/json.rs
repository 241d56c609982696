//! A run as JSON lines on standard output: one object of the wire a line.

use std::collections::HashMap;
use std::io::Write;

use engine::notice::Notice;
use engine::store::{RunId, RunNumbers};
use engine::wire::{self, Lines, LogLines};
use jiff::Timestamp;
use serde_json::Value as Json;
use workflow::run::{JobRunKey, RunEvent, StepIndex};

use super::{Record, View, clean};

/// Writes events to standard output. When its reader goes away the run goes on.
#[derive(Debug)]
pub struct JsonView<W> {
    output: Option<W>,
    run: Option<RunId>,
    lines: HashMap<(JobRunKey, Option<StepIndex>), Lines>,
}

impl<W: Write + Send> JsonView<W> {
    /// Writes there.
    pub fn new(output: W) -> Self {
        Self { output: Some(output), run: None, lines: HashMap::new() }
    }

    fn event(&mut self, event: &Json) {
        if let Some(output) = &mut self.output
            && writeln!(output, "{event}").is_err()
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
        let form = LogLines::of(self.run, key, step);
        let mut failed = false;
        let take = |block: &[u8]| {
            let mut lines = block.strip_suffix(b"\n").unwrap_or(block).split(|byte| *byte == b'\n');
            let written = lines.try_for_each(|line| form.write(output, line).and_then(|()| output.write_all(b"\n")));
            failed |= written.is_err();
        };
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
        self.run = Some(numbers.id);
        self.event(&wire::created(Timestamp::now(), workflow, title, numbers));
        self.flush();
    }

    fn notice(&mut self, notice: &Notice, _record: &Record) {
        if let Notice::Recorded(recorded) = notice {
            if let RunEvent::StepFinished { key, step, .. } = &recorded.event {
                self.log(key, Some(*step), None);
            }
            if let RunEvent::JobRunFinished { key, .. } = &recorded.event {
                self.log(key, None, None);
            }
        }
        if let Notice::Output { key, step, bytes } = notice {
            self.log(key, *step, Some(bytes));
        }
        if let Some(event) = wire::notice(self.run, notice) {
            self.event(&event);
        }
        self.flush();
    }

    fn say(&mut self, text: &str) {
        self.event(&wire::message(self.run, &clean::clean(text.as_bytes(), false)));
        self.flush();
    }

    fn ended(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines() {
        let mut view = JsonView::new(Vec::new());
        let key = JobRunKey::parse("build");
        for piece in [Some(&b"zero\n\none\ntw"[..]), Some(b"o\n"), Some(b"\xff"), None] {
            view.log(&key, Some(StepIndex(2)), piece);
        }
        let written = String::from_utf8(view.output.unwrap()).unwrap();
        let events: Vec<Json> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let texts: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["zero", "", "one", "two", "\u{fffd}"]);
    }
}
