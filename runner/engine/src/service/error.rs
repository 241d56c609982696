//! Why a run cannot be steered as somebody wants.

use crate::store::{RunId, StoreError};

/// Why a request about a run is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServiceError {
    /// There is no such run.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// It is over.
    #[error("run {0} is over")]
    Over(RunId),
    /// It is not over.
    #[error("run {0} is not over yet; cancel it first, or wait for its end")]
    NotOver(RunId),
    /// There is no such job in the run.
    #[error("run {run} has no job `{job}`")]
    NoSuchJob {
        /// The run.
        run: RunId,
        /// What was asked for.
        job: String,
    },
    /// No job failed.
    #[error("no job of run {0} failed")]
    NothingFailed(RunId),
    /// It was made by a local run, or cannot be read.
    #[error("run {run} cannot be run again: {reason}")]
    Unreadable {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// Nobody has to let it begin.
    #[error("run {0} does not wait for anybody to let it begin")]
    NotHeld(RunId),
    /// No job waits at that environment.
    #[error("no job of run {run} waits for a review of `{environment}`")]
    NotWaiting {
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// Somebody else has to review.
    #[error("{by} is no reviewer of `{environment}`; it can be reviewed by {reviewers}")]
    NotReviewer {
        /// Who tried.
        by: String,
        /// The environment.
        environment: String,
        /// Who may.
        reviewers: String,
    },
    /// They began the run that they want to approve.
    #[error("{by} began run {run} and may not review its deployment to `{environment}`: somebody else has to")]
    OwnRun {
        /// The name under which they began it.
        by: String,
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// They wrote what they want to approve.
    #[error(
        "{by} wrote commits that run {run} would bring to `{environment}` and may not review its deployment there: somebody \
         else has to"
    )]
    OwnCommits {
        /// The name under which they wrote them.
        by: String,
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// Nobody can tell whether they wrote what they want to approve.
    #[error(
        "who wrote what run {run} would bring to `{environment}` may not review it, and no mail address of {by} is known \
         here to compare: link one with `pipe user alias add {by} mail:ADDRESS`"
    )]
    NoAddress {
        /// Who tried.
        by: String,
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// There was a review already.
    #[error("{by} has reviewed the deployment of run {run} to `{environment}` already")]
    Reviewed {
        /// Who.
        by: String,
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// What waits is not what the reviewer saw.
    #[error("what waits of run {run} for `{environment}` has changed since it was looked at; look at it again")]
    Changed {
        /// The run.
        run: RunId,
        /// The environment.
        environment: String,
    },
    /// It was passed on, and nobody knows yet what came of it.
    #[error("run {0} has not answered yet; look at it again in a moment")]
    NotAnswered(RunId),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}
