//! The end of a run in words: each job, each failed step with its last lines, annotations, where to look.

use std::path::Path;

use anstyle::AnsiColor;
use engine::job::log_path;
use engine::store::RunNumbers;
use workflow::command::AnnotationLevel;
use workflow::run::{Conclusion, JobRunKey, StepIndex};

use super::plain::{marked, sign};
use super::record::{JobRecord, StepRecord};
use super::{Record, clean, duration, in_words};
use crate::terminal::Terminal;

/// How many lines of a failed step are shown.
const TAIL_LINES: usize = 40;

/// What the record does not know.
#[derive(Debug, Clone, Copy)]
pub struct SummaryFacts<'a> {
    /// The workflow's name.
    pub workflow: &'a str,
    /// `run-name`, empty where there is none.
    pub title: &'a str,
    /// The run's numbers.
    pub numbers: RunNumbers,
    /// Where its logs are.
    pub logs: Logs<'a>,
    /// What became of its tests, where somebody reported that.
    pub tests: Option<&'a str>,
    /// A command that runs it again; empty: none is known.
    pub again: &'a str,
}

/// Where logs are read.
#[derive(Debug, Clone, Copy)]
pub enum Logs<'a> {
    /// In files of this folder.
    Folder(&'a Path),
    /// By a command: its first words and its last ones; a job's key goes between them.
    Command(&'a str, &'a str),
}

impl Logs<'_> {
    fn of_run(self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Command(first, last) => format!("{first}{last}"),
        }
    }

    fn of_step(self, key: &JobRunKey, step: StepIndex) -> String {
        match self {
            Self::Folder(folder) => log_path(folder, key, Some(step)).display().to_string(),
            Self::Command(first, last) => format!("{first} --job '{key}'{last}"),
        }
    }
}

/// The whole text.
pub fn summary(record: &Record, facts: &SummaryFacts<'_>, terminal: Terminal) -> String {
    let mut text = String::from("\n");
    for (key, job) in record.jobs.iter().filter(|(_, job)| failed(job)) {
        failure(record, key, job, facts, terminal, &mut text);
    }
    annotations(record, terminal, &mut text);
    summaries(record, &mut text);
    head(record, facts, terminal, &mut text);
    for job in record.jobs.values().filter(|job| !job.calls) {
        job_line(record, job, terminal, &mut text);
    }
    if let Some(tests) = facts.tests {
        text.push_str(&format!("\nTests: {}\n", clean::clean(tests.as_bytes(), false)));
    }
    text.push_str(&format!("\nLogs: {}\n", facts.logs.of_run()));
    if !facts.again.is_empty() {
        text.push_str(&format!("Run again: {}\n", facts.again));
    }
    text
}

fn failed(job: &JobRecord) -> bool {
    job.finished.is_some_and(|(conclusion, _)| conclusion == Conclusion::Failure) && !job.calls
}

fn head(record: &Record, facts: &SummaryFacts<'_>, terminal: Terminal, text: &mut String) {
    let (conclusion, words) = match record.finished {
        Some((conclusion, _)) => (conclusion, conclusion.word()),
        None => (Conclusion::Failure, "not finished"),
    };
    let time = match (record.started, record.finished) {
        (Some(from), Some((_, to))) => format!(" in {}", in_words(duration::between(from, to))),
        (_, _) => String::new(),
    };
    let title = if facts.title.is_empty() { String::new() } else { format!(" {}", facts.title) };
    let name = terminal.bold(&format!("{} #{}{title}", facts.workflow, facts.numbers.number));
    text.push_str(&format!("{} {name}: {words}{time}\n", sign(conclusion, terminal)));
}

fn job_line(record: &Record, job: &JobRecord, terminal: Terminal, text: &mut String) {
    let width = record.jobs.values().map(|job| job.name.chars().count()).max().unwrap_or_default().min(50);
    let conclusion = job.finished.map_or(Conclusion::Cancelled, |(conclusion, _)| conclusion);
    let time = job.duration().map(in_words).unwrap_or_default();
    let failed_step = job.steps.values().find(|step| step_failed(step) && conclusion == Conclusion::Failure);
    let why = match (&job.message, failed_step) {
        (Some(message), _) => message.lines().next().unwrap_or_default().to_owned(),
        (None, Some(step)) => format!("in step `{}`", step.name),
        (None, None) => String::new(),
    };
    let allowed = if job.continue_on_error && conclusion == Conclusion::Failure { "  (continue-on-error)" } else { "" };
    let line = format!("{:width$}  {:<9}  {time:<12}  {why}{allowed}", job.name, conclusion.word());
    text.push_str(&format!("  {} {}\n", sign(conclusion, terminal), line.trim_end()));
}

