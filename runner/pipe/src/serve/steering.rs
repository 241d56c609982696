//! What the API asks of runs, done by the service.

use async_trait::async_trait;
use engine::service::{Rerun, RunService, ServiceError};
use engine::store::RunId;
use engine::triggering::Triggering;
use web::api::{self, Dispatch, Review, SteerError, Steering};

/// The service as the API sees it.
#[derive(Debug)]
pub struct ServiceSteering {
    /// The runs.
    pub runs: RunService,
    /// Finds workflows.
    pub triggering: Triggering,
}

#[async_trait]
impl Steering for ServiceSteering {
    async fn cancel(&self, run: RunId, force: bool, by: &str) -> Result<(), SteerError> {
        self.runs.cancel(run, by, force).await.map_err(refused)
    }

    async fn rerun(&self, run: RunId, which: api::Rerun, by: &str) -> Result<RunId, SteerError> {
        let what = match which {
            api::Rerun::All => Rerun::All,
            api::Rerun::Failed => Rerun::Failed,
            api::Rerun::Job(job) => Rerun::Job(job),
        };
        self.runs.rerun(run, &what, by).await.map(|numbers| numbers.id).map_err(refused)
    }

    async fn review(
        &self,
        run: RunId,
        environment: Option<&str>,
        review: Review,
        by: &str,
        comment: &str,
    ) -> Result<(), SteerError> {
        let environments = match environment {
            Some(environment) => vec![environment.to_owned()],
            None => {
                let gates = self.runs.gates(run).await.map_err(refused)?;
                gates.into_iter().map(|(environment, _)| environment).collect()
            }
        };
        if environments.is_empty() {
            return Err(SteerError::Conflict(format!("no job of run {run} waits for a review")));
        }
        for environment in environments {
            let approved = review == Review::Approve;
            self.runs.review(run, &environment, approved, by, comment).await.map_err(refused)?;
        }
        Ok(())
    }

    async fn dispatch(&self, dispatch: Dispatch, by: &str) -> Result<Vec<RunId>, SteerError> {
        web::dispatch(&self.triggering, &self.runs, dispatch, by).await
    }
}

fn refused(error: ServiceError) -> SteerError {
    let text = error.to_string();
    match error {
        ServiceError::NoSuchRun(_) => SteerError::NotFound(text),
        ServiceError::NoSuchJob { .. } => SteerError::Invalid(text),
        ServiceError::Over(_)
        | ServiceError::NotOver(_)
        | ServiceError::NothingFailed(_)
        | ServiceError::Unreadable { .. }
        | ServiceError::NotWaiting { .. }
        | ServiceError::NotAnswered(_) => SteerError::Conflict(text),
        ServiceError::NotReviewer { .. } => SteerError::Forbidden(text),
        ServiceError::Store(error) => SteerError::Store(error),
    }
}
