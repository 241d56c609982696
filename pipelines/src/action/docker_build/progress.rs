//! BuildKit's status as lines for the log, like `docker build --progress=plain`.

use std::collections::HashMap;

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};

/// Lines of a failed step that its error repeats.
const FAILED_LINES_MAX: usize = 20;

/// Turns statuses into lines.
#[derive(Debug, Default)]
pub(super) struct Progress {
    steps: HashMap<String, Step>,
    count: usize,
    /// The step that failed.
    pub(super) failed: Option<String>,
}

#[derive(Debug, Default)]
struct Step {
    number: usize,
    name: String,
    shown: bool,
    ended: bool,
    /// Output without its line end yet.
    part: Vec<u8>,
    last: Vec<String>,
}

impl Progress {
    /// Lines for a status.
    pub(super) fn take(&mut self, status: &StatusResponse) -> Vec<String> {
        let mut lines = Vec::new();
        for vertex in &status.vertexes {
            self.vertex(vertex, &mut lines);
        }
        for log in &status.logs {
            let step = self.step(&log.vertex);
            step.part.extend_from_slice(&log.msg);
            while let Some(end) = step.part.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = step.part.drain(..=end).collect();
                step.output(&line, &mut lines);
            }
        }
        lines
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        let count = &mut self.count;
        self.steps.entry(digest.to_owned()).or_insert_with(|| {
            *count += 1;
            Step { number: *count, ..Step::default() }
        })
    }

    fn vertex(&mut self, vertex: &Vertex, lines: &mut Vec<String>) {
        // Not begun: it may never be.
        if vertex.started.is_none() && !vertex.cached {
            return;
        }
        let step = self.step(&vertex.digest);
        if !step.shown {
            step.shown = true;
            step.name.clone_from(&vertex.name);
            lines.push(format!("#{} {}", step.number, vertex.name));
        }
        if vertex.completed.is_none() || step.ended {
            return;
        }
        step.ended = true;
        let part = std::mem::take(&mut step.part);
        if !part.is_empty() {
            step.output(&part, lines);
        }
        if !vertex.error.is_empty() {
            lines.push(format!("#{} ERROR: {}", step.number, vertex.error));
            let mut text = format!("{}: {}", step.name, vertex.error);
            for line in &step.last {
                text.push_str("\n  ");
                text.push_str(line);
            }
            self.failed = Some(text);
        } else if vertex.cached {
            lines.push(format!("#{} CACHED", step.number));
        } else {
            lines.push(format!("#{} DONE {:.1}s", step.number, seconds(vertex)));
        }
    }
}

impl Step {
    fn output(&mut self, line: &[u8], lines: &mut Vec<String>) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        // What a carriage return overwrites is a progress bar.
        let text = text.rsplit('\r').next().unwrap_or_default();
        if self.last.len() == FAILED_LINES_MAX {
            self.last.remove(0);
        }
        self.last.push(text.to_owned());
        lines.push(format!("#{} {text}", self.number));
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a build are far below 2^52")]
fn seconds(vertex: &Vertex) -> f64 {
    let time = |seconds: i64, nanos: i32| seconds as f64 + f64::from(nanos) / 1e9;
    match (&vertex.started, &vertex.completed) {
        (Some(started), Some(completed)) => {
            (time(completed.seconds, completed.nanos) - time(started.seconds, started.nanos)).max(0.0)
        }
        (Some(_) | None, _) => 0.0,
    }
}
