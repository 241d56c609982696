//! From readings and an event to plans: which workflows run, what they will do, and why the others do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use workflow::check::keeps_from_running;
use workflow::diagnostic::{Diagnostic, suggest};
use workflow::event::{Event, GithubFacts, github_context};
use workflow::model::Workflow;
use workflow::plan::{JobIndex, Plan, PlanFacts};
use workflow::source::Span;
use workflow::trigger::{TriggerDecision, WhyNot, decide};

use crate::exit::Failure;
use crate::reading::Reading;

/// A workflow that runs.
#[derive(Debug)]
pub struct Triggered<'a> {
    /// The file.
    pub reading: &'a Reading,
    /// The workflow.
    pub workflow: &'a Workflow,
    /// The event, with completed inputs.
    pub event: Arc<Event>,
    /// Typed inputs.
    pub inputs: Map<String, Json>,
    /// The plan.
    pub plan: Plan,
}

/// What an event does.
#[derive(Debug, Default)]
pub struct Outcome<'a> {
    /// These run.
    pub triggered: Vec<Triggered<'a>>,
    /// These do not.
    pub others: Vec<(&'a Reading, &'a Workflow, Vec<WhyNot>)>,
    /// These cannot: their files are wrong, or planning found a mistake.
    pub invalid: Vec<(&'a Reading, Vec<Diagnostic>)>,
}

/// What plans are made for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The event.
    pub event: &'a Arc<Event>,
    /// Configuration variables.
    pub vars: &'a IndexMap<String, String>,
    /// Jobs that were asked for; workflows without any of them are left out.
    pub jobs: &'a [String],
    /// The forge, such as `https://github.com`.
    pub server_url: &'a str,
}

/// Decides and plans.
///
/// # Errors
/// A job was asked for that no workflow has.
pub fn plan<'a>(readings: &'a [Reading], request: &Request<'_>) -> Result<Outcome<'a>, Failure> {
    let mut outcome = Outcome::default();
    let known: Vec<&Workflow> = readings.iter().filter_map(|reading| reading.workflow.as_ref()).collect();
    check_jobs(request.jobs, &known)?;
    for reading in readings {
        let Some(workflow) = &reading.workflow else {
            outcome.invalid.push((reading, reading.diagnostics.clone()));
            continue;
        };
        if !request.jobs.is_empty() && !request.jobs.iter().any(|job| has_job(workflow, job)) {
            continue;
        }
        match decide(workflow, request.event) {
            TriggerDecision::DoesNotRun(reasons) => outcome.others.push((reading, workflow, reasons)),
            TriggerDecision::Runs { .. } if reading.diagnostics.iter().any(keeps_from_running) => {
                outcome.invalid.push((reading, reading.diagnostics.clone()));
            }
            TriggerDecision::Runs { event, inputs } => {
                match Plan::new(workflow, &facts(workflow, &event, &inputs, request)) {
                    Ok(plan) => outcome.triggered.push(Triggered { reading, workflow, event, inputs, plan }),
                    Err(diagnostics) => outcome.invalid.push((reading, diagnostics)),
                }
            }
        }
    }
    Ok(outcome)
}

/// What a plan of one workflow is made for.
pub fn facts(workflow: &Workflow, event: &Arc<Event>, inputs: &Map<String, Json>, request: &Request<'_>) -> PlanFacts {
    let vars = request.vars.iter().map(|(name, value)| (name.clone(), Json::String(value.clone()))).collect();
    let github = github_context(event, &github_facts(workflow, request.server_url));
    PlanFacts { event: Arc::clone(event), inputs: inputs.clone(), github, vars }
}

/// The facts of a local run's `github` context that its event does not know.
pub fn github_facts(workflow: &Workflow, server_url: &str) -> GithubFacts {
    let (api, graphql) = if server_url == "https://github.com" {
        ("https://api.github.com".to_owned(), "https://api.github.com/graphql".to_owned())
    } else {
        (format!("{server_url}/api/v3"), format!("{server_url}/api/graphql"))
    };
    GithubFacts {
        workflow: workflow.display_name().to_owned(),
        workflow_path: workflow.path.clone(),
        run_number: 1,
        run_attempt: 1,
        server_url: server_url.to_owned(),
        api_url: api,
        graphql_url: graphql,
        retention_days: 0,
        ..GithubFacts::default()
    }
}

impl Triggered<'_> {
    /// The jobs that were asked for with those that they need, callers and called ones; all where none was asked for.
    pub fn selected(&self, jobs: &[String]) -> Vec<JobIndex> {
        if jobs.is_empty() {
            return self.plan.indexed().map(|(index, _)| index).collect();
        }
        let here: Vec<&String> = jobs.iter().filter(|job| self.plan.select(&[job], true).is_ok()).collect();
        self.plan.select(&here, true).unwrap_or_default()
    }

    /// A warning for each secret that a selected job names and nobody gave.
    pub fn undefined_secrets(&self, jobs: &[String], known: &BTreeSet<String>) -> Vec<Diagnostic> {
        let selected = self.selected(jobs);
        let places: Vec<Span> =
            selected.iter().flat_map(|index| self.plan.secrets_of_run(*index).named.into_values()).collect();
        let undefined = self.plan.undefined_secrets(known).into_iter();
        undefined.filter(|found| found.span.is_none_or(|span| places.contains(&span))).collect()
    }
}

fn has_job(workflow: &Workflow, job: &str) -> bool {
    // A job of a called workflow is asked for as `caller/job`.
    let own = job.split('/').next().unwrap_or(job);
    workflow.jobs.keys().any(|id| id.as_str().eq_ignore_ascii_case(own))
}

fn check_jobs(jobs: &[String], workflows: &[&Workflow]) -> Result<(), Failure> {
    for job in jobs {
        if !workflows.iter().any(|workflow| has_job(workflow, job)) {
            let ids = workflows.iter().flat_map(|workflow| workflow.jobs.keys()).map(|id| id.as_str());
            let help = suggest(job, ids)
                .map_or_else(|| "`pipe list` shows the jobs".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(Failure::usage(format!("no workflow has a job `{job}`")).help(help));
        }
    }
    Ok(())
}
