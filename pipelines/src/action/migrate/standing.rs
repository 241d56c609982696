//! Whether the old revision of a service still has traffic: before that is over, nothing that it needs is taken away.

use engine::store::rollouts::{RolloutFilter, RolloutState, Rollouts};
use rollout::{Outcome, View};

/// Rollouts that are looked at.
const ROLLOUTS_MAX: usize = 50;

/// What is known, in a sentence for the log. `commit` is what is to stand; empty: whatever does.
///
/// # Errors
/// Why what the old revision needs must stay.
pub(super) async fn has_no_old_traffic(
    rollouts: &Rollouts,
    (environment, service): (&str, &str),
    commit: &str,
) -> Result<String, String> {
    let filter = RolloutFilter {
        environment: Some(environment.to_owned()),
        service: Some(service.to_owned()),
        limit: ROLLOUTS_MAX,
        ..RolloutFilter::default()
    };
    let rows =
        rollouts.list(filter).await.map_err(|error| format!("what stands in {environment} cannot be read: {error}"))?;
    let place = format!("{service} in {environment}");
    for row in &rows {
        let view: View = serde_json::from_value(row.view.clone())
            .map_err(|error| format!("rollout {} of {place} cannot be read: {error}", row.id))?;
        let number = row.id;
        match (row.state, view.outcome) {
            (RolloutState::Active, _) | (_, None) => {
                return Err(format!(
                    "rollout {number} of {place} goes on ({}): the old revision may have traffic",
                    view.words
                ));
            }
            (_, Some(Outcome::Stuck)) => {
                return Err(format!("rollout {number} of {place} is stuck: nobody knows which revision has traffic"));
            }
            (_, Some(Outcome::Succeeded)) => {
                let stands = &view.green.revision;
                if !commit.is_empty() && !stands.commit.is_empty() && stands.commit != commit {
                    let (stands, wanted) = (short(&stands.commit), short(commit));
                    return Err(format!(
                        "what stands of {place} since rollout {number} is {stands}, not {wanted}: deploy {wanted} first; the old one has all of \
                         the traffic"
                    ));
                }
                return Ok(match row.state {
                    RolloutState::Ended => format!(
                        "{place}: rollout {number} has all of the traffic; going back to what stood before it may not work any more"
                    ),
                    RolloutState::Active | RolloutState::Closed => {
                        format!("{place}: rollout {number} has all of the traffic")
                    }
                });
            }
            // What stood before stands.
            (_, Some(Outcome::RolledBack | Outcome::Rejected)) => {}
        }
    }
    Ok(format!("{place}: no rollout is known, so nothing of it has traffic by pipe"))
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