fn step_failed(step: &StepRecord) -> bool {
    step.finished.as_ref().is_some_and(|(result, _)| result.conclusion == Conclusion::Failure)
}

fn failure(
    record: &Record,
    key: &JobRunKey,
    job: &JobRecord,
    facts: &SummaryFacts<'_>,
    terminal: Terminal,
    text: &mut String,
) {
    let red = |words: &str| terminal.strong(AnsiColor::Red, words);
    for (index, step) in job.steps.iter().filter(|(_, step)| step_failed(step)) {
        let result = step.finished.as_ref().map(|(result, _)| result);
        let exit = result.and_then(|result| result.exit_code).map(|code| format!(" (exit code {code})"));
        let why = result.and_then(|result| result.message.as_ref()).map(|message| format!(": {message}"));
        let head = format!("{} › {}{}", job.name, step.name, exit.unwrap_or_default());
        text.push_str(&format!("{} {}{}\n", red("✘"), terminal.bold(&head), why.unwrap_or_default()));
        tail(step, &facts.logs.of_step(key, *index), terminal, text);
    }
    if let Some(message) = &job.message {
        text.push_str(&format!("{} {}: {message}\n\n", red("✘"), terminal.bold(record.name(key))));
    }
}

fn tail(step: &StepRecord, log: &str, terminal: Terminal, text: &mut String) {
    let (lines, more) = step.tail.last(TAIL_LINES);
    let bar = terminal.tint(AnsiColor::Red, "│");
    let mut in_group = false;
    for line in lines.iter().filter_map(|line| marked(line, &mut in_group, terminal, true)) {
        text.push_str(format!("  {bar} {line}").trim_end());
        text.push('\n');
    }
    let words = if more { "the whole log" } else { "log" };
    text.push_str(&terminal.dim(&format!("  {words}: {log}")));
    text.push_str("\n\n");
}

fn annotations(record: &Record, terminal: Terminal, text: &mut String) {
    // What ended a step or a job is told above already.
    let told = |key: &JobRunKey, step: Option<StepIndex>, message: &str| {
        let job = record.jobs.get(key);
        let step = step.and_then(|step| job?.steps.get(&step)?.finished.as_ref()?.0.message.as_deref());
        step == Some(message) || job.and_then(|job| job.message.as_deref()) == Some(message)
    };
    let mut news = record.annotations.iter().filter(|(key, step, one)| !told(key, *step, &one.message)).peekable();
    if news.peek().is_none() {
        return;
    }
    text.push_str("Annotations\n");
    for (key, step, annotation) in news {
        let level = match annotation.level {
            AnnotationLevel::Error => terminal.strong(AnsiColor::Red, "error"),
            AnnotationLevel::Warning => terminal.strong(AnsiColor::Yellow, "warning"),
            AnnotationLevel::Notice => terminal.strong(AnsiColor::Cyan, "notice"),
        };
        let place = match (&annotation.file, annotation.line) {
            (Some(file), Some(line)) => format!(" {file}:{line}"),
            (Some(file), None) => format!(" {file}"),
            (None, _) => String::new(),
        };
        let title = annotation.title.as_ref().map(|title| format!(" {title}:")).unwrap_or_default();
        let mut lines = annotation.message.lines();
        let message = lines.next().unwrap_or_default();
        let more = if lines.next().is_some() { " …" } else { "" };
        let from = terminal.dim(&place_of(record, key, *step));
        let message = clean::clean(message.as_bytes(), false);
        text.push_str(&format!("  {level}{place}:{title} {message}{more}  {from}\n"));
    }
    if record.annotations_dropped > 0 {
        text.push_str(&format!("  and {} more\n", record.annotations_dropped));
    }
    text.push('\n');
}

fn place_of(record: &Record, key: &JobRunKey, step: Option<StepIndex>) -> String {
    let step = step.and_then(|step| record.jobs.get(key)?.steps.get(&step));
    match step {
        Some(step) => format!("{} › {}", record.name(key), step.name),
        None => record.name(key).to_owned(),
    }
}

fn summaries(record: &Record, text: &mut String) {
    if record.summaries.is_empty() {
        return;
    }
    text.push_str("Summaries\n");
    for (key, step, bytes) in &record.summaries {
        text.push_str(&format!("  {} ({bytes} bytes)\n", place_of(record, key, Some(*step))));
    }
    text.push('\n');
}
