//! Plain lines, for pipes and CI: each with the name of its job, `[3/12]` where a job ends. No line is ever redrawn.

use std::collections::HashMap;
use std::io::Write;

use anstyle::AnsiColor;
use engine::notice::Notice;
use engine::placement::PlacementProgress;
use engine::store::RunNumbers;
use engine::wire::Lines;
use workflow::run::{CancelReason, Conclusion, JobRunKey, RunEvent, SkipReason, StepIndex};

use super::behind::Batch;
use super::record::why_skipped;
use super::{Record, View, clean, in_words};
use crate::terminal::Terminal;

/// Colours of job names, so that lines of parallel jobs can be told apart.
const COLORS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The ends of jobs.
    Quiet,
    /// Steps and their output.
    Normal,
    /// Debug lines too.
    Verbose,
}

/// Writes plain lines. When their reader goes away the run goes on.
#[derive(Debug)]
pub struct PlainView<W> {
    output: Option<W>,
    terminal: Terminal,
    detail: Detail,
    streams: HashMap<(JobRunKey, Option<StepIndex>), Stream>,
    batch: Batch,
    pulling: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Stream {
    lines: Lines,
    in_group: bool,
}

/// What stands before the lines of a group.
const INDENT: &str = "  ";

/// So many bytes of lines are looked at together.
const PART_BYTES: usize = 64 * 1024;

/// A pull is told of again after this share of it, in percent.
const PULL_STEP_PERCENT: u64 = 25;

impl<W: Write + Send> PlainView<W> {
    /// Writes there.
    pub fn new(output: W, terminal: Terminal, detail: Detail) -> Self {
        Self {
            output: Some(output),
            terminal,
            detail,
            streams: HashMap::new(),
            batch: Batch::default(),
            pulling: HashMap::new(),
        }
    }

    fn line(&mut self, text: &str) {
        if let Some(output) = &mut self.output
            && writeln!(output, "{text}").is_err()
        {
            self.output = None;
        }
    }

    fn prefix(&self, key: &JobRunKey, record: &Record) -> String {
        let place = record.jobs.get_index_of(key).unwrap_or_default();
        self.terminal.tint(COLORS[place % COLORS.len()], &format!("[{}]", record.name(key)))
    }

    fn job_line(&mut self, key: &JobRunKey, record: &Record, text: &str) {
        let line = format!("{} {text}", self.prefix(key, record));
        self.line(&line);
    }

    fn output(&mut self, key: &JobRunKey, step: Option<StepIndex>, bytes: Option<&[u8]>, record: &Record) {
        if self.detail == Detail::Quiet {
            return;
        }
        let prefix = format!("{}   ", self.prefix(key, record));
        let (terminal, verbose) = (self.terminal, self.detail == Detail::Verbose);
        let Some(output) = &mut self.output else { return };
        let stream = self.streams.entry((key.clone(), step)).or_default();
        let (in_group, batch) = (&mut stream.in_group, &mut self.batch);
        let mut written = Ok(());
        let plain = [prefix.clone(), format!("{prefix}{INDENT}")];
        let mut show_part = |part: &[u8]| {
            let as_it_is = |text: &[u8]| clean::is_clean(text) && !clean::has_marks(text);
            if as_it_is(part) {
                return batch.write(plain[usize::from(*in_group)].as_bytes(), part, output);
            }
            part.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| {
                if as_it_is(line) {
                    return batch.write(plain[usize::from(*in_group)].as_bytes(), line, output);
                }
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                marked(line, in_group, terminal, verbose).map_or(Ok(()), |text| writeln!(output, "{prefix}{text}"))
            })
        };
        let show = |block: &[u8]| {
            if written.is_ok() {
                written = parts(block).try_for_each(&mut show_part);
            }
        };
        match bytes {
            Some(bytes) => stream.lines.push(bytes, show),
            None => stream.lines.finish(show),
        }
        if written.is_err() {
            self.output = None;
        }
    }

