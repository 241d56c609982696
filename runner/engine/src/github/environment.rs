//! The environment of a job, evaluated from what is recorded of the run.
//!
//! The log holds texts masked, so a URL made from a secret is not shown. `env` and `job` are not known here; a URL that
//! needs them is left out. See
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idenvironment>.

use std::sync::Arc;

use workflow::expression::{Function, Object, Scope, Status, Value};
use workflow::run::steps::flatten;
use workflow::run::{JobRunKey, JobScope, Run, StepRun};
use workflow::template::{Token, evaluate};

use super::text::web_url;

/// The environment's name, where the job has one and makes a deployment.
pub(super) fn name(run: &Run, key: &JobRunKey) -> Option<String> {
    let token = run.steps_job(&key.job)?.environment.as_ref()?;
    let scope = JobScope::of_leg(run, key)?;
    let text = |token: &Token| Some(evaluate(token, &scope).ok()?.to_display_string().to_string());
    let name = match token.as_mapping() {
        Some(_) => {
            let makes_one = token.get("deployment").is_none_or(|token| text(token).as_deref() != Some("false"));
            text(token.get("name")?).filter(|_| makes_one)?
        }
        None => text(token)?,
    };
    (!name.trim().is_empty()).then_some(name)
}

/// The environment's URL, once the steps that it is made from have ended.
pub(super) fn url(run: &Run, key: &JobRunKey) -> Option<String> {
    let job = run.steps_job(&key.job)?;
    let token = job.environment.as_ref()?.get("url")?;
    let mut steps = Object::new();
    let job_run = run.job_run(key)?;
    for (flat, place) in flatten(&job.steps).iter().zip(job_run.pre..) {
        let ended = job_run.steps.get(&workflow::run::StepIndex(place)).and_then(ended);
        if let (Some(step), Some(value)) = (flat.find(&job.steps), ended) {
            steps.insert(step.id.as_str(), value);
        }
    }
    let scope = EndScope { job: JobScope::of_leg(run, key)?, steps: Value::Object(Arc::new(steps)) };
    web_url(&evaluate(token, &scope).ok()?.to_display_string())
}

fn ended(step: &StepRun) -> Option<Value> {
    let (_, result) = step.finished.as_ref()?;
    let outputs = result.outputs.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from(value.as_str())));
    let object = Object::new()
        .with("outputs", Value::Object(Arc::new(outputs.collect())))
        .with("outcome", Value::from(result.outcome.word()))
        .with("conclusion", Value::from(result.conclusion.word()));
    Some(Value::Object(Arc::new(object)))
}

/// What is known at the end of a job.
struct EndScope<'a> {
    job: JobScope<'a>,
    steps: Value,
}

impl Scope for EndScope<'_> {
    fn context(&self, name: &str) -> Option<Value> {
        if name.eq_ignore_ascii_case("steps") { Some(self.steps.clone()) } else { self.job.context(name) }
    }

    fn status(&self) -> Option<Status> {
        self.job.status()
    }

    fn status_function(&self, function: Function, arguments: &[Value]) -> Option<bool> {
        self.job.status_function(function, arguments)
    }

    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        self.job.hash_files(patterns)
    }
}
