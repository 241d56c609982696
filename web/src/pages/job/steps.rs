//! The steps of a job with what is shown of their logs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use engine::job::log_path;
use jiff::Timestamp;
use serde::Serialize;
use workflow::run::{JobRunKey, StepIndex};

use crate::api::view::{Job, Step};
use crate::pages::log::{Length, Logs, State, assemble, stamped, stamps};
use crate::pages::shown::seconds;

/// A log up to this stands whole in the page when its step is open. Of 100,000 lines a browser makes 300,000 elements,
/// which takes it seconds, and each look at all of them (its own search, what tests and helpers do) takes long again.
pub(super) const WHOLE_LINES_MAX: u64 = 20_000;
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// Of a longer one these lines do.
const FIRST_LINES: u64 = 1_000;
const LAST_LINES: u64 = 3_000;
const PART_BYTES_MAX: u64 = 4 << 20;
/// Logs of closed steps stand in the page as long as all of them are no more than this.
const CLOSED_BYTES_MAX: u64 = 128 * 1_024;
/// Lines around a place that is looked at.
const AROUND: u64 = 500;

/// One log of a job.
#[derive(Debug, Clone)]
pub(super) struct StepLog {
    /// `s` for the set-up, `s3` for step 3.
    pub(super) id: String,
    pub(super) number: Option<StepIndex>,
    pub(super) path: PathBuf,
    /// Whether lines tell when they came.
    pub(super) is_timed: bool,
    name: String,
    word: &'static str,
    exit_code: Option<i32>,
    message: Option<String>,
    seconds: Option<f64>,
    started_at: Option<Timestamp>,
}

/// A step as the page shows it.
#[derive(Debug, Serialize)]
pub(super) struct ShownStep {
    pub(super) id: String,
    /// For the API: a number, or `setup`.
    query: String,
    name: String,
    word: &'static str,
    exit_code: Option<i32>,
    message: Option<String>,
    seconds: Option<f64>,
    started_at: Option<Timestamp>,
    pub(super) lines: u64,
    bytes: u64,
    errors: Vec<u64>,
    is_open: bool,
    /// Its lines, as far as they stand in the page.
    html: String,
    /// Whether none of them do, though there are some.
    is_elsewhere: bool,
}

impl ShownStep {
    pub(super) fn word(&self) -> &'static str {
        self.word
    }
}

/// What somebody wants to see.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub(super) step: Option<String>,
    pub(super) from: Option<u64>,
    /// Lines that are looked for, by step.
    pub(super) hits: HashMap<String, u64>,
}

pub(super) fn id(step: Option<StepIndex>) -> String {
    step.map_or_else(|| "s".to_owned(), |step| format!("s{}", step.0))
}

/// What [`id`] gives.
pub(super) fn parse(id: &str) -> Option<Option<StepIndex>> {
    let number = id.strip_prefix('s')?;
    if number.is_empty() { Some(None) } else { number.parse().ok().map(|number| Some(StepIndex(number))) }
}

impl StepLog {
    pub(super) fn of(folder: &Path, key: &JobRunKey, number: Option<StepIndex>) -> Self {
        Self {
            id: id(number),
            number,
            path: log_path(folder, key, number),
            is_timed: false,
            name: "Set up job".to_owned(),
            word: "queued",
            exit_code: None,
            message: None,
            seconds: None,
            started_at: None,
        }
    }

    fn with(mut self, step: &Step) -> Self {
        self.name.clone_from(&step.name);
        self.word = step.conclusion.unwrap_or(step.status);
        self.exit_code = step.exit_code.filter(|code| *code != 0);
        self.message.clone_from(&step.message);
        self.started_at = step.started_at;
        self.seconds = step.started_at.map(|at| seconds(at, step.finished_at.unwrap_or_else(Timestamp::now)));
        self
    }
}

/// All logs of a job, set-up first.
pub(super) fn of(folder: &Path, job: &Job) -> Vec<StepLog> {
    let mut setup = StepLog::of(folder, &job.key, None);
    setup.started_at = job.started_at;
    let first = job.steps.values().find_map(|step| step.started_at);
    setup.seconds = job.started_at.zip(first.or(job.finished_at)).map(|(from, to)| seconds(from, to));
    setup.word = match (job.started_at, first, job.conclusion) {
        (None, _, _) => "queued",
        (Some(_), Some(_), _) => "success",
        (Some(_), None, None) => "in_progress",
        (Some(_), None, Some(conclusion)) => conclusion,
    };
    let has_setup = job.started_at.is_some();
    let steps =
        job.steps.iter().map(|(number, step)| StepLog::of(folder, &job.key, Some(StepIndex(*number))).with(step));
    has_setup.then_some(setup).into_iter().chain(steps).collect()
}

