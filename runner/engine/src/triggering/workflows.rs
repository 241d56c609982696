//! The workflows of a commit: read and checked once, asked whether an event starts them, made into [`RunSpec`]s.
//!
//! A file that cannot be read is a failed run of the events that bring files along (pushes and pull requests, as on
//! GitHub) or that name it; for others it is a reason why nothing ran.

use std::fmt::Write as _;
use std::sync::Arc;

use git2::Repository as Git;
use indexmap::IndexMap;
use serde_json::Value as Json;
use workflow::check::{check, keeps_from_running};
use workflow::diagnostic::{Code, Diagnostic};
use workflow::event::{Event, EventName, Forge};
use workflow::model::{Trigger, Workflow};
use workflow::read::{ReadOptions, read_workflow};
use workflow::source::{SourceFile, SourceMap, Spanned};
use workflow::trigger::{TriggerDecision, decide, skip_instruction};

use super::Found;
use super::known::{Called, Known};
use crate::mirror::{MirrorError, WorkflowSources};
use crate::service::{RunSpec, Trust};
use crate::store::followers::Following;
use crate::store::schedules::CronLine;

/// Most bytes of all workflow files of a commit together.
const ALL_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// Reasons that are told for one event.
const REASONS_MAX: usize = 20;
/// Pairs of a workflow that others follow and what of it which are kept.
const FOLLOWED_MAX: usize = 1_000;
/// Diagnostics that a failed run shows.
const DIAGNOSTICS_MAX: usize = 50;

/// One workflow file of a commit.
#[derive(Debug)]
pub(super) struct ReadWorkflow {
    pub(super) path: String,
    /// Its text and those of the workflows that it calls, by path or reference.
    pub(super) sources: IndexMap<String, String>,
    /// The workflow, or what is wrong with it, rendered.
    pub(super) workflow: Result<Box<Workflow>, Vec<String>>,
}

/// Reads all workflows of a commit; what they say to actions that are known is looked at.
pub(super) fn read(repository: &Git, sha: &str, known: &Known) -> Result<Vec<ReadWorkflow>, MirrorError> {
    let commit = WorkflowSources::of(repository, sha)?;
    let paths = match commit.paths() {
        Ok(paths) => paths,
        // The settings of the repository are wrong: nobody knows which workflows it has.
        Err(diagnostic) => return Ok(vec![broken(".pipe.toml", &diagnostic)]),
    };
    let (mut read, mut bytes) = (Vec::new(), 0);
    for path in paths {
        let workflow = match commit.text(&path) {
            Ok(text) => one(&commit, &path, text, known),
            Err(diagnostic) => broken(&path, &diagnostic),
        };
        bytes += workflow.sources.values().map(String::len).sum::<usize>();
        if bytes > ALL_BYTES_MAX {
            let message = format!("the workflow files of this commit have more than {ALL_BYTES_MAX} bytes together");
            read.push(broken(&path, &Diagnostic::error(Code("P0008"), None, message)));
            break;
        }
        read.push(workflow);
    }
    Ok(read)
}

fn one(commit: &WorkflowSources<'_>, path: &str, text: String, known: &Known) -> ReadWorkflow {
    let files = Called { commit, known };
    let options = ReadOptions::default();
    let reading = read_workflow(SourceFile::new(path, text), &files, &options);
    let sources = texts(&reading.sources);
    let checked = check(&reading, &files, &options, &known.actions);
    let keeps = |diagnostic: &&Diagnostic| match reading.workflow {
        Some(_) => keeps_from_running(diagnostic),
        None => diagnostic.is_error(),
    };
    let errors = checked.diagnostics.iter().filter(keeps).take(DIAGNOSTICS_MAX);
    let errors: Vec<_> = errors.map(|diagnostic| rendered(diagnostic, &checked.sources)).collect();
    let workflow = reading.workflow.clone().filter(|_| errors.is_empty()).map(Box::new).ok_or(errors);
    ReadWorkflow { path: path.to_owned(), sources, workflow }
}

fn broken(path: &str, diagnostic: &Diagnostic) -> ReadWorkflow {
    let told = rendered(diagnostic, &SourceMap::default());
    ReadWorkflow { path: path.to_owned(), sources: IndexMap::new(), workflow: Err(vec![told]) }
}

fn texts(sources: &SourceMap) -> IndexMap<String, String> {
    sources.iter().map(|file| (file.name().to_owned(), file.text().to_owned())).collect()
}

/// `path:line:column: what is wrong [code]`, and what to do on a line of its own.
fn rendered(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let mut text = String::new();
    if let Some((name, start, _)) = diagnostic.span.and_then(|span| sources.locate(span)) {
        let _cannot_fail = write!(text, "{name}:{}:{}: ", start.line, start.column);
    }
    let _cannot_fail = write!(text, "{} [{}]", diagnostic.message, diagnostic.code.0);
    for more in [&diagnostic.label, &diagnostic.help].into_iter().flatten() {
        let _cannot_fail = write!(text, "\n  {more}");
    }
    text
}