    fn fact(&mut self, event: &RunEvent, record: &Record) {
        let loud = self.detail != Detail::Quiet;
        match event {
            RunEvent::JobRunPlaced { key, runner, .. } if loud => {
                let text = self.terminal.dim(&format!("starts ({runner})"));
                self.job_line(key, record, &text);
            }
            RunEvent::StepStarted { key, name, .. } if loud => {
                let text = self.terminal.bold(&format!("▶ {name}"));
                self.job_line(key, record, &text);
            }
            RunEvent::StepFinished { key, step, result } => {
                self.output(key, Some(*step), None, record);
                self.streams.remove(&(key.clone(), Some(*step)));
                if !loud && result.outcome != Conclusion::Failure {
                    return;
                }
                let Some(step) = record.jobs.get(key).and_then(|job| job.steps.get(step)) else { return };
                let time = step.duration().map(|time| format!(" ({})", in_words(time))).unwrap_or_default();
                let why = result.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
                let text = format!("{} {}{time}{why}", sign(result.outcome, self.terminal), step.name);
                self.job_line(key, record, &text);
            }
            RunEvent::JobRunFinished { key, conclusion, message, .. } => {
                self.output(key, None, None, record);
                let job = record.jobs.get(key).filter(|job| !job.calls);
                let Some(job) = job else { return };
                let time = job.duration().map(|time| format!(" ({})", in_words(time))).unwrap_or_default();
                let why = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
                self.ended(record, &format!("{} {}{time}{why}", sign(*conclusion, self.terminal), job.shown));
            }
            // What was not asked for is not worth a line.
            RunEvent::JobSkipped { reason: SkipReason::NotSelected, .. } => {}
            RunEvent::JobSkipped { job, reason } => {
                let name = record.name(&JobRunKey::new(job.clone(), None)).to_owned();
                let text =
                    format!("{} {name} skipped: {}", sign(Conclusion::Skipped, self.terminal), why_skipped(reason));
                self.ended(record, &text);
            }
            RunEvent::JobRefused { job, message } => {
                let key = JobRunKey::new(job.clone(), None);
                let name = record.name(&key);
                let text = format!("{} {name}: {message}", sign(Conclusion::Failure, self.terminal));
                self.ended(record, &text);
            }
            RunEvent::JobRunCancelRequested { key, reason } if loud => {
                let text = format!("is cancelled: {}", why_cancelled(reason));
                self.job_line(key, record, &text);
            }
            RunEvent::JobRunReset { key } => {
                self.job_line(key, record, "begins again: the process that carried it was killed");
            }
            RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunCancelRequested { .. }
            | RunEvent::ReviewRequested { .. } => self.waits(event, record),
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunStarted
            | RunEvent::JobExpanded { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::JobRunStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::RunFinished { .. } => {}
        }
    }

    /// What the run, or a job, waits for, and what became of that.
    fn waits(&mut self, event: &RunEvent, record: &Record) {
        if let RunEvent::RunHeld { reason } = event {
            self.line(&format!("waits: {reason} (`pipe approve`, or the page of the run)"));
        } else if let RunEvent::RunReleased { by } = event {
            self.line(&format!("{by} let it run"));
        } else if let RunEvent::RunCancelRequested { by, .. } = event
            && by.contains("superseded by run")
        {
            self.line(&format!("is cancelled: {by}"));
        } else if let RunEvent::ReviewRequested { key, environment, wait_ms, .. } = event
            && *wait_ms > 0
            && self.detail != Detail::Quiet
        {
            let time = in_words(std::time::Duration::from_millis(*wait_ms));
            self.job_line(key, record, &format!("waits {time}: the wait timer of `{environment}`"));
        }
    }

    fn ended(&mut self, record: &Record, text: &str) {
        let (done, all) = record.progress();
        self.line(&format!("[{}{done}/{all}] {text}", record.lead()));
    }

    fn placing(&mut self, key: &JobRunKey, progress: &PlacementProgress, record: &Record) {
        let text = match progress {
            PlacementProgress::Pulling { image, bytes_done, bytes_total } => {
                let percent = (bytes_done * 100).checked_div(*bytes_total).unwrap_or_default();
                let told = self.pulling.get(image).copied();
                if told.is_some_and(|told| percent < told + PULL_STEP_PERCENT) {
                    return;
                }
                self.pulling.insert(image.clone(), percent);
                format!("pulling {image}: {percent} % of {} MB", bytes_total / 1_000_000)
            }
            PlacementProgress::Pulled { image } => format!("pulled {image}"),
            PlacementProgress::ServiceStarted { service } => format!("service {service} started"),
            PlacementProgress::ServiceReady { service } => format!("service {service} is ready"),
            PlacementProgress::ServiceWaiting { .. } | PlacementProgress::Ready => return,
        };
        let text = self.terminal.dim(&text);
        self.job_line(key, record, &text);
    }
}

impl<W: Write + Send> View for PlainView<W> {
    fn begun(&mut self, workflow: &str, title: &str, numbers: RunNumbers) {
        let text = self.terminal.bold(&format!("{workflow} #{}", numbers.number));
        self.line(&if title.is_empty() { text } else { format!("{text}: {title}") });
    }

