//! What people do with runs, as a port: the API checks who asks, somebody else knows how it is done.

use async_trait::async_trait;
use engine::service::Reviewer;
use engine::store::{RunId, StoreError};
use engine::triggering::Offers;
use serde_json::{Map, Value as Json};

/// Which jobs run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rerun {
    /// All.
    All,
    /// Those that failed or were cancelled, and what needs them.
    Failed,
    /// One job (its key or its id) and what needs it.
    Job(String),
}

/// What a reviewer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Of which environment; `None`: of all that the run waits for.
    pub environment: Option<String>,
    /// Whether the deployment may go on.
    pub approved: bool,
    /// Why, possibly empty.
    pub comment: String,
    /// What they saw: a review of something else is refused.
    pub subject: Option<String>,
}

/// What stands somewhere and is to be taken back, after its rollout has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Where.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The rollout whose revision shall stand; `None`: what stood before the one that stands.
    pub to: Option<u64>,
    /// Why, possibly empty.
    pub comment: String,
}

/// A run that somebody starts by hand.
#[derive(Debug, Clone, PartialEq)]
pub enum Dispatch {
    /// `workflow_dispatch`.
    Workflow {
        /// `owner/name`.
        repository: String,
        /// Path or file name of the workflow.
        workflow: String,
        /// A branch, a tag or a whole ref; `None`: the default branch.
        git_ref: Option<String>,
        /// Its inputs.
        inputs: Map<String, Json>,
    },
    /// `repository_dispatch`.
    Repository {
        /// `owner/name`.
        repository: String,
        /// The activity type that workflows filter by.
        event_type: String,
        /// `github.event.client_payload`.
        payload: Map<String, Json>,
    },
}

impl Dispatch {
    /// For which repository.
    #[must_use]
    pub fn repository(&self) -> &str {
        match self {
            Self::Workflow { repository, .. } | Self::Repository { repository, .. } => repository,
        }
    }
}

/// Why something is not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SteerError {
    /// There is no such run, environment, workflow or ref.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things are: the run is over, nothing waits for a review.
    #[error("{0}")]
    Conflict(String),
    /// What is asked is wrong: an input that does not exist, a job that is none.
    #[error("{0}")]
    Invalid(String),
    /// They may not: a reviewer who is not listed, or who started the run.
    #[error("{0}")]
    Forbidden(String),
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Does what people ask. `by` is who, for the run's log.
#[async_trait]
pub trait Steering: Send + Sync + std::fmt::Debug {
    /// Stops a run; with `force` without the steps that always run.
    ///
    /// # Errors
    /// There is none, or it is over.
    async fn cancel(&self, run: RunId, force: bool, by: &str) -> Result<(), SteerError>;

    /// Lets a run of a stranger's code begin.
    ///
    /// # Errors
    /// There is none, or it does not wait for that.
    async fn release(&self, run: RunId, by: &str) -> Result<(), SteerError>;

    /// Starts another attempt of a run that is over; its number.
    ///
    /// # Errors
    /// There is none, it is not over, or the jobs are none of its.
    async fn rerun(&self, run: RunId, which: Rerun, by: &str) -> Result<RunId, SteerError>;

    /// Approves or rejects deployments that wait, all of the run's without a name.
    ///
    /// # Errors
    /// None waits, it is not what they saw, or this one may not.
    async fn review(&self, run: RunId, review: Review, by: &Reviewer) -> Result<(), SteerError>;

    /// Starts runs by hand; their numbers.
    ///
    /// # Errors
    /// The repository, the workflow or the ref is not there, or an input is wrong.
    async fn dispatch(&self, dispatch: Dispatch, by: &str) -> Result<Vec<RunId>, SteerError>;

    /// Takes back what stands: a rollout of its own, whose number is given.
    ///
    /// # Errors
    /// Nothing stood before, a migration cannot be undone, or nobody here can do it.
    async fn rollback(&self, rollback: Rollback, by: &str) -> Result<u64, SteerError> {
        let Rollback { environment, service, .. } = rollback;
        let text = format!(
            "nobody here can take back {service} in {environment} for {by}: start the server with `pipe serve`"
        );
        Err(SteerError::Conflict(text))
    }

    /// What can be run by hand at a ref of a repository, its default branch where none is given.
    ///
    /// # Errors
    /// The repository or the ref is not there, or nobody can say.
    async fn offers(&self, repository: &str, git_ref: Option<&str>) -> Result<Offers, SteerError> {
        let at = git_ref.unwrap_or("its default branch");
        Err(SteerError::Conflict(format!("nobody here can read the workflows of {repository} at {at}")))
    }
}
