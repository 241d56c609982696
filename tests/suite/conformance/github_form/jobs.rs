//! Jobs: those with steps, and calls of other workflows with what was called.

use indexmap::IndexMap;
use serde_json::{Value, json};
use workflow::model::{Job, JobId, JobKind, ReusableCall, Secrets, StepsJob};
use workflow::template::Token;

use super::{Fields, Writer};

impl Writer<'_> {
    pub(super) fn jobs(&self, jobs: &IndexMap<JobId, Job>) -> Option<Value> {
        let jobs: Vec<Value> = jobs.values().map(|job| self.job(job)).collect();
        if jobs.is_empty() { None } else { Some(jobs.into()) }
    }

    fn job(&self, job: &Job) -> Value {
        let id = self.text(job.id.value.as_str(), Some(job.id.span));
        let needs = job.needs_written.as_ref().map(|written| {
            let items = written.as_sequence().unwrap_or(std::slice::from_ref(written));
            items.iter().map(|item| self.token(item)).collect::<Value>()
        });
        let needs = needs.filter(|needs| needs.as_array().is_some_and(|needs| !needs.is_empty()));
        let mut fields = Fields::default();
        let (kind, needs) = match &job.kind {
            JobKind::Steps(_) => ("job", needs),
            // A call has its list even where it is empty.
            JobKind::Call(_) => ("reusableWorkflowJob", Some(needs.unwrap_or_else(|| json!([])))),
        };
        fields.put("type", Value::from(kind));
        fields.put("name", job.name.as_ref().map_or_else(|| id.clone(), |name| self.token(name)));
        fields.put("id", id);
        fields.put("needs", needs);
        fields.put("if", self.condition(&job.condition, job.condition_span));
        fields.put("strategy", job.strategy.as_ref().map(|strategy| self.token(&strategy.token)));
        fields.put("concurrency", self.optional(job.concurrency.as_ref()));
        match &job.kind {
            JobKind::Steps(steps) => self.steps_job(&mut fields, job, steps),
            JobKind::Call(call) => self.call(&mut fields, job, call),
        }
        fields.value(self.form)
    }

    fn steps_job(&self, fields: &mut Fields, job: &Job, steps: &StepsJob) {
        let optional = |token: &Option<Token>| self.optional(token.as_ref());
        if !self.form.typescript {
            fields.put("continue-on-error", optional(&job.continue_on_error));
        }
        fields.put("timeout-minutes", optional(&steps.timeout_minutes));
        fields.put("cancel-timeout-minutes", optional(&steps.cancel_timeout_minutes));
        fields.put("permissions", Self::permissions(job.permissions.as_ref()));
        fields.put("env", optional(&steps.env));
        fields.put("environment", optional(&steps.environment));
        fields.put("defaults", optional(&steps.defaults));
        fields.put("runs-on", self.token(&steps.runs_on));
        fields.put("container", optional(&steps.container));
        fields.put("services", optional(&steps.services));
        fields.put("outputs", optional(&steps.outputs));
        fields.put("steps", (self.form.typescript || !steps.steps.is_empty()).then(|| self.steps(&steps.steps)));
        fields.put("snapshot", optional(&steps.snapshot));
    }

    fn call(&self, fields: &mut Fields, job: &Job, call: &ReusableCall) {
        fields.put("ref", self.text(&call.reference.value, Some(call.reference.span)));
        fields.put("input-values", self.optional(call.inputs.as_ref()));
        match &call.secrets {
            Secrets::None => {}
            Secrets::Inherit => fields.put("inherit-secrets", Value::from(true)),
            Secrets::Mapping(values) => fields.put("secret-values", self.token(values)),
        }
        let own = call.called.as_ref().and_then(|called| called.permissions.as_ref());
        fields.put("permissions", Self::permissions(own.or(job.permissions.as_ref())));
        let Some(called) = &call.called else { return };
        fields.put("input-definitions", self.optional(called.definitions.inputs.as_ref()));
        fields.put("secret-definitions", self.optional(called.definitions.secrets.as_ref()));
        fields.put("outputs", self.optional(called.definitions.outputs.as_ref()));
        fields.put("defaults", self.optional(called.defaults.as_ref()));
        fields.put("env", self.optional(called.env.as_ref()));
        fields.put("embedded-concurrency", self.optional(called.concurrency.as_ref()));
        fields.put("jobs", self.jobs(&called.jobs));
    }
}