    fn notice(&mut self, notice: &Notice, record: &Record) {
        match notice {
            Notice::Recorded(recorded) => self.fact(&recorded.event, record),
            Notice::Output { key, step, bytes } => self.output(key, *step, Some(bytes), record),
            Notice::Placing { key, progress } if self.detail != Detail::Quiet => self.placing(key, progress, record),
            Notice::Placing { .. } | Notice::Annotated { .. } | Notice::Summary { .. } => {}
        }
        if self.output.as_mut().is_some_and(|output| output.flush().is_err()) {
            self.output = None;
        }
    }

    fn say(&mut self, text: &str) {
        self.line(text);
    }

    fn ended(&mut self) {
        let _gone = self.output.as_mut().map(Write::flush);
    }
}

/// Cuts lines into parts of whole lines, so that a few coloured ones do not make all of them slow.
fn parts(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let near = rest.len().min(PART_BYTES);
        let end = match memchr::memrchr(b'\n', &rest[..near]).filter(|_| near < rest.len()) {
            Some(at) => at + 1,
            None => memchr::memchr(b'\n', &rest[near..]).map_or(rest.len(), |at| near + at + 1),
        };
        let part;
        (part, rest) = rest.split_at(end);
        (!part.is_empty()).then_some(part)
    })
}

/// A line with its mark (`##[group]` …) turned into colour and indentation; `None` hides it.
pub(super) fn marked(line: &[u8], in_group: &mut bool, terminal: Terminal, verbose: bool) -> Option<String> {
    let text = clean::clean(line, terminal.color);
    let indent = if *in_group { INDENT } else { "" };
    let Some((mark, rest)) = text.strip_prefix("##[").and_then(|rest| rest.split_once(']')) else {
        return Some(format!("{indent}{text}"));
    };
    match mark {
        "group" => {
            *in_group = true;
            Some(terminal.bold(&format!("▸ {rest}")))
        }
        "endgroup" => {
            *in_group = false;
            None
        }
        "error" => Some(format!("{indent}{} {rest}", terminal.strong(AnsiColor::Red, "error:"))),
        "warning" => Some(format!("{indent}{} {rest}", terminal.strong(AnsiColor::Yellow, "warning:"))),
        "notice" => Some(format!("{indent}{} {rest}", terminal.strong(AnsiColor::Cyan, "notice:"))),
        "command" => Some(format!("{indent}{}", terminal.tint(AnsiColor::Blue, rest))),
        "debug" => verbose.then(|| format!("{indent}{}", terminal.dim(&format!("debug: {rest}")))),
        _ => Some(format!("{indent}{text}")),
    }
}

/// The sign of an end.
pub fn sign(conclusion: Conclusion, terminal: Terminal) -> String {
    match conclusion {
        Conclusion::Success => terminal.strong(AnsiColor::Green, "✔"),
        Conclusion::Failure => terminal.strong(AnsiColor::Red, "✘"),
        Conclusion::Cancelled => terminal.strong(AnsiColor::Yellow, "⊘"),
        Conclusion::Skipped => terminal.dim("-"),
    }
}

fn why_cancelled(reason: &CancelReason) -> String {
    match reason {
        CancelReason::FailFast { leg } => format!("`{leg}` failed (fail-fast)"),
        CancelReason::Run { by } => format!("the run was cancelled by {by}"),
        CancelReason::Group { group, superseded_by: None } => {
            format!("something newer came into the group `{group}`")
        }
        CancelReason::Group { group, superseded_by: Some(run) } => {
            format!("superseded by run {run} in the group `{group}`")
        }
        CancelReason::Timeout { limit_ms } => {
            format!("it took longer than {}", in_words(std::time::Duration::from_millis(*limit_ms)))
        }
    }
}
