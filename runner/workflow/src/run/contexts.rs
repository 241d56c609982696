//! The contexts that a job's own keys may use: github, inputs, vars, needs, strategy, matrix, and jobs for the outputs
//! of a called workflow. What a step sees besides (env, steps, runner, job, secrets) is added by whoever runs it.
//!
//! See <https://docs.github.com/en/actions/learn-github-actions/contexts>.

use std::sync::Arc;

use super::{Conclusion, Environments, JobPath, JobRunKey, JobState, JobStatus, Run, SkipReason};
use crate::expression::{Function, Object, Scope, Status, Value};
use crate::model::{JobId, Workflow};

/// What a run was started with. Secrets are not part of it, but for `github.token`; it is no part of the event log.
#[derive(Clone)]
pub struct RunFacts {
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// A digest of the text of the workflow and of those that it calls; empty where nothing is approved.
    pub workflow_hash: String,
    /// The `github` context, without the keys that differ from job to job.
    pub github: Value,
    /// The `inputs` context of a dispatched or called run; an empty object otherwise.
    pub inputs: Value,
    /// The `vars` context.
    pub vars: Value,
    /// Only these jobs (and nothing else) were asked for; `None`: all.
    pub selected: Option<Vec<JobId>>,
    /// Only legs with these matrix values, by key; a key with several values takes any of them.
    pub legs: Vec<(String, String)>,
    /// Environments that jobs have to wait for.
    pub environments: Arc<Environments>,
    /// Why somebody has to let it begin; `None`: nobody has to.
    pub held: Option<String>,
}

impl std::fmt::Debug for RunFacts {
    /// Without the contexts, which hold the token and what users gave.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RunFacts");
        shown.field("workflow", &self.workflow.path).field("selected", &self.selected).field("legs", &self.legs);
        shown.finish_non_exhaustive()
    }
}

/// The contexts as seen from one job.
pub struct JobScope<'a> {
    run: &'a Run,
    job: Option<&'a JobPath>,
    leg: Option<LegContexts>,
    called_by: Option<&'a JobRunKey>,
    /// Inputs of a called workflow that has not begun.
    coming_inputs: Option<Value>,
}

struct LegContexts {
    matrix: Value,
    strategy: Value,
}

impl std::fmt::Debug for JobScope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobScope").field("job", &self.job).field("called_by", &self.called_by).finish_non_exhaustive()
    }
}

impl<'a> JobScope<'a> {
    /// For keys of the workflow itself.
    #[must_use]
    pub const fn of_run(run: &'a Run) -> Self {
        Self { run, job: None, leg: None, called_by: None, coming_inputs: None }
    }

    /// For keys of a job that are evaluated before its matrix.
    #[must_use]
    pub const fn of_job(run: &'a Run, job: &'a JobPath) -> Self {
        Self { run, job: Some(job), leg: None, called_by: None, coming_inputs: None }
    }

    /// For keys that may use `matrix` and `strategy`, before the job is expanded.
    #[must_use]
    pub fn with_leg(run: &'a Run, job: &'a JobPath, matrix: Value, strategy: Value) -> Self {
        Self { run, job: Some(job), leg: Some(LegContexts { matrix, strategy }), called_by: None, coming_inputs: None }
    }

    /// For one leg of an expanded job.
    #[must_use]
    pub fn of_leg(run: &'a Run, key: &'a JobRunKey) -> Option<Self> {
        let state = run.jobs.get(&key.job)?;
        let job_run = run.job_run(key)?;
        let index = f64::from(key.leg.unwrap_or(0));
        let strategy = strategy_context(state.fail_fast, state.max_parallel, index, state.runs.len());
        Some(Self::with_leg(run, &key.job, Value::from_json(&job_run.leg.matrix), strategy))
    }

    /// For the outputs of the workflow that a job run calls.
    #[must_use]
    pub const fn of_call(run: &'a Run, caller: &'a JobRunKey) -> Self {
        Self { run, job: None, leg: None, called_by: Some(caller), coming_inputs: None }
    }

