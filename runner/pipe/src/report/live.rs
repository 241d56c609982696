//! The live view of a terminal: a line for each job that runs, with its current step, its time and its last line of
//! output; what is over scrolls up.

use std::io::Write;
use std::time::Duration;

use engine::notice::Notice;
use engine::placement::PlacementProgress;
use engine::store::RunNumbers;
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use workflow::run::{JobRunKey, RunEvent};

use super::lines::LastLine;
use super::plain::{Detail, PlainView};
use super::{Record, View, clean};
use crate::terminal::Terminal;

/// How often spinners turn.
const TICK: Duration = Duration::from_millis(120);

/// The view.
#[derive(Debug)]
pub struct LiveView {
    bars: MultiProgress,
    running: IndexMap<JobRunKey, Running>,
    /// Writes above the bars.
    above: PlainView<Above>,
    terminal: Terminal,
}

#[derive(Debug)]
struct Running {
    bar: ProgressBar,
    step: String,
    last: LastLine,
}

/// Whole lines above the bars.
#[derive(Debug)]
struct Above {
    bars: MultiProgress,
    waiting: Vec<u8>,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let Some(end) = self.waiting.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let text = String::from_utf8_lossy(&self.waiting[..end]).into_owned();
        self.waiting.drain(..=end);
        self.bars.println(text)
    }
}

impl LiveView {
    /// On stderr, as one of several that draw to the same place. With more than [`Detail::Quiet`] output scrolls above
    /// the jobs too.
    pub fn new(terminal: Terminal, detail: Detail, bars: MultiProgress) -> Self {
        let above = Above { bars: bars.clone(), waiting: Vec::new() };
        Self { bars, running: IndexMap::new(), above: PlainView::new(above, terminal, detail), terminal }
    }

    fn start(&mut self, key: &JobRunKey, record: &Record) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let template = if self.terminal.color {
            "{spinner:.cyan} {prefix:.bold} {elapsed:.dim}\n    {wide_msg}"
        } else {
            "{spinner} {prefix} {elapsed}\n    {wide_msg}"
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is sound, see its test"));
        bar.set_prefix(record.name(key).to_owned());
        bar.enable_steady_tick(TICK);
        self.running.insert(key.clone(), Running { bar, step: String::new(), last: LastLine::default() });
    }

    fn step(&mut self, key: &JobRunKey, name: &str) {
        if let Some(running) = self.running.get_mut(key) {
            name.clone_into(&mut running.step);
            running.last = LastLine::default();
            running.bar.set_message(running.step.clone());
        }
    }

    fn output(&mut self, key: &JobRunKey, bytes: &[u8]) {
        let Some(running) = self.running.get_mut(key) else { return };
        if let Some(last) = running.last.push(bytes) {
            let text = format!("{}  {}", running.step, self.terminal.dim(&clean::clean(&last, false)));
            running.bar.set_message(text);
        }
    }

    fn end(&mut self, key: &JobRunKey) {
        if let Some(running) = self.running.shift_remove(key) {
            running.bar.finish_and_clear();
            self.bars.remove(&running.bar);
        }
    }
}

impl View for LiveView {
    fn begun(&mut self, workflow: &str, title: &str, numbers: RunNumbers) {
        self.above.begun(workflow, title, numbers);
    }

    fn notice(&mut self, notice: &Notice, record: &Record) {
        match notice {
            Notice::Recorded(recorded) => match &recorded.event {
                RunEvent::JobRunStarted { key, .. } if !self.running.contains_key(key) => self.start(key, record),
                RunEvent::StepStarted { key, name, .. } => self.step(key, name),
                RunEvent::JobRunFinished { key, .. } | RunEvent::JobRunReset { key } => self.end(key),
                RunEvent::GroupRequested { .. }
                | RunEvent::GroupAcquired { .. }
                | RunEvent::RunHeld { .. }
                | RunEvent::RunReleased { .. }
                | RunEvent::RunStarted
                | RunEvent::JobSkipped { .. }
                | RunEvent::JobExpanded { .. }
                | RunEvent::JobRefused { .. }
                | RunEvent::CallStarted { .. }
                | RunEvent::JobRunStarted { .. }
                | RunEvent::JobRunPlaced { .. }
                | RunEvent::StepFinished { .. }
                | RunEvent::JobRunCancelRequested { .. }
                | RunEvent::RunCancelRequested { .. }
                | RunEvent::ReviewRequested { .. }
                | RunEvent::Reviewed { .. }
                | RunEvent::RunRefused { .. }
                | RunEvent::RunFinished { .. } => {}
            },
            Notice::Output { key, bytes, .. } => self.output(key, bytes),
            Notice::Placing { key, progress } => {
                if !self.running.contains_key(key) {
                    self.start(key, record);
                }
                let text = placing(progress);
                self.step(key, &text);
            }
            Notice::Annotated { .. } | Notice::Summary { .. } => {}
        }
        self.above.notice(notice, record);
    }

    fn say(&mut self, text: &str) {
        let _gone = self.bars.println(text);
    }

    fn ended(&mut self) {
        for (_, running) in self.running.drain(..) {
            running.bar.finish_and_clear();
        }
        let _gone = self.bars.clear();
    }
}

fn placing(progress: &PlacementProgress) -> String {
    match progress {
        PlacementProgress::Pulling { image, bytes_done, bytes_total } => {
            let percent = (bytes_done * 100).checked_div(*bytes_total).unwrap_or_default();
            format!("pulling {image}: {percent} % of {} MB", bytes_total / 1_000_000)
        }
        PlacementProgress::Pulled { image } => format!("pulled {image}"),
        PlacementProgress::ServiceStarted { service } => format!("service {service} started"),
        PlacementProgress::ServiceWaiting { service } => format!("waiting for service {service}"),
        PlacementProgress::ServiceReady { service } => format!("service {service} is ready"),
        PlacementProgress::Ready => "ready".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use workflow::run::{Recorded, RunEvent};

    use super::*;

    #[test]
    fn the_template_is_sound() {
        for color in [true, false] {
            let mut view = LiveView::new(Terminal { color, interactive: true }, Detail::Quiet, MultiProgress::new());
            let key = JobRunKey::parse("build");
            let event = RunEvent::JobRunStarted { key: key.clone() };
            let at = jiff::Timestamp::UNIX_EPOCH;
            view.notice(&Notice::Recorded(Box::new(Recorded { v: 1, seq: 1, at, event })), &Record::default());
            assert!(view.running.contains_key(&key));
            view.ended();
        }
    }
}
