//! From the JSON lines of `pipe run --json` to the text that a case expects.
//!
//! Times, numbers of runs, and our own headings go; what a user of GitHub would compare stays: conclusions of run, jobs
//! and steps, outputs, annotations with a place, summaries, and each step's output. Jobs come in the order of their
//! keys, since jobs that run side by side have no other. `docs/events.md` describes the lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// What is known of a run.
#[derive(Default)]
pub(super) struct Transcript {
    conclusion: Option<String>,
    title: Option<String>,
    jobs: BTreeMap<(String, u64), Job>,
    timeline: Vec<String>,
    /// Sentences of `pipe` about the run.
    pub(super) messages: Vec<String>,
}

#[derive(Default)]
struct Job {
    name: String,
    conclusion: String,
    message: Option<String>,
    outputs: Vec<(String, String)>,
    log: Vec<String>,
    steps: BTreeMap<u64, Step>,
}

#[derive(Default)]
struct Step {
    name: Option<String>,
    outcome: String,
    conclusion: String,
    log: Vec<String>,
    annotations: Vec<String>,
    summary: Vec<String>,
}

impl Transcript {
    /// Takes one line.
    pub(super) fn line(&mut self, line: &str) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return self.messages.push(line.to_owned());
        };
        let job = event["job"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "run_finished" => self.conclusion = Some(text(&event["conclusion"])),
            "run_created" => self.title = event["title"].as_str().filter(|title| !title.is_empty()).map(str::to_owned),
            "message" => self.messages.push(text(&event["text"])),
            "job_skipped" => self.job(&job).conclusion = "skipped".into(),
            "job_refused" => {
                let entry = self.job(&job);
                entry.conclusion = "failure".into();
                entry.message = event["message"].as_str().map(str::to_owned);
            }
            "job_expanded" => self.expanded(&job, &event),
            "job_run_started" | "call_started" => self.timeline.push(format!("+ {job}")),
            "job_run_finished" => {
                self.timeline.push(format!("- {job}"));
                let entry = self.job(&job);
                entry.conclusion = text(&event["conclusion"]);
                entry.message = event["message"].as_str().map(str::to_owned);
                entry.outputs = pairs(&event["outputs"]);
            }
            "step_started" => self.step(&job, &event).name = Some(text(&event["name"])),
            "step_finished" => {
                let (outcome, conclusion) = (text(&event["result"]["outcome"]), text(&event["result"]["conclusion"]));
                let step = self.step(&job, &event);
                (step.outcome, step.conclusion) = (outcome, conclusion);
            }
            "log" if event["step"].is_null() => self.job(&job).log.push(text(&event["text"])),
            "log" => self.step(&job, &event).log.push(text(&event["text"])),
            "annotation" if !event["step"].is_null() => {
                let shown = annotation(&event["annotation"]);
                self.step(&job, &event).annotations.extend(shown);
            }
            "summary" => {
                let lines = text(&event["markdown"]).lines().map(str::to_owned).collect();
                self.step(&job, &event).summary = lines;
            }
            _ => {}
        }
    }

    /// A line that a step printed; the script itself, which is shown in colour above it, is none.
    pub(super) fn log_of(line: &str) -> Option<String> {
        let event: Value = serde_json::from_str(line).ok()?;
        let shown = text(&event["text"]);
        (event["type"] == "log" && !shown.starts_with("\u{1b}[36;1m") && !shown.starts_with("##[")).then_some(shown)
    }

    fn expanded(&mut self, job: &str, event: &Value) {
        let matrix = event["matrix"] == true;
        for (index, leg) in event["legs"].as_array().into_iter().flatten().enumerate() {
            let key = if matrix { format!("{job}({index})") } else { job.to_owned() };
            self.job(&key).name = text(&leg["name"]);
        }
    }

    fn job(&mut self, key: &str) -> &mut Job {
        let leg = key.rsplit_once('(').and_then(|(_, leg)| leg.strip_suffix(')')).and_then(|leg| leg.parse().ok());
        let path = if leg.is_some() { key.rsplit_once('(').map_or(key, |(path, _)| path) } else { key };
        let job = self.jobs.entry((path.to_owned(), leg.unwrap_or(0))).or_default();
        if job.name.is_empty() {
            job.name = key.to_owned();
        }
        job
    }

    fn step(&mut self, job: &str, event: &Value) -> &mut Step {
        let index = event["step"].as_u64().unwrap_or(u64::MAX);
        self.job(job).steps.entry(index).or_default()
    }

    /// The text. Without a run it holds what `pipe` said instead.
    pub(super) fn render(&self, exit: &str, timeline: bool, brief: bool) -> String {
        let mut out = format!("exit {exit}\n");
        if let Some(conclusion) = &self.conclusion {
            let title = self.title.as_ref().map(|title| format!(" \"{title}\"")).unwrap_or_default();
            writeln!(out, "run{title}: {conclusion}").unwrap();
        }
        for ((path, _), job) in &self.jobs {
            let (name, id) = (&job.name, path.as_str());
            let shown = if name == id { id.to_owned() } else { format!("{id} \"{name}\"") };
            writeln!(out, "{}", format!("\njob {shown}: {}", job.conclusion).trim_end()).unwrap();
            job.render(&mut out, brief);
        }
        if timeline {
            writeln!(out, "\n{}", self.timeline.join("\n")).unwrap();
        }
        out
    }
}

