//! What the API asks of runs, done by the service.

use async_trait::async_trait;
use engine::service::{Rerun, Reviewer, RunService, ServiceError, Verdict};
use engine::store::RunId;
use engine::triggering::{Offers, Triggering};
use pipelines::rollout::{Back, Keeper, KeeperError};
use web::api::{self, Dispatch, Review, Rollback, SteerError, Steering};

/// The service as the API sees it.
#[derive(Debug)]
pub struct ServiceSteering {
    /// The runs.
    pub runs: RunService,
    /// Finds workflows.
    pub triggering: Triggering,
    /// Carries rollouts.
    pub keeper: Keeper,
}

#[async_trait]
impl Steering for ServiceSteering {
    async fn cancel(&self, run: RunId, force: bool, by: &str) -> Result<(), SteerError> {
        self.runs.cancel(run, by, force).await.map_err(refused)
    }

    async fn release(&self, run: RunId, by: &str) -> Result<(), SteerError> {
        self.runs.release(run, by).await.map_err(refused)
    }

    async fn rerun(&self, run: RunId, which: api::Rerun, by: &str) -> Result<RunId, SteerError> {
        let what = match which {
            api::Rerun::All => Rerun::All,
            api::Rerun::Failed => Rerun::Failed,
            api::Rerun::Job(job) => Rerun::Job(job),
        };
        self.runs.rerun(run, &what, by).await.map(|numbers| numbers.id).map_err(refused)
    }

    async fn review(&self, run: RunId, review: Review, by: &Reviewer) -> Result<(), SteerError> {
        let Review { environment, approved, comment, subject } = review;
        let environments = match environment {
            Some(environment) => vec![environment],
            None => {
                let gates = self.runs.gates(run).await.map_err(refused)?;
                // All or none: who may not review one of them is told before another goes on.
                gates.iter().try_for_each(|gate| gate.check(run, by)).map_err(refused)?;
                gates.into_iter().map(|gate| gate.environment).collect()
            }
        };
        if environments.is_empty() {
            return Err(SteerError::Conflict(format!("no job of run {run} waits for a review")));
        }
        for environment in environments {
            let verdict = Verdict { environment, approved, comment: comment.clone(), subject: subject.clone() };
            self.runs.review(run, by, verdict).await.map_err(refused)?;
        }
        Ok(())
    }

    async fn rollback(&self, rollback: Rollback, by: &str) -> Result<u64, SteerError> {
        go_back(&self.keeper, rollback, by).await
    }

    async fn dispatch(&self, dispatch: Dispatch, by: &str) -> Result<Vec<RunId>, SteerError> {
        web::dispatch(&self.triggering, &self.runs, dispatch, by).await
    }

    async fn offers(&self, repository: &str, git_ref: Option<&str>) -> Result<Offers, SteerError> {
        web::offers(&self.triggering, repository, git_ref).await
    }
}

/// Why the API does not do it.
pub fn refused(error: ServiceError) -> SteerError {
    let text = error.to_string();
    match error {
        ServiceError::NoSuchRun(_) => SteerError::NotFound(text),
        ServiceError::NoSuchJob { .. } => SteerError::Invalid(text),
        ServiceError::Over(_)
        | ServiceError::NotOver(_)
        | ServiceError::NothingFailed(_)
        | ServiceError::Unreadable { .. }
        | ServiceError::NotWaiting { .. }
        | ServiceError::NotHeld(_)
        | ServiceError::Reviewed { .. }
        | ServiceError::Changed { .. }
        | ServiceError::NotAnswered(_) => SteerError::Conflict(text),
        ServiceError::NotReviewer { .. }
        | ServiceError::OwnRun { .. }
        | ServiceError::OwnCommits { .. }
        | ServiceError::NoAddress { .. } => SteerError::Forbidden(text),
        ServiceError::Store(error) => SteerError::Store(error),
    }
}

/// Takes back what stands; the number of the rollout that does it.
///
/// # Errors
/// There is nothing to go back to, or it cannot be gone back; the text says what to do.
pub async fn go_back(keeper: &Keeper, rollback: Rollback, by: &str) -> Result<u64, SteerError> {
    let Rollback { environment, service, repository: _, to, comment } = rollback;
    let by = by.to_owned();
    let back = Back { environment, service, to, by, comment, key: None, run: None, job: String::new() };
    keeper.go_back(back).await.map_err(|error| match error {
        KeeperError::Unknown(_) => SteerError::NotFound(error.to_string()),
        KeeperError::NoTarget(..) | KeeperError::Refused(_) => SteerError::Conflict(error.to_string()),
        KeeperError::Store(error) => SteerError::Store(error),
        KeeperError::Journal(_) => SteerError::Conflict(error.to_string()),
    })
}
