//! What expressions of a job's steps see, while it changes.
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts>.

use std::sync::Arc;

use indexmap::IndexMap;
use workflow::command::CommandSettings;
use workflow::expression::{Object, Status, Value};
use workflow::model::Step;
use workflow::template::{Token, evaluate};

use super::JobOrder;
use super::context::{HashFiles, StepScope, StepsContext};

/// The part of a job that expressions see.
#[derive(Clone)]
pub(super) struct JobFacing {
    pub(super) github: Object,
    pub(super) secrets: Value,
    pub(super) job: Object,
    pub(super) runner: Value,
    /// `env:` of workflow and job, and `GITHUB_ENV`.
    pub(super) env: IndexMap<String, String>,
    /// Which commands the workflow brings back there, whatever steps left.
    pub(super) commands: CommandSettings,
    /// `GITHUB_PATH`.
    pub(super) path: Vec<String>,
    pub(super) steps: StepsContext,
    /// Where it is what the steps of an action see.
    pub(super) action: Option<ActionFacing>,
}

/// What the steps of an action see instead of what the job's own steps see.
#[derive(Clone)]
pub(super) struct ActionFacing {
    pub(super) inputs: Value,
    /// How the job stood when the action began.
    pub(super) job_status: Status,
    /// The job's environment, and what steps of the action added to it.
    pub(super) shared_env: IndexMap<String, String>,
    /// `env:` of the steps that use the action, outermost first: it lies over that.
    pub(super) overlay: IndexMap<String, String>,
    /// How many actions it is used by.
    pub(super) depth: usize,
    /// Which of the actions of the job's step it is: ids from the outside in, empty for that of the step itself.
    pub(super) path: String,
    /// The action of the repository itself that it is, or is a part of.
    pub(super) local: Option<String>,
}

impl JobFacing {
    /// The contexts of a step whose own `env:` is laid over the job's.
    pub(super) fn scope<'a>(
        &'a self,
        order: &'a JobOrder,
        env: &'a IndexMap<String, String>,
        status: Status,
        step: Option<&Step>,
        hash_files: Option<&'a HashFiles>,
    ) -> StepScope<'a> {
        let mut github = self.github.clone();
        if let Some(step) = step {
            github.insert("action", Value::String(Arc::from(step.id.as_str())));
        }
        StepScope {
            contexts: &order.contexts,
            github: Value::Object(Arc::new(github)),
            secrets: &self.secrets,
            env,
            steps: &self.steps,
            job: &self.job,
            runner: &self.runner,
            status,
            inputs: self.action.as_ref().map(|action| &action.inputs),
            job_status: self.action.as_ref().map(|action| action.job_status),
            hash_files,
        }
    }

    /// Makes the environment of an action's steps anew.
    pub(super) fn renew_env(&mut self) {
        if let Some(action) = &self.action {
            self.env.clone_from(&action.shared_env);
            self.env.extend(action.overlay.clone());
        }
    }

    /// `env` as the keys of a step see it: the job's, and the step's own over it. One that cannot be evaluated is left
    /// out; the step fails for it when it is prepared.
    pub(super) fn env_of(
        &self,
        order: &JobOrder,
        step: &Step,
        status: Status,
        hash_files: &HashFiles,
    ) -> IndexMap<String, String> {
        let base = self.scope(order, &self.env, status, Some(step), Some(hash_files));
        let own = evaluate_strings(step.env.as_ref(), &base).unwrap_or_default();
        let mut env = self.env.clone();
        env.extend(own);
        env
    }
}

/// A mapping of strings, such as `env:`.
pub(super) fn evaluate_strings(
    token: Option<&Token>,
    scope: &StepScope<'_>,
) -> Result<IndexMap<String, String>, String> {
    let Some(token) = token else { return Ok(IndexMap::new()) };
    let value = evaluate(token, scope).map_err(|error| error.message)?;
    let pairs = value.as_object().into_iter().flat_map(Object::iter);
    Ok(pairs.map(|(name, value)| (name.to_string(), value.to_display_string().to_string())).collect())
}
