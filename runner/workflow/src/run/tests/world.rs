//! A world for one run: its clock, its concurrency groups, and an engine that only says what it is told to say.
//!
//! It does with decisions what the dispatcher of crate `engine` does, and keeps the recorded log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::expression::Value;
use crate::model::{JobId, Workflow};
use crate::read::{ReadOptions, WorkflowFiles, read_workflow};
use crate::run::{
    CancelReason, Command, Conclusion, Decision, EVENT_VERSION, GroupChange, Groups, JobRunKey, Limits, QueueMode,
    Recorded, Run, RunEvent, RunFacts, StepIndex, StepResult,
};
use crate::source::SourceFile;

use super::environments::environments;

/// The rest of a job that has nothing to say but that it runs.
const PLAIN: &str = "runs-on: x, steps: [{ run: x }]";
/// More than any run of the tests needs: a run that goes on for longer goes round in circles.
const ROUNDS_MAX: usize = 20_000;

pub(super) struct World {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    pub(super) log: Vec<Recorded>,
    pub(super) limits: Limits,
    /// Whether work that is asked for is begun at once; otherwise it stays in `asked`.
    pub(super) eager: bool,
    pub(super) asked: Vec<Command>,
    groups: Groups<Option<JobRunKey>>,
    told: BTreeSet<String>,
    text: String,
    begun: bool,
}

struct Called<'a>(BTreeMap<&'a str, String>);

impl WorkflowFiles for Called<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let (name, text) = self.0.get_key_value(reference)?;
        Some(Ok(SourceFile::new(*name, text.as_str())))
    }
}

/// Reads a workflow. Lines are those below `jobs:`, or a whole file when it has an `on:`; `@ ./path` begins a called
/// workflow; `$` stands for what a job must have.
pub(super) fn workflow(text: &str) -> Workflow {
    let whole = |text: &str| {
        let text = text.replace(" $ ", &format!(" {PLAIN} "));
        if text.contains("jobs:") {
            return format!("on: push\n{text}");
        }
        format!("on: push\njobs:\n  {}", text.replace('\n', "\n  "))
    };
    let mut parts = text.split("@ ");
    let main = whole(parts.next().unwrap_or_default());
    let called = parts.map(|part| {
        let (name, text) = part.split_once('\n').expect("the path of a called workflow");
        (name.trim(), whole(text).replacen("on: push\non:", "on:", 1))
    });
    let main = main.replacen("on: push\non:", "on:", 1);
    let called = Called(called.collect());
    let reading = read_workflow(SourceFile::new("ci.yml", main.as_str()), &called, &ReadOptions::default());
    let errors: Vec<_> = reading.errors.iter().map(|error| error.github_text(&reading.sources)).collect();
    reading.workflow.filter(|_| errors.is_empty()).unwrap_or_else(|| panic!("{errors:?} in\n{main}"))
}

pub(super) fn facts(workflow: Workflow) -> RunFacts {
    RunFacts {
        workflow: Arc::new(workflow),
        github: Value::from_json(&json!({ "ref": "refs/heads/main", "event_name": "push", "actor": "mona" })),
        inputs: Value::from_json(&json!({})),
        vars: Value::from_json(&json!({ "LIST": "[1,2]", "ONE": "1", "EMPTY": "" })),
        selected: None,
        legs: Vec::new(),
        environments: Arc::new(environments()),
        workflow_hash: String::new(),
        held: None,
    }
}

impl World {
    pub(super) fn new(text: &str) -> Self {
        Self::of(facts(workflow(text)))
    }

    pub(super) fn of(facts: RunFacts) -> Self {
        Self {
            run: Run::new(Arc::new(facts)),
            now: Timestamp::UNIX_EPOCH,
            log: Vec::new(),
            limits: Limits { parallel: 100 },
            eager: true,
            asked: Vec::new(),
            groups: Groups::default(),
            told: BTreeSet::new(),
            text: String::new(),
            begun: false,
        }
    }

