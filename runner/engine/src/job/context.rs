//! The contexts that a step sees: what its job was started with, and what the job has come to so far.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts>.

use std::sync::Arc;

use indexmap::IndexMap;
use workflow::expression::{Object, Scope, Status, Value};
use workflow::run::{Conclusion, StepResult};

use super::order::JobContexts;
use crate::placement::{JobFacts, JobShape};

/// Finds files and gives one hash for them: the port behind `hashFiles`.
pub(super) type HashFiles = dyn Fn(&[String]) -> Result<String, String> + Send + Sync;

/// The contexts at one moment of a job.
pub struct StepScope<'a> {
    /// What the job was started with.
    pub contexts: &'a JobContexts,
    /// `github`, with the keys of this job and step.
    pub github: Value,
    /// `secrets`.
    pub secrets: &'a Value,
    /// `env`.
    pub env: &'a IndexMap<String, String>,
    /// `steps`.
    pub steps: &'a StepsContext,
    /// `job` without its status.
    pub job: &'a Object,
    /// `runner`.
    pub runner: &'a Value,
    /// How things stand for the status functions: the job, or the action whose step it is.
    pub status: Status,
    /// `inputs`, where it is not that of the job.
    pub(super) inputs: Option<&'a Value>,
    /// `job.status`, where it is not `status`.
    pub(super) job_status: Option<Status>,
    /// `hashFiles`; absent before there is a workspace.
    pub(super) hash_files: Option<&'a HashFiles>,
}

impl std::fmt::Debug for StepScope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepScope").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Scope for StepScope<'_> {
    fn context(&self, name: &str) -> Option<Value> {
        Some(match name.to_ascii_lowercase().as_str() {
            "github" => self.github.clone(),
            "inputs" => self.inputs.unwrap_or(&self.contexts.inputs).clone(),
            "vars" => self.contexts.vars.clone(),
            "needs" => self.contexts.needs.clone(),
            "strategy" => self.contexts.strategy.clone(),
            "matrix" => self.contexts.matrix.clone(),
            "secrets" => self.secrets.clone(),
            "env" => strings(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            "steps" => Value::Object(Arc::clone(&self.steps.value)),
            "job" => {
                let mut job = self.job.clone();
                job.insert("status", Value::String(Arc::from(status_word(self.job_status.unwrap_or(self.status)))));
                Value::Object(Arc::new(job))
            }
            "runner" => self.runner.clone(),
            _ => return None,
        })
    }

    fn status(&self) -> Option<Status> {
        Some(self.status)
    }

    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        match self.hash_files {
            Some(hash_files) => hash_files(patterns),
            None => Err("hashFiles needs the job's workspace".into()),
        }
    }
}

/// The contexts of a caller's `secrets:`.
pub(super) struct SecretsScope<'a> {
    pub(super) contexts: &'a JobContexts,
    pub(super) secrets: Value,
}

impl Scope for SecretsScope<'_> {
    fn context(&self, name: &str) -> Option<Value> {
        Some(match name.to_ascii_lowercase().as_str() {
            "github" => self.contexts.github.clone(),
            "inputs" => self.contexts.inputs.clone(),
            "vars" => self.contexts.vars.clone(),
            "needs" => self.contexts.needs.clone(),
            "strategy" => self.contexts.strategy.clone(),
            "matrix" => self.contexts.matrix.clone(),
            "secrets" => self.secrets.clone(),
            _ => return None,
        })
    }

    fn status(&self) -> Option<Status> {
        None
    }

    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Err("hashFiles needs the job's workspace".into())
    }
}

/// The `steps` context: steps that have an id and have ended.
#[derive(Debug, Default, Clone)]
pub struct StepsContext {
    value: Arc<Object>,
}

impl StepsContext {
    /// Adds a step that has ended and may be seen.
    pub fn add(&mut self, id: &str, outputs: &std::collections::BTreeMap<String, String>, result: &StepResult) {
        let outputs = strings(outputs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let word = |conclusion: Conclusion| Value::String(Arc::from(conclusion.word()));
        let step = Object::default()
            .with("outputs", outputs)
            .with("outcome", word(result.outcome))
            .with("conclusion", word(result.conclusion));
        Arc::make_mut(&mut self.value).insert(id, Value::Object(Arc::new(step)));
    }
}

/// The `job` context without its status.
pub(super) fn job_context(facts: Option<&JobFacts>) -> Object {
    let mut job = Object::default();
    let Some(facts) = facts else { return job };
    let text = |text: &str| Value::String(Arc::from(text));
    // As on GitHub: the id is of the container that the workflow asks for, the network also of services without one.
    let own = facts.container_id.as_deref().filter(|_| facts.shape == JobShape::Container);
    if let Some(network) = facts.network.as_deref().filter(|_| own.is_some() || !facts.services.is_empty()) {
        let mut container = Object::default().with("network", text(network));
        if let Some(id) = own {
            container.insert("id", text(id));
        }
        job.insert("container", Value::Object(Arc::new(container)));
    }
    let services = facts.services.iter().map(|(id, service)| {
        let ports =
            service.ports.iter().map(|(inside, outside)| (Arc::from(inside.to_string()), text(&outside.to_string())));
        let value = Object::default()
            .with("id", text(&service.container_id))
            .with("network", text(&service.network))
            .with("ports", Value::Object(Arc::new(ports.collect())));
        (Arc::from(id.as_str()), Value::Object(Arc::new(value)))
    });
    job.insert("services", Value::Object(Arc::new(services.collect())));
    job
}

/// An object of strings.
pub(super) fn strings<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(Arc::new(pairs.map(|(name, value)| (Arc::from(name), Value::String(Arc::from(value)))).collect()))
}

/// As the contexts have it.
pub(super) const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Success => "success",
        Status::Failure => "failure",
        Status::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_own_container_is_not_the_jobs() {
        let names = |shape| {
            let (container_id, network) = (Some("c".to_owned()), Some("n".to_owned()));
            let job = job_context(Some(&JobFacts { shape, container_id, network, ..JobFacts::default() }));
            let Some(Value::Object(container)) = job.get("container") else { return Vec::new() };
            container.iter().map(|(name, _)| name.to_string()).collect()
        };
        assert_eq!(names(JobShape::Runner), Vec::<String>::new());
        assert_eq!(names(JobShape::Container), ["network", "id"]);
    }
}
