//! Runs that somebody starts by hand, from the API's words to the engine's.

use engine::mirror::MirrorError;
use engine::store::RunId;
use engine::triggering::{DispatchError, DispatchOrder, Found, Offers, RepositoryDispatchOrder, RunMaker, Triggering};
use jiff::Timestamp;

use crate::api::{Dispatch, SteerError};

/// Starts runs by hand; their numbers.
///
/// # Errors
/// The repository, the workflow or the ref is not there, or an input is wrong.
pub async fn dispatch(
    triggering: &Triggering,
    runs: &dyn RunMaker,
    dispatch: Dispatch,
    by: &str,
) -> Result<Vec<RunId>, SteerError> {
    let actor = by.to_owned();
    let specs = match dispatch {
        Dispatch::Workflow { repository, workflow, git_ref, inputs } => {
            let order = DispatchOrder { forge: None, repository, workflow, git_ref, inputs, actor };
            vec![triggering.dispatch(order).await.map_err(refused)?]
        }
        Dispatch::Repository { repository, event_type, payload } => {
            let order = RepositoryDispatchOrder { forge: None, repository, event_type, client_payload: payload, actor };
            match triggering.repository_dispatch(order, Timestamp::now()).await.map_err(refused)? {
                Found::Runs { specs, .. } => specs,
                Found::Nothing(reason) | Found::Failed(reason) | Found::Later(_, reason) => {
                    return Err(SteerError::NotFound(reason));
                }
                Found::Rerun(_) => return Err(SteerError::Invalid("a dispatch asks for no check".to_owned())),
            }
        }
    };
    let made = runs.make(None, specs).await?;
    Ok(made.unwrap_or_default().into_iter().map(|numbers| numbers.id).collect())
}

/// What can be run by hand.
///
/// # Errors
/// The repository or the ref is not there.
pub async fn offers(triggering: &Triggering, repository: &str, git_ref: Option<&str>) -> Result<Offers, SteerError> {
    triggering.offers(repository, git_ref).await.map_err(refused)
}

fn refused(error: DispatchError) -> SteerError {
    let text = error.to_string();
    match error {
        DispatchError::Store(error) => SteerError::Store(error),
        DispatchError::NotRegistered(_) | DispatchError::NoSuchRef(_) | DispatchError::NoSuchWorkflow { .. } => {
            SteerError::NotFound(text)
        }
        DispatchError::Mirror(MirrorError::NoSuchRef(_) | MirrorError::Gone(_)) => SteerError::NotFound(text),
        DispatchError::Mirror(_) => SteerError::Conflict(text),
        DispatchError::Ambiguous(_)
        | DispatchError::NotDispatchable
        | DispatchError::Refused(_)
        | DispatchError::Invalid(_)
        | DispatchError::Event(_) => SteerError::Invalid(text),
    }
}