/// The cron lines of all workflows.
pub(super) fn schedules(read: &[ReadWorkflow]) -> Vec<CronLine> {
    let mut lines = Vec::new();
    for ReadWorkflow { path, workflow, .. } in read {
        let Ok(workflow) = workflow else { continue };
        let Some(trigger) = workflow.on.entries.get("schedule") else { continue };
        lines.extend(trigger.schedule.iter().map(|schedule| CronLine {
            workflow: path.clone(),
            cron: schedule.cron.value.clone(),
            timezone: schedule.timezone.as_ref().map(|zone| zone.value.clone()),
        }));
    }
    lines
}

/// Of which workflows runs start others, and what of them.
pub(super) fn followed(read: &[ReadWorkflow]) -> Vec<Following> {
    let workflows = read.iter().filter_map(|one| one.workflow.as_ref().ok());
    let triggers = workflows.filter_map(|workflow| workflow.on.entries.get(EventName::WorkflowRun.as_str()));
    triggers.flat_map(following).take(FOLLOWED_MAX).collect()
}

fn following(trigger: &Trigger) -> Vec<Following> {
    let values = |written: &[Spanned<String>]| written.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
    let names = trigger.filters.workflows.as_deref().map_or_else(|| vec![String::new()], values);
    let usual = || EventName::WorkflowRun.activities().iter().map(|activity| (*activity).to_owned()).collect();
    let activities = trigger.filters.types.as_deref().map_or_else(usual, values);
    let pairs = names.iter().flat_map(|name| activities.iter().map(move |activity| (name, activity)));
    pairs.map(|(name, activity)| Following { name: name.clone(), activity: activity.clone() }).collect()
}

/// What the workflows are asked.
pub(super) struct Asked<'a> {
    pub(super) forge: Forge,
    /// As registered.
    pub(super) repository: &'a str,
    pub(super) event: &'a Arc<Event>,
    pub(super) trust: Trust,
    /// Why somebody has to let it run.
    pub(super) held: Option<String>,
}

impl Asked<'_> {
    /// What the event starts.
    pub(super) fn decide(&self, read: &[ReadWorkflow]) -> Found {
        let (mut specs, mut others) = (Vec::new(), Vec::new());
        if read.is_empty() {
            let sha = self.event.sha.as_deref().unwrap_or_default();
            return Found::Nothing(format!("commit {sha} has no workflows"));
        }
        for workflow in read {
            match self.one(workflow) {
                Ok(Some(spec)) => specs.push(spec),
                Ok(None) => {}
                Err(reason) => others.push(reason),
            }
        }
        if specs.is_empty() { Found::Nothing(joined(&others)) } else { Found::Runs { specs, others } }
    }

    /// The run of one workflow; `None` for one that the event is not about; else why it does not run.
    fn one(&self, read: &ReadWorkflow) -> Result<Option<RunSpec>, String> {
        let named = self.event.payload.get("workflow").and_then(Json::as_str);
        let is_named = matches!(self.event.name, EventName::Schedule | EventName::WorkflowDispatch);
        if is_named && named.is_some_and(|named| named != read.path) {
            return Ok(None);
        }
        let workflow = match &read.workflow {
            Ok(workflow) => workflow,
            Err(told) if self.fails_for() => return Ok(Some(self.problem(read, told))),
            Err(_) => return Err(format!("{}: it is not valid at this commit", read.path)),
        };
        match decide(workflow, self.event) {
            TriggerDecision::Runs { event, inputs } => {
                let mut spec = self.spec(read, Event::clone(&event));
                spec.inputs = Json::Object(inputs);
                Ok(Some(spec))
            }
            TriggerDecision::DoesNotRun(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                Err(format!("{}: {}", read.path, reasons.join(", ")))
            }
        }
    }

    /// Whether a file that cannot be read is a failed run: whoever brought it should see it.
    fn fails_for(&self) -> bool {
        let brings = matches!(self.event.name, EventName::Push | EventName::PullRequest)
            && self.event.head_message.as_deref().is_none_or(|message| skip_instruction(message).is_none())
            && self
                .event
                .name
                .default_activities()
                .is_none_or(|usual| self.event.action.as_deref().is_some_and(|action| usual.contains(&action)));
        brings || matches!(self.event.name, EventName::WorkflowDispatch | EventName::Schedule)
    }

    fn problem(&self, read: &ReadWorkflow, told: &[String]) -> RunSpec {
        let mut spec = self.spec(read, Event::clone(self.event));
        spec.problem = Some(told.to_vec());
        spec.held = None;
        spec
    }

    fn spec(&self, read: &ReadWorkflow, event: Event) -> RunSpec {
        let mut spec = RunSpec::new(self.forge, event, &read.path, read.sources.clone());
        self.repository.clone_into(&mut spec.repository);
        spec.trust = self.trust;
        spec.held.clone_from(&self.held);
        if self.event.name == EventName::Schedule {
            "schedule".clone_into(&mut spec.requested_by);
        }
        spec
    }
}

fn joined(reasons: &[String]) -> String {
    let told: Vec<&str> = reasons.iter().take(REASONS_MAX).map(String::as_str).collect();
    let more = reasons.len().saturating_sub(REASONS_MAX);
    let text = if told.is_empty() { "no workflow is meant".to_owned() } else { told.join("; ") };
    if more == 0 { text } else { format!("{text}; and {more} more") }
}