    /// For keys of a called workflow that has not begun.
    #[must_use]
    pub(super) const fn of_coming_call(run: &'a Run, inputs: Value) -> Self {
        Self { run, job: None, leg: None, called_by: None, coming_inputs: Some(inputs) }
    }

    fn inputs(&self) -> Value {
        if let Some(inputs) = &self.coming_inputs {
            return inputs.clone();
        }
        let caller = self.called_by.cloned().or_else(|| self.job.and_then(JobPath::parent));
        match caller.and_then(|key| self.run.job_run(&key).and_then(|run| run.call_inputs.as_ref())) {
            Some(inputs) => Value::from_json(inputs),
            None => self.run.facts.inputs.clone(),
        }
    }

    fn needs(&self) -> Value {
        let Some((path, job)) = self.job.and_then(|path| Some((path, self.run.job(path)?))) else {
            return Value::Object(Arc::new(Object::default()));
        };
        let pairs = job.needs.iter().filter_map(|need| {
            let state = self.run.jobs.get(&path.sibling(need.value.as_str()))?;
            Some((Arc::from(need.value.as_str()), job_context(state)))
        });
        Value::Object(Arc::new(pairs.collect()))
    }

    fn jobs(&self) -> Value {
        let Some(caller) = self.called_by else { return Value::Null };
        let pairs = self
            .run
            .jobs
            .iter()
            .filter(|(path, _)| path.parent().as_ref() == Some(caller))
            .map(|(path, state)| (Arc::from(path.id()), job_context(state)));
        Value::Object(Arc::new(pairs.collect()))
    }

    fn named(&self, arguments: &[Value]) -> Vec<Conclusion> {
        let Some(path) = self.job else { return Vec::new() };
        // Ids are compared without case, as in `needs`.
        let needs = self.run.job(path).map(|job| job.needs.as_slice()).unwrap_or_default();
        let id = |name: &str| {
            let need = needs.iter().find(|need| need.value.as_str().eq_ignore_ascii_case(name));
            need.map_or_else(|| name.to_owned(), |need| need.value.to_string())
        };
        let state = |name: &Value| self.run.jobs.get(&path.sibling(&id(&name.to_display_string())));
        arguments.iter().filter_map(|name| state(name).and_then(counts)).collect()
    }

    fn is_cancelled(&self) -> bool {
        match self.job {
            Some(path) => self.run.cancelled_above(path).is_some(),
            None => self.run.cancel.is_some(),
        }
    }

    /// How the jobs that this one needs, and those that they need, have ended, the nearest first.
    fn ancestors(&self) -> Vec<(JobPath, Conclusion)> {
        let Some(path) = self.job else { return Vec::new() };
        let mut seen = indexmap::IndexSet::from([path.clone()]);
        let mut next = 0;
        while let Some(open) = seen.get_index(next).cloned() {
            next += 1;
            let needs = self.run.job(&open).map(|job| job.needs.as_slice()).unwrap_or_default();
            seen.extend(needs.iter().map(|need| path.sibling(need.value.as_str())));
        }
        let result = |path: JobPath| Some((self.run.jobs.get(&path).and_then(counts)?, path));
        seen.into_iter().skip(1).filter_map(result).map(|(result, path)| (path, result)).collect()
    }

    /// The nearest job before this one that did not succeed.
    pub(super) fn nearest_bad(&self) -> Option<(JobPath, Conclusion)> {
        self.ancestors().into_iter().find(|(_, result)| *result != Conclusion::Success)
    }

    fn ancestor_results(&self) -> Vec<Conclusion> {
        self.ancestors().into_iter().map(|(_, result)| result).collect()
    }
}

/// How a job that is needed counts. One that nobody asked for stands in nobody's way.
fn counts(state: &JobState) -> Option<Conclusion> {
    state.result().filter(|_| state.status != JobStatus::Skipped(SkipReason::NotSelected))
}