    /// Goes on from a state that was read from a log: groups that are held stay held.
    pub(super) fn resume(&mut self, run: Run, now: Timestamp) {
        let held = run.job_runs().filter(|(_, job)| job.conclusion().is_none());
        let held = held.filter_map(|(key, job)| Some((Some(key), job.group.as_ref().filter(|group| group.acquired)?)));
        for (holder, group) in held.chain(run.group.as_ref().filter(|group| group.acquired).map(|group| (None, group)))
        {
            let _acquired = self.groups.request(&group.name, &holder, false, QueueMode::Single);
        }
        self.run = run;
        self.now = now;
        self.begun = true;
    }

    /// What happened so far, the run's end last.
    pub(super) fn transcript(&mut self) -> String {
        self.begin();
        std::mem::take(&mut self.text)
    }

    /// One line of a script.
    pub(super) fn script(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["parallel", count] => self.limits.parallel = count.parse().unwrap(),
            ["select", ids @ ..] => {
                self.facts().selected = Some(ids.iter().map(|id| JobId::new(*id)).collect());
            }
            ["leg", pair] => {
                let (key, value) = pair.split_once('=').unwrap();
                self.facts().legs.push((key.to_owned(), value.to_owned()));
            }
            ["held"] => self.facts().held = Some("of a fork".to_owned()),
            ["closed"] => Arc::get_mut(&mut self.facts().environments).unwrap().closed = true,
            ["cancel", "early"] => {}
            _ => self.begin(),
        }
        writeln!(self.text, "> {line}").unwrap();
        match words.as_slice() {
            ["parallel" | "select" | "leg" | "closed" | "held", ..] | ["start"] => {}
            ["cancel"] | ["cancel", "early"] => {
                self.record(vec![RunEvent::RunCancelRequested { by: "mona".into(), force: false }])
            }
            ["kill"] => self.record(vec![RunEvent::RunCancelRequested { by: "mona".into(), force: true }]),
            ["approve", key] => self.review(&JobRunKey::parse(key), true, "ada"),
            ["approve", key, by] => self.review(&JobRunKey::parse(key), true, by),
            ["reject", key] => self.review(&JobRunKey::parse(key), false, "ada"),
            // The server starts again with other rules.
            ["rules", name, reviewers @ ..] => {
                let facts = Arc::get_mut(&mut self.run.facts).unwrap();
                let rules = Arc::get_mut(&mut facts.environments).unwrap().rules.get_mut(*name).unwrap();
                rules.reviewers = reviewers.iter().map(ToString::to_string).collect();
                self.settle();
            }
            // Something else stands there now.
            ["written", name, authors @ ..] => {
                let facts = Arc::get_mut(&mut self.run.facts).unwrap();
                let authors = authors.iter().map(ToString::to_string).collect();
                Arc::get_mut(&mut facts.environments).unwrap().written.insert((*name).to_owned(), Ok(authors));
                self.settle();
            }
            ["release"] => self.record(self.run.release("ada")),
            ["refuse", word] => self.record(vec![RunEvent::RunRefused { message: (*word).to_owned() }]),
            ["step", key, word] => self.step(&JobRunKey::parse(key), conclusion(word)),
            [minutes] if minutes.starts_with('+') => {
                self.now += Duration::from_secs(60 * minutes[1..].parse::<u64>().unwrap());
            }
            words => self.ends(words),
        }
        if self.begun {
            self.settle();
            assert!(self.run.next_deadline(self.now).is_none_or(|deadline| deadline > self.now));
        }
    }

    fn facts(&mut self) -> &mut RunFacts {
        Arc::get_mut(&mut self.run.facts).expect("before the run begins")
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.settle();
        }
    }

    /// `test(1)=success out=1 other=2`.
    fn ends(&mut self, words: &[&str]) {
        let (key, word) = words[0].split_once('=').unwrap_or_else(|| panic!("{words:?}"));
        let pairs = words[1..].iter().map(|pair| pair.split_once('=').unwrap());
        let outputs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.finish(&JobRunKey::parse(key), conclusion(word), outputs);
    }

    pub(super) fn review(&mut self, key: &JobRunKey, approved: bool, by: &str) {
        let gate = self.run.job_run(key).and_then(|run| run.gate.as_ref());
        let passed = gate.is_none_or(|gate| gate.would_pass(approved));
        let (key, by, comment) = (key.clone(), by.to_owned(), String::new());
        self.record(vec![RunEvent::Reviewed { key, approved, by, comment, passed }]);
    }

    fn step(&mut self, key: &JobRunKey, conclusion: Conclusion) {
        let step = StepIndex(u32::try_from(self.run.job_run(key).expect("a job run").steps.len()).unwrap_or(0));
        let outputs = BTreeMap::from([("out".to_owned(), "put".to_owned())]);
        let exit_code = Some(i32::from(conclusion != Conclusion::Success));
        let result = StepResult { outputs, exit_code, ..StepResult::plain(conclusion) };
        self.record(vec![
            RunEvent::JobRunPlaced { key: key.clone(), runner: "docker: x".into(), pre: 0 },
            RunEvent::StepStarted { key: key.clone(), step, name: format!("Run {}", step.0) },
            RunEvent::StepFinished { key: key.clone(), step, result },
        ]);
    }

    pub(super) fn finish(
        &mut self,
        key: &JobRunKey,
        conclusion: Conclusion,
        outputs: std::collections::BTreeMap<String, String>,
    ) {
        self.record(vec![RunEvent::JobRunFinished { key: key.clone(), conclusion, outputs, message: None }]);
    }

    /// Does what the dispatcher does, until nothing new follows.
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let decisions = self.run.decide(self.now, &self.limits);
            let (mut facts, mut commands) = (Vec::new(), Vec::new());
            for decision in decisions {
                match decision {
                    Decision::Record(event) => facts.push(event),
                    Decision::Do(command) => commands.push(command),
                }
            }
            if facts.is_empty() {
                self.asked.clone_from(&commands);
                for command in commands {
                    let group = matches!(command, Command::AcquireGroup { .. });
                    facts.extend(self.perform(command));
                    if group && !facts.is_empty() {
                        break;
                    }
                }
            }
            if facts.is_empty() {
                return;
            }
            self.record(facts);
        }
        panic!("the run goes round in circles:\n{}", self.text);
    }

    fn perform(&mut self, command: Command) -> Vec<RunEvent> {
        match command {
            Command::AcquireGroup { holder, group, cancel_in_progress, queue } => {
                let changes = self.groups.request(&group, &holder, cancel_in_progress, queue);
                self.group_events(&group, changes)
            }
            Command::StartJobRun { key } if self.eager => vec![RunEvent::JobRunStarted { key }],
            Command::StartJobRun { .. } => Vec::new(),
            Command::CancelJobRun { key } => self.tell(format!("{key} is told to stop")),
            Command::KillJobRun { key } => self.tell(format!("{key} is killed")),
        }
    }

    fn tell(&mut self, line: String) -> Vec<RunEvent> {
        if self.told.insert(line.clone()) {
            writeln!(self.text, "{line}").unwrap();
        }
        Vec::new()
    }

    fn group_events(&self, group: &str, changes: Vec<GroupChange<Option<JobRunKey>>>) -> Vec<RunEvent> {
        let open = |key: &JobRunKey| self.run.job_run(key).is_some_and(|run| run.conclusion().is_none());
        changes
            .into_iter()
            .filter_map(|change| match change {
                GroupChange::Acquired(Some(key)) if !open(&key) => None,
                GroupChange::Cancel(Some(key)) if !open(&key) => None,
                GroupChange::Acquired(holder) => Some(RunEvent::GroupAcquired { holder }),
                GroupChange::Cancel(Some(key)) => {
                    let reason = CancelReason::Group { group: group.to_owned(), superseded_by: None };
                    Some(RunEvent::JobRunCancelRequested { key, reason })
                }
                GroupChange::Cancel(None) => {
                    Some(RunEvent::RunCancelRequested { by: format!("group {group}"), force: false })
                }
            })
            .collect()
    }

    pub(super) fn record(&mut self, facts: Vec<RunEvent>) {
        let mut open = facts;
        while !open.is_empty() {
            let mut follow = Vec::new();
            for event in open {
                let recorded = Recorded { v: EVENT_VERSION, seq: self.run.seq + 1, at: self.now, event };
                if let Err(illegal) = self.run.apply(&recorded) {
                    assert!(std::env::var_os("UPDATE").is_some(), "{illegal}\n{}", self.text);
                    writeln!(self.text, "ILLEGAL {illegal}").unwrap();
                    return;
                }
                self.show(&recorded.event);
                if let RunEvent::JobRunFinished { key, .. } = &recorded.event
                    && let Some(group) = self.run.job_run(key).and_then(|run| run.group.clone())
                {
                    let changes = self.groups.release(&group.name, &Some(key.clone()));
                    follow.extend(self.group_events(&group.name, changes));
                }
                self.log.push(recorded);
            }
            // One of the batch may have ended what was about to go on.
            follow.retain(|event| {
                let (RunEvent::JobRunCancelRequested { key, .. } | RunEvent::GroupAcquired { holder: Some(key) }) =
                    event
                else {
                    return true;
                };
                self.run.job_run(key).is_some_and(|run| run.conclusion().is_none())
            });
            open = follow;
        }
    }

    fn show(&mut self, event: &RunEvent) {
        let who = |holder: &Option<JobRunKey>| holder.as_ref().map_or_else(|| "run".to_owned(), ToString::to_string);
        let line = match event {
            RunEvent::RunStarted => return,
            RunEvent::GroupRequested { holder, group, .. } => format!("{} asks for the group {group}", who(holder)),
            RunEvent::GroupAcquired { holder } => format!("{} has its group", who(holder)),
            RunEvent::JobSkipped { job, reason } => format!("{job} skipped: {}", reason.sentence()),
            RunEvent::JobRefused { job, message } => format!("{job} refused: {message}"),
            RunEvent::JobExpanded { job, matrix, legs, .. } => {
                let names: Vec<_> = legs.iter().map(|leg| leg.name.as_str()).collect();
                if !matrix && names == [job.as_str()] {
                    return;
                }
                format!("{job} named {}", names.join(" | "))
            }
            RunEvent::CallStarted { key, inputs } => format!("{key} calls with {inputs}"),
            RunEvent::JobRunStarted { key } => format!("{key} started"),
            RunEvent::JobRunReset { key } => format!("{key} begins again"),
            RunEvent::JobRunPlaced { .. } | RunEvent::StepStarted { .. } | RunEvent::StepFinished { .. } => return,
            RunEvent::JobRunFinished { key, conclusion, outputs, message } => {
                let outputs = if outputs.is_empty() { String::new() } else { format!(" {outputs:?}") };
                let message = message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                format!("{key} {}{outputs}{message}", conclusion.word())
            }
            RunEvent::JobRunCancelRequested { key, reason } => format!("{key} should stop: {}", reason.sentence()),
            RunEvent::RunCancelRequested { by, force } => {
                format!("run {} by {by}", if *force { "killed" } else { "cancelled" })
            }
            RunEvent::ReviewRequested { key, environment, reviewers, wait_ms, terms } => {
                let authors = terms.authors.iter().flatten().map(|name| format!("author {name}"));
                let barred: Vec<_> = terms.barred.iter().cloned().chain(authors).collect();
                let (minutes, barred) = (wait_ms / 60_000, barred.join(", "));
                let count = if terms.required == 1 { String::new() } else { format!("{} of ", terms.required) };
                let but = if barred.is_empty() { String::new() } else { format!(", not {barred}") };
                format!("{key} waits at {environment} for {count}{}{but} and {minutes} min", reviewers.join(", "))
            }
            RunEvent::Reviewed { key, approved, by, passed, .. } => {
                let more = if *passed { "" } else { ", more are wanted" };
                format!("{key} {} by {by}{more}", if *approved { "approved" } else { "rejected" })
            }
            RunEvent::RunHeld { reason } => format!("run held: {reason}"),
            RunEvent::RunReleased { by } => format!("run released by {by}"),
            RunEvent::RunRefused { message } => format!("run refused: {message}"),
            RunEvent::RunFinished { conclusion } => format!("run {}", conclusion.word()),
        };
        writeln!(self.text, "{line}").unwrap();
    }
}

pub(super) fn conclusion(word: &str) -> Conclusion {
    [Conclusion::Success, Conclusion::Failure, Conclusion::Cancelled, Conclusion::Skipped]
        .into_iter()
        .find(|conclusion| conclusion.word() == word)
        .unwrap_or_else(|| panic!("no conclusion {word}"))
}
