//! Which secrets a job or a workflow names, so that no others are opened for it.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use workflow::expression::Expression;
use workflow::model::{Job, JobId, JobKind, Secrets, Step, StepKind, StepsJob, Workflow};
use workflow::template::Token;

use super::JobOrder;
use super::own_token::GITHUB_TOKEN;

/// The secrets that a workflow and those that it calls name; `None` where one takes the whole context.
pub(crate) fn named_secrets(workflow: &Workflow) -> Option<Vec<String>> {
    let mut named = NamedSecrets::default();
    workflow.env.iter().for_each(|token| named.token(token));
    named.jobs(&workflow.jobs);
    named.list()
}

impl JobOrder {
    /// The secrets that the job and its callers name; `None` where one takes the whole context.
    pub(super) fn names_secret(&self, name: &str) -> bool {
        NamedSecrets::of(self).names.contains(name)
    }

    /// Whether something names the token of GitHub's API.
    pub(super) fn names_github_token(&self) -> bool {
        let named = NamedSecrets::of(self);
        named.token || named.names.contains(GITHUB_TOKEN)
    }

    pub(crate) fn secret_names(&self) -> Option<Vec<String>> {
        let mut named = NamedSecrets::of(self);
        for caller in &self.callers {
            if let JobKind::Call(call) = &caller.job.kind
                && let Secrets::Mapping(token) = &call.secrets
            {
                named.token(token);
            }
        }
        named.list()
    }
}

/// Which secrets the expressions of a job name.
#[derive(Debug, Default)]
pub(super) struct NamedSecrets {
    names: BTreeSet<String>,
    pub(super) all: bool,
    /// `github.token`, or the whole context, as in `toJSON(github)`.
    token: bool,
}

impl NamedSecrets {
    pub(super) fn of(order: &JobOrder) -> Self {
        let mut this = Self::default();
        this.steps_job(order.steps_job());
        order.workflow_env.iter().for_each(|token| this.token(token));
        this
    }

    fn steps_job(&mut self, job: &StepsJob) {
        let tokens = [&job.env, &job.container, &job.services, &job.outputs, &job.environment];
        for token in tokens.into_iter().flatten() {
            self.token(token);
        }
        for step in &job.steps {
            self.step(step);
        }
    }

    fn jobs(&mut self, jobs: &IndexMap<JobId, Job>) {
        for job in jobs.values() {
            match &job.kind {
                JobKind::Steps(steps) => self.steps_job(steps),
                JobKind::Call(call) => {
                    if let Secrets::Mapping(token) = &call.secrets {
                        self.token(token);
                    }
                    if let Some(called) = &call.called {
                        called.env.iter().for_each(|token| self.token(token));
                        self.jobs(&called.jobs);
                    }
                }
            }
        }
    }

    fn list(self) -> Option<Vec<String>> {
        (!self.all).then(|| self.names.into_iter().chain([GITHUB_TOKEN.to_owned()]).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(GITHUB_TOKEN) || self.names.contains(&name.to_uppercase())
    }

    fn step(&mut self, step: &Step) {
        let mut tokens = vec![&step.name, &step.env, &step.continue_on_error, &step.timeout_minutes];
        match &step.kind {
            StepKind::Run { script, shell, working_directory } => {
                self.token(script);
                tokens.extend([shell, working_directory]);
            }
            StepKind::Uses { with, .. } => tokens.push(with),
            StepKind::Parallel(steps) => steps.iter().for_each(|step| self.step(step)),
            StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => {}
        }
        for token in tokens.into_iter().flatten() {
            self.token(token);
        }
    }

    fn token(&mut self, token: &Token) {
        token.each_expression(&mut |expression: &Expression, _| self.expression(expression));
    }

    fn expression(&mut self, expression: &Expression) {
        for path in expression.names() {
            let mut parts = path.parts.iter();
            if let [context, rest @ ..] = &path.parts[..]
                && context.eq_ignore_ascii_case("github")
                && rest.first().is_none_or(|name| name.eq_ignore_ascii_case("token"))
            {
                self.token = true;
            }
            if !parts.next().is_some_and(|name| name.eq_ignore_ascii_case("secrets")) {
                continue;
            }
            match parts.next() {
                Some(name) => {
                    self.names.insert(name.to_uppercase());
                }
                None => self.all = true,
            }
        }
    }
}
