//! The contexts that a job's own keys may use: github, inputs, vars, needs, strategy, matrix, and jobs for the outputs
//! of a called workflow. What a step sees besides (env, steps, runner, job, secrets) is added by whoever runs it.
//!
//! See <https://docs.github.com/en/actions/learn-github-actions/contexts>.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Conclusion, JobPath, JobRunKey, JobState, Run};
use crate::expression::{Function, Object, Scope, Status, Value};
use crate::model::{JobId, Workflow};

/// What a run was started with. Secrets are not part of it: they never come near the event log.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The workflow.
    pub workflow: Arc<Workflow>,
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
}

/// The contexts as seen from one job.
#[derive(Debug)]
pub struct JobScope<'a> {
    run: &'a Run,
    job: Option<&'a JobPath>,
    leg: Option<LegContexts>,
    called_by: Option<&'a JobRunKey>,
}

#[derive(Debug)]
struct LegContexts {
    matrix: Value,
    strategy: Value,
}

impl<'a> JobScope<'a> {
    /// For keys of the workflow itself.
    #[must_use]
    pub const fn of_run(run: &'a Run) -> Self {
        Self { run, job: None, leg: None, called_by: None }
    }

    /// For keys of a job that are evaluated before its matrix.
    #[must_use]
    pub const fn of_job(run: &'a Run, job: &'a JobPath) -> Self {
        Self { run, job: Some(job), leg: None, called_by: None }
    }

    /// For keys that may use `matrix` and `strategy`, before the job is expanded.
    #[must_use]
    pub fn with_leg(run: &'a Run, job: &'a JobPath, matrix: Value, strategy: Value) -> Self {
        Self { run, job: Some(job), leg: Some(LegContexts { matrix, strategy }), called_by: None }
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
        Self { run, job: None, leg: None, called_by: Some(caller) }
    }

    fn inputs(&self) -> Value {
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
        let state = |name: &Value| self.run.jobs.get(&path.sibling(&name.to_display_string()));
        arguments.iter().filter_map(|name| state(name).and_then(JobState::result)).collect()
    }

    /// How the jobs that this one needs, and those that they need, have ended.
    fn ancestors(&self) -> Vec<Conclusion> {
        let Some(path) = self.job else { return Vec::new() };
        let mut seen = BTreeSet::new();
        let mut open = vec![path.clone()];
        while let Some(next) = open.pop() {
            for need in self.run.job(&next).map(|job| job.needs.as_slice()).unwrap_or_default() {
                let need = path.sibling(need.value.as_str());
                if seen.insert(need.clone()) {
                    open.push(need);
                }
            }
        }
        seen.iter().filter_map(|path| self.run.jobs.get(path).and_then(JobState::result)).collect()
    }
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
        let ancestors = self.ancestors();
        Some(if self.run.cancel.is_some() {
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
        let results = if arguments.is_empty() { self.ancestors() } else { self.named(arguments) };
        let cancelled = self.run.cancel.is_some();
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
    Value::Object(Arc::new(pairs.into_iter().collect()))
}