/// What is shown of each. It blocks.
pub(super) fn read(logs: &Logs, steps: Vec<StepLog>, sight: &Sight) -> std::io::Result<Vec<ShownStep>> {
    let mut closed = 0;
    let mut shown = Vec::with_capacity(steps.len());
    for step in steps {
        let length = if step.path.exists() { logs.length(&step.path)? } else { Length::default() };
        let hit = sight.hits.get(&step.id).copied();
        let is_asked = sight.step.as_ref() == Some(&step.id);
        let is_open = hit.is_some() || is_asked || matches!(step.word, "failure" | "in_progress");
        closed += if is_open { 0 } else { length.bytes };
        let is_elsewhere = length.lines > 0 && !is_open && closed > CLOSED_BYTES_MAX;
        let from = sight.from.filter(|_| is_asked);
        let html = match (hit, from) {
            _ if is_elsewhere || length.lines == 0 => String::new(),
            (Some(line), _) if is_long(length.lines, length.bytes) => {
                part(logs, &step, line.saturating_sub(AROUND).max(1), 2 * AROUND)?
            }
            (None, Some(from)) => part(logs, &step, from.max(1), LAST_LINES)?,
            (_, _) => whole(logs, &step)?,
        };
        shown.push(ShownStep {
            query: step.number.map_or_else(|| "setup".to_owned(), |number| number.0.to_string()),
            id: step.id,
            name: step.name,
            word: step.word,
            exit_code: step.exit_code,
            message: step.message,
            seconds: step.seconds,
            started_at: step.started_at,
            lines: length.lines,
            bytes: length.bytes,
            errors: length.errors,
            is_open,
            html,
            is_elsewhere,
        });
    }
    Ok(shown)
}

fn is_long(lines: u64, bytes: u64) -> bool {
    lines > WHOLE_LINES_MAX || bytes > WHOLE_BYTES_MAX
}

/// A whole log, or its two ends and a link to what is between. It blocks.
pub(super) fn whole(logs: &Logs, step: &StepLog) -> std::io::Result<String> {
    if !step.path.exists() {
        return Ok(String::new());
    }
    let length = logs.length(&step.path)?;
    if !is_long(length.lines, length.bytes) {
        return part_of(logs, step, 1, u64::MAX, WHOLE_BYTES_MAX).map(|(html, _)| html);
    }
    let (first, behind) = part_of(logs, step, 1, FIRST_LINES, PART_BYTES_MAX / 4)?;
    // Long lines: so many of the last ones as have room.
    let average = (length.bytes / length.lines.max(1)).max(1);
    let last = LAST_LINES.min(PART_BYTES_MAX / average).max(1);
    let from = length.lines.saturating_sub(last - 1).max(behind);
    let (rest, _) = part_of(logs, step, from, u64::MAX, PART_BYTES_MAX)?;
    Ok(format!("{first}{}{rest}", gap(step, behind, from.saturating_sub(1))))
}

/// Some lines, and links to what is around them. It blocks.
pub(super) fn part(logs: &Logs, step: &StepLog, from: u64, count: u64) -> std::io::Result<String> {
    if !step.path.exists() {
        return Ok(String::new());
    }
    let total = logs.length(&step.path)?.lines;
    let (html, behind) = part_of(logs, step, from, count, PART_BYTES_MAX)?;
    let before = from.min(behind).saturating_sub(1);
    Ok(format!("{}{html}{}", gap(step, 1, before), gap(step, behind, total)))
}

/// A link that stands for lines.
fn gap(step: &StepLog, from: u64, to: u64) -> String {
    if from > to {
        return String::new();
    }
    let (id, count) = (&step.id, to - from + 1);
    format!(
        "<a class=gap data-step={id} data-from={from} data-to={to} href=\"?step={id}&amp;from={from}#{id}\">\
         {count} lines are not shown: show from line {from} on</a>"
    )
}

/// Lines as HTML, and the number behind the last.
fn part_of(logs: &Logs, step: &StepLog, from: u64, count: u64, bytes: u64) -> std::io::Result<(String, u64)> {
    let part = logs.lines(&step.path, from, count, bytes)?;
    let mut state: State = part.state;
    let behind = part.first + part.lines.len() as u64;
    let times = if step.is_timed { stamps(&step.path, &part)? } else { Vec::new() };
    Ok((assemble(&stamped(&step.id, part.first, &part.lines, &mut state, &times)), behind))
}
