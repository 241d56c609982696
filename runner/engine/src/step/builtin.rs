//! Actions that are part of `pipe`: `actions/checkout`, and those below `pipe/`.
//!
//! A built-in action runs in the engine, not in the job's container, so it never looks at what the job's steps could
//! have changed to mislead it: no PATH, no environment of the job, only its inputs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;
pub use workflow::catalogue::InputFacts;
use workflow::catalogue::{ActionFacts, Catalogue};
use workflow::model::CacheMode;
use workflow::secret::{Names, Secret};

use crate::job::{SharedMasker, StepLog};
use crate::kept::{Keeper, Kept};
use crate::placement::JobHandle;
use crate::store::RunId;
use crate::store::reports::Reports;

/// One built-in action.
#[async_trait]
pub trait BuiltInAction: Send + Sync + std::fmt::Debug {
    /// `owner/name` as `uses:` has it before the `@`, in lower case.
    fn name(&self) -> &'static str;

    /// Its inputs.
    fn inputs(&self) -> &'static [InputFacts];

    /// Whether inputs that it does not have are an error, and not only warned of as on GitHub.
    fn refuses_unknown_inputs(&self) -> bool {
        false
    }

    /// Whether it only stands in for the action of its repository, which does more where there is a network: it runs where
    /// that cannot be had, unless the user says otherwise.
    fn stands_in(&self) -> bool {
        false
    }

    /// How long it may go on after `call.cancel` has fired, to leave things in order. Then it is dropped where it is.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Does it. Outputs go to `call.outputs`, progress to `call.log`.
    ///
    /// # Errors
    /// A sentence for the step's log; the step has failed then.
    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError>;

    /// What it does at the end of the job, where `run` asked for that in `call.post`. It finds `call.state` as `run` left
    /// it.
    ///
    /// # Errors
    /// As for [`Self::run`].
    async fn post(&self, _call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        Ok(())
    }
}

/// When an action's [`BuiltInAction::post`] is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostWhen {
    /// Whatever became of the job.
    Always,
    /// If the job has succeeded.
    Success,
}

/// A failed action.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// It failed; the text goes to the log.
    #[error("{0}")]
    Failed(String),
    /// It was cancelled.
    #[error("the operation was canceled")]
    Cancelled,
}

/// Everything that an action may use.
pub struct ActionCall<'a> {
    /// Inputs by name, defaults filled in.
    pub inputs: IndexMap<String, String>,
    /// Names of the inputs that the workflow does not write.
    pub defaulted: Vec<String>,
    /// The job's workspace.
    pub workspace: &'a WorkspaceFacts,
    /// The repository on this machine that the run is for.
    pub repository: &'a RepositoryFacts,
    /// The placed job, for actions that act inside it.
    pub job: &'a Arc<dyn JobHandle>,
    /// Variables of the step, PATH and paths of its files among them, for scripts that it runs in the job.
    pub env: IndexMap<String, String>,
    /// Whether the job has a bash.
    pub has_bash: bool,
    /// The step's log.
    pub log: &'a mut StepLog,
    /// What hides secrets.
    pub masker: &'a Arc<SharedMasker>,
    /// Secret values of this job, to be refused where they must not go.
    pub secrets: &'a [Secret],
    /// The step's outputs.
    pub outputs: &'a mut BTreeMap<String, String>,
    /// Variables that the steps behind it get, as those that scripts leave in `GITHUB_ENV`. What is secret in them is hidden
    /// by whoever sets it.
    pub exports: &'a mut Vec<(String, String)>,
    /// Folders that the steps behind it find programs in, as those that scripts leave in `GITHUB_PATH`.
    pub paths: &'a mut Vec<String>,
    /// What `run` keeps for `post`.
    pub state: &'a mut BTreeMap<String, String>,
    /// Markdown for the summary of the step.
    pub summary: &'a mut String,
    /// Which step of the job it is, those of actions included: unique in the job.
    pub step: u64,
    /// Whether `post` is wanted.
    pub post: Option<PostWhen>,
    /// Whether a process that was killed had begun it: what it did then is done again.
    pub again: bool,
    /// Fires when the step should stop: it was cancelled, or its time is up.
    pub cancel: CancellationToken,
    /// The run.
    pub run: RunFactsForAction,
}

impl std::fmt::Debug for ActionCall<'_> {
    /// Of the inputs only the names: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ActionCall");
        shown.field("inputs", &Names(&self.inputs)).field("run", &self.run).finish_non_exhaustive()
    }
}