impl Job {
    fn render(&self, out: &mut String, brief: bool) {
        if !brief {
            self.render_set_up(out);
        }
        self.render_results(out);
    }

    fn render_set_up(&self, out: &mut String) {
        let own = |line: &&String| !line.starts_with("Runner: ");
        let said = |message: &&String| !self.log.iter().any(|line| message.lines().any(|part| line.ends_with(part)));
        for line in self.message.as_ref().filter(said).into_iter().flat_map(|message| message.lines()) {
            writeln!(out, "  because: {line}").unwrap();
        }
        for line in self.log.iter().filter(own) {
            writeln!(out, "  | {line}").unwrap();
        }
    }

    fn render_results(&self, out: &mut String) {
        for (name, value) in &self.outputs {
            writeln!(out, "  output {name} = {value}").unwrap();
        }
        for (index, step) in &self.steps {
            let name = step.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let counts = match &step.conclusion {
                conclusion if *conclusion == step.outcome => String::new(),
                conclusion => format!(", counts as {conclusion}"),
            };
            writeln!(out, "{}", format!("  step {}{name}: {}{counts}", index + 1, step.outcome).trim_end()).unwrap();
            for (mark, lines) in [("|", &without_headings(&step.log)), ("!", &step.annotations), (">", &step.summary)] {
                for line in fit_to_read(lines) {
                    writeln!(out, "{}", format!("    {mark} {line}").trim_end()).unwrap();
                }
            }
        }
    }
}

/// Lines for a file that people read: what is no text is escaped, and of long lines, which come in pieces, the length is
/// shown.
fn fit_to_read(lines: &[String]) -> Vec<String> {
    const SHOWN_CHARACTERS_MAX: usize = 1000;
    const START_CHARACTERS: usize = 10;
    let escape = |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() };
    let mut shown: Vec<(String, usize)> = Vec::new();
    for line in lines {
        let length = line.chars().count();
        if length <= SHOWN_CHARACTERS_MAX {
            shown.push((line.chars().map(escape).collect(), 0));
            continue;
        }
        let start: String = line.chars().take(START_CHARACTERS).map(escape).collect();
        match shown.last_mut() {
            Some((last, before)) if *last == start && *before > 0 => *before += length,
            _ => shown.push((start, length)),
        }
    }
    let long = |(text, length)| if length > 0 { format!("{text}... ({length} characters)") } else { text };
    shown.into_iter().map(long).collect()
}

/// A step's output without what the engine says of a script or an action before it runs. Of checkouts and artifacts only warnings
/// and errors stay, since GitHub's own says other things.
fn without_headings(log: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let (mut rest, mut first, mut quiet) = (log, true, false);
    while let Some((line, after)) = rest.split_first() {
        let end = rest.iter().position(|line| line == "##[endgroup]").map_or(rest.len(), |at| at + 1);
        if line.starts_with("##[group]") && (first && line.starts_with("##[group]Run ") || is_heading(&rest[..end])) {
            quiet = ["checkout", "upload-artifact", "download-artifact"]
                .iter()
                .any(|name| line.strip_prefix("##[group]Run actions/") == Some(name));
            rest = &rest[end..];
        } else {
            if !quiet || line.starts_with("##[") {
                kept.push(line.clone());
            }
            rest = after;
        }
        first = false;
    }
    kept
}

/// Whether a group is what the engine says before a step of an action.
fn is_heading(group: &[String]) -> bool {
    let ours = ["##[group]Run ./", "##[group]Run actions/", "##[group]Run pipe/", "##[group]Post "];
    let of_action = |line: &String| ours.iter().any(|start| line.starts_with(start));
    group.first().is_some_and(of_action) || group.iter().any(|line| line.starts_with("shell: "))
}

/// What an annotation says beyond its line of the log.
fn annotation(annotation: &Value) -> Option<String> {
    let place = ["file", "line", "end_line", "column", "end_column", "title", "code"].iter().filter_map(|name| {
        let value = &annotation[name];
        (!value.is_null()).then(|| format!("{name}={}", text(value)))
    });
    let place = place.collect::<Vec<_>>().join(" ");
    (!place.is_empty()).then(|| format!("{} {place}: {}", text(&annotation["level"]), text(&annotation["message"])))
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
