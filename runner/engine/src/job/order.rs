//! All that one job run needs to know of its run. It is taken out of the run's state once, so that the job does not
//! look at a state that goes on changing.

use std::sync::Arc;

use indexmap::IndexMap;
use workflow::expression::{Scope, Value};
use workflow::model::{Job, JobKind, StepsJob};
use workflow::run::{JobRunKey, JobScope, Leg, Run, RunFacts};
use workflow::template::{Token, evaluate};

use crate::store::RunId;

/// One job run to perform.
#[derive(Debug, Clone)]
pub struct JobOrder {
    /// The run.
    pub run: RunId,
    /// The job run.
    pub key: JobRunKey,
    /// Name, matrix values and limits.
    pub leg: Leg,
    /// What the run was started with.
    pub facts: Arc<RunFacts>,
    /// The job in the file.
    pub job: Job,
    /// `env:` of the workflow that the job stands in.
    pub workflow_env: Option<Token>,
    /// `defaults:` there.
    pub workflow_defaults: Option<Token>,
    /// The job's contexts.
    pub contexts: JobContexts,
    /// The chain of calls that leads to the job, outermost first, for the secrets that they pass on.
    pub callers: Vec<Caller>,
    /// The name of its environment, or why it cannot be told.
    pub environment: Option<Result<String, String>>,
}

/// The contexts that are fixed when a job run starts.
#[derive(Clone)]
pub struct JobContexts {
    /// `github`.
    pub github: Value,
    /// `inputs`.
    pub inputs: Value,
    /// `vars`.
    pub vars: Value,
    /// `needs`.
    pub needs: Value,
    /// `strategy`.
    pub strategy: Value,
    /// `matrix`.
    pub matrix: Value,
}

impl std::fmt::Debug for JobContexts {
    /// Without values: the token is among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContexts").finish_non_exhaustive()
    }
}

/// One call on the way to a job.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The calling job.
    pub job: Job,
    /// Its contexts.
    pub contexts: JobContexts,
}

/// The labels that a job run asks for; none where they cannot be evaluated, which its start will tell.
pub(crate) fn runs_on(run: &Run, key: &JobRunKey) -> Vec<String> {
    let wanted = || {
        let steps = run.steps_job(&key.job)?;
        evaluate(&steps.runs_on, &JobScope::of_leg(run, key)?).ok()
    };
    wanted().map(|value| super::place::labels(&value)).unwrap_or_default()
}

impl JobOrder {
    /// The order for a job run that may start; `None` for a call or a key that does not exist.
    #[must_use]
    pub fn of(run: &Run, id: RunId, key: &JobRunKey) -> Option<Self> {
        let job = run.job(&key.job)?.clone();
        let JobKind::Steps(_) = job.kind else { return None };
        let mut callers = Vec::new();
        let mut parent = key.job.parent();
        while let Some(caller) = parent {
            callers.push(Caller { job: run.job(&caller.job)?.clone(), contexts: JobContexts::of(run, &caller)? });
            parent = caller.job.parent();
        }
        callers.reverse();
        let called = callers.last().and_then(|caller| match &caller.job.kind {
            JobKind::Call(call) => call.called.as_ref(),
            JobKind::Steps(_) => None,
        });
        let (workflow_env, workflow_defaults) = match called {
            Some(called) => (called.env.clone(), called.defaults.clone()),
            None => (run.facts.workflow.env.clone(), run.facts.workflow.defaults.clone()),
        };
        Some(Self {
            run: id,
            key: key.clone(),
            leg: run.job_run(key)?.leg.clone(),
            facts: Arc::clone(&run.facts),
            job,
            workflow_env,
            workflow_defaults,
            contexts: JobContexts::of(run, key)?,
            callers,
            environment: run.environment(key),
        })
    }

    /// Other variables than those of the run.
    pub(super) fn set_vars(&mut self, vars: &IndexMap<String, String>) {
        let pairs =
            vars.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::String(Arc::from(value.as_str()))));
        self.contexts.vars = Value::Object(Arc::new(pairs.collect()));
    }

    /// The job's runner and steps.
    ///
    /// # Panics
    /// Never: [`JobOrder::of`] takes jobs with steps only.
    #[must_use]
    pub fn steps_job(&self) -> &StepsJob {
        match &self.job.kind {
            JobKind::Steps(steps) => steps,
            JobKind::Call(_) => unreachable!("JobOrder::of takes jobs with steps only"),
        }
    }
}

impl JobContexts {
    fn of(run: &Run, key: &JobRunKey) -> Option<Self> {
        let scope = JobScope::of_leg(run, key)?;
        let context = |name: &str| scope.context(name).unwrap_or(Value::Null);
        Some(Self {
            github: context("github"),
            inputs: context("inputs"),
            vars: context("vars"),
            needs: context("needs"),
            strategy: context("strategy"),
            matrix: context("matrix"),
        })
    }
}