/// What an action may know of its run.
#[derive(Debug, Clone)]
pub struct RunFactsForAction {
    /// Number of the run.
    pub id: RunId,
    /// Key of the job run.
    pub job: String,
    /// Name of the job's environment.
    pub environment: Option<String>,
    /// `github.actor`.
    pub actor: String,
    /// Path of the workflow.
    pub workflow: String,
    /// `github.ref`.
    pub git_ref: String,
    /// `github.sha`.
    pub sha: String,
    /// `github.event_name`.
    pub event: String,
    /// `github.base_ref`: the branch that a pull request goes to; otherwise empty.
    pub base_ref: String,
    /// The repository's default branch; empty where it is not known.
    pub default_branch: String,
    /// Whether a fork's commit is what the event is about.
    pub fork: bool,
    /// What the job may do with caches, where its workflow says so.
    pub cache_mode: Option<CacheMode>,
    /// `HOME` of the job.
    pub home: String,
    /// Folder for what runs leave to later runs of the same repository (state, not cache).
    pub state: PathBuf,
    /// What an identity token of the job says ([`crate::issuer::OF_GITHUB`]), where it is not empty.
    pub claims: BTreeMap<String, String>,
    /// Artifacts and caches.
    pub kept: Kept,
    /// For whom they are kept.
    pub keeper: Keeper,
    /// Where results of tests are kept, if anywhere.
    pub reports: Option<Reports>,
}

/// A job's workspace.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct WorkspaceFacts {
    /// On this machine.
    pub host: PathBuf,
    /// As the job sees it: `GITHUB_WORKSPACE`.
    pub inside: String,
    /// Whether the two are the same files.
    pub shared: bool,
}

/// The repository that a run is for.
#[derive(Debug, Clone)]
pub struct RepositoryFacts {
    /// Its folder on this machine (where `.git` is, or the plain folder where there is none).
    pub folder: PathBuf,
    /// `owner/name`.
    pub name: String,
    /// Whether the files as they lie in the folder are meant, changes that are not committed included: a local run
    /// without a commit asked for.
    pub working_tree: bool,
}

/// The built-in actions by name.
#[derive(Debug, Clone, Default)]
pub struct BuiltInActions(BTreeMap<&'static str, Arc<dyn BuiltInAction>>);

impl BuiltInActions {
    /// Adds one.
    pub fn add(&mut self, action: Arc<dyn BuiltInAction>) {
        self.0.insert(action.name(), action);
    }

    /// The one of that name, without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn BuiltInAction>> {
        self.0.get(name.to_lowercase().as_str())
    }

    /// What is known of them before they run.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        let facts = |action: &Arc<dyn BuiltInAction>| ActionFacts {
            name: action.name(),
            inputs: action.inputs(),
            refuses_unknown: action.refuses_unknown_inputs(),
        };
        self.0.values().map(facts).collect()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// Inputs as the workflow writes them, completed with the defaults of the action.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CompleteInputs {
    /// By name in lower case.
    pub values: IndexMap<String, String>,
    /// Names that the workflow does not write.
    pub defaulted: Vec<String>,
    /// Sentences about inputs that the action does not know; GitHub warns of them too.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for CompleteInputs {
    /// Of the inputs only the names: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CompleteInputs");
        shown.field("values", &Names(&self.values)).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl CompleteInputs {
    /// Completes what is given.
    ///
    /// # Errors
    /// A required input is missing or empty, there is one that the action refuses, or the texts of some are not what they take: all
    /// of these, a line each.
    pub fn of(action: &dyn BuiltInAction, given: IndexMap<String, String>) -> Result<Self, ActionError> {
        let known = action.inputs();
        let mut this = Self::default();
        for (name, value) in given {
            let lower = name.to_lowercase();
            if !known.iter().any(|input| input.name.eq_ignore_ascii_case(&name)) {
                let near = workflow::diagnostic::suggest(&lower, known.iter().map(|input| input.name));
                let hint = near.map_or_else(
                    || format!("it takes {}", known.iter().map(|input| input.name).collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let text = format!("{} has no input `{name}`; {hint}", action.name());
                if action.refuses_unknown_inputs() {
                    return Err(ActionError::Failed(text));
                }
                this.warnings.push(text);
            }
            this.values.insert(lower, value);
        }
        let mut wrong = Vec::new();
        for input in known {
            let name = input.name.to_lowercase();
            if input.required && this.values.get(&name).is_none_or(String::is_empty) {
                return Err(ActionError::Failed(format!("{} needs the input `{}`", action.name(), input.name)));
            }
            match this.values.get(&name) {
                Some(text) => wrong.extend(input.judge(text).iter().map(ToString::to_string)),
                None => {
                    this.defaulted.push(name.clone());
                    this.values.insert(name, input.default.to_owned());
                }
            }
        }
        if wrong.is_empty() { Ok(this) } else { Err(ActionError::Failed(wrong.join("\n"))) }
    }
}