impl Scope for JobScope<'_> {
    fn context(&self, name: &str) -> Option<Value> {
        match name.to_ascii_lowercase().as_str() {
            "github" => Some(self.run.facts.github.clone()),
            "inputs" => Some(self.inputs()),
            "vars" => Some(self.run.facts.vars.clone()),
            "needs" => Some(self.needs()),
            "jobs" => self.called_by.map(|_| self.jobs()),
            "matrix" => Some(self.leg.as_ref().map_or(Value::Null, |leg| leg.matrix.clone())),
            "strategy" => self.leg.as_ref().map(|leg| leg.strategy.clone()),
            _ => None,
        }
    }

    fn status(&self) -> Option<Status> {
        let ancestors = self.ancestor_results();
        Some(if self.is_cancelled() {
            Status::Cancelled
        } else if ancestors.contains(&Conclusion::Failure) {
            Status::Failure
        } else {
            Status::Success
        })
    }

    /// `success()` wants every ancestor to have succeeded: one that was skipped or cancelled is no success, and no
    /// failure either. With arguments only those jobs count.
    fn status_function(&self, function: Function, arguments: &[Value]) -> Option<bool> {
        let results = if arguments.is_empty() { self.ancestor_results() } else { self.named(arguments) };
        let cancelled = self.is_cancelled();
        match function {
            Function::Always => Some(true),
            Function::Cancelled => Some(cancelled),
            Function::Success => Some(!cancelled && results.iter().all(|result| *result == Conclusion::Success)),
            Function::Failure => Some(!cancelled && results.contains(&Conclusion::Failure)),
            Function::Case
            | Function::Contains
            | Function::EndsWith
            | Function::Format
            | Function::FromJson
            | Function::Join
            | Function::StartsWith
            | Function::ToJson
            | Function::HashFiles => None,
        }
    }

    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Err("hashFiles needs the job's workspace".into())
    }
}

/// The `strategy` context.
#[must_use]
pub fn strategy_context(fail_fast: bool, max_parallel: Option<u32>, index: f64, total: usize) -> Value {
    let total = f64::from(u32::try_from(total).unwrap_or(u32::MAX));
    let pairs: [(Arc<str>, Value); 4] = [
        (Arc::from("fail-fast"), Value::Boolean(fail_fast)),
        (Arc::from("job-index"), Value::Number(index)),
        (Arc::from("job-total"), Value::Number(total)),
        (Arc::from("max-parallel"), Value::Number(max_parallel.map_or(total, f64::from))),
    ];
    Value::Object(Arc::new(pairs.into_iter().collect()))
}

fn job_context(state: &JobState) -> Value {
    let outputs = state.outputs().into_iter().map(|(name, value)| (Arc::from(name), Value::String(Arc::from(value))));
    let result = state.result().map_or("", Conclusion::word);
    let pairs: [(Arc<str>, Value); 2] = [
        (Arc::from("result"), Value::String(Arc::from(result))),
        (Arc::from("outputs"), Value::Object(Arc::new(outputs.collect()))),
    ];
    let by_leg = state.matrix.then(|| (Arc::from("outputs-by-leg"), outputs_by_leg(state)));
    Value::Object(Arc::new(pairs.into_iter().chain(by_leg).collect()))
}

/// What each leg of a matrix wrote, in its order, by its values with `, ` between them: an addition to GitHub's context,
/// where of each output only the last leg's is left.
fn outputs_by_leg(state: &JobState) -> Value {
    let legs = state.runs.iter().map(|run| {
        let mut values = Vec::new();
        scalars(&Value::from_json(&run.leg.matrix), &mut values);
        let outputs = run.outputs.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from(value.as_str())));
        (Arc::from(values.join(", ")), Value::Object(Arc::new(outputs.collect())))
    });
    Value::Object(Arc::new(legs.collect()))
}

fn scalars(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(_, value)| scalars(value, into)),
        Value::Array(items) => items.iter().for_each(|item| scalars(item, into)),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            into.push(value.to_display_string().to_string());
        }
    }
}
