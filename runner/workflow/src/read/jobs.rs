//! `jobs:`: each with its settings, and together a graph in which every job can start.
//!
//! Called workflows are read afterwards (`call`). Follows
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#jobs>.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::checks::Checks;
use super::condition::{self, Owner};
use super::identifiers::Identifiers;
use super::needs::{self, Waiting};
use super::{cache_mode, permissions, settings, steps, strategy};
use crate::model::{Job, JobId, JobKind, ReusableCall, Secrets, Step, StepsJob, Strategy};
use crate::source::{Span, Spanned};
use crate::template::Token;

/// Reads every job below `jobs:`.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token) -> IndexMap<JobId, Job> {
    let pairs = written.as_mapping().unwrap_or_default();
    let mut jobs = IndexMap::with_capacity(pairs.len());
    for (key, value) in pairs {
        checks.count_job(key.span);
        let job = read_job(checks, key, value);
        jobs.insert(job.id.value.clone(), job);
    }
    // A job with errors may name needs that it would not have had without them.
    if checks.may_go_on() {
        check_needs(checks, &jobs, written.span);
        spell_needs(&mut jobs);
    }
    jobs
}

fn check_needs(checks: &mut Checks<'_>, jobs: &IndexMap<JobId, Job>, span: Span) {
    let waiting: Vec<Waiting<'_>> = jobs
        .values()
        .map(|job| Waiting {
            id: job.id.value.as_str(),
            needs: job.needs.iter().map(|need| (need.value.as_str(), need.span)).collect(),
        })
        .collect();
    needs::check(checks, &waiting, span);
}

/// Spells needs as the jobs are and keeps each once.
fn spell_needs(jobs: &mut IndexMap<JobId, Job>) {
    let spelled: HashMap<String, JobId> =
        jobs.keys().map(|id| (id.as_str().to_ascii_lowercase(), id.clone())).collect();
    for job in jobs.values_mut() {
        let mut seen = std::collections::HashSet::new();
        for need in &mut job.needs {
            if let Some(id) = spelled.get(&need.value.as_str().to_ascii_lowercase()) {
                need.value = id.clone();
            }
        }
        job.needs.retain(|need| seen.insert(need.value.clone()));
    }
}

/// What is read of a job while its keys are gone through in file order, the order of its errors.
#[derive(Default)]
struct Parts {
    needs: Vec<Spanned<JobId>>,
    strategy: Option<Strategy>,
    steps: Vec<Step>,
}

fn read_job(checks: &mut Checks<'_>, key: &Token, written: &Token) -> Job {
    let id = key.as_str().unwrap_or_default();
    if let Err(message) = Identifiers::default().take(id) {
        checks.error(key.span, message);
    }
    let mut parts = Parts::default();
    let mut condition = None;
    for (key, value) in written.as_mapping().unwrap_or_default() {
        match key.as_str().unwrap_or_default() {
            "if" => condition = Some(condition::read(checks, value, Owner::Job)),
            "needs" => parts.needs = read_needs(value),
            "runs-on" => settings::check_runs_on(checks, value),
            "snapshot" => settings::check_snapshot(checks, value),
            "steps" => parts.steps = steps::read(checks, value),
            "strategy" => parts.strategy = Some(strategy::read(checks, value)),
            "container" => settings::check_container(checks, value),
            "services" => settings::check_services(checks, value),
            "concurrency" => settings::check_concurrency(checks, value),
            _ => {}
        }
    }
    Job {
        id: Spanned::new(JobId::new(id), key.span),
        span: key.span.to(written.span),
        name: written.get("name").filter(|name| name.as_str() != Some("")).cloned(),
        needs: parts.needs,
        needs_written: written.get("needs").cloned(),
        condition: condition.unwrap_or_else(|| checks.success()),
        condition_span: written.get("if").map(|token| token.span),
        permissions: written.get("permissions").map(permissions::read),
        cache_mode: cache_mode::read(written),
        strategy: parts.strategy,
        concurrency: written.get("concurrency").cloned(),
        continue_on_error: written.get("continue-on-error").cloned(),
        kind: read_kind(written, parts.steps),
    }
}

fn read_needs(written: &Token) -> Vec<Spanned<JobId>> {
    let items = written.as_sequence().unwrap_or(std::slice::from_ref(written));
    let need = |item: &Token| item.as_str().map(|id| Spanned::new(JobId::new(id), item.span));
    items.iter().filter_map(need).collect()
}

fn read_kind(written: &Token, steps: Vec<Step>) -> JobKind {
    let value = |key: &str| written.get(key).cloned();
    if let Some(uses) = written.get("uses") {
        let secrets = match written.get("secrets") {
            None => Secrets::None,
            Some(token) if token.as_str() == Some("inherit") => Secrets::Inherit,
            Some(token) => Secrets::Mapping(token.clone()),
        };
        // `$/path` is of the repository that the workflow is in, at its commit: what `./path` is in a call.
        let written = uses.as_str().unwrap_or_default();
        let called = written.strip_prefix("$/").map_or_else(|| written.to_owned(), |path| format!("./{path}"));
        let reference = Spanned::new(called, uses.span);
        return JobKind::Call(Box::new(ReusableCall { reference, inputs: value("with"), secrets, called: None }));
    }
    JobKind::Steps(Box::new(StepsJob {
        runs_on: value("runs-on").unwrap_or_else(|| written.clone()),
        environment: value("environment"),
        env: value("env"),
        defaults: value("defaults"),
        outputs: value("outputs"),
        timeout_minutes: value("timeout-minutes"),
        cancel_timeout_minutes: value("cancel-timeout-minutes"),
        container: value("container"),
        services: value("services"),
        snapshot: value("snapshot"),
        steps,
    }))
}
