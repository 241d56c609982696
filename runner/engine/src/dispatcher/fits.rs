//! Whether a fact still fits what has happened meanwhile.

use workflow::run::RunEvent;

use super::Loop;

impl Loop<'_> {
    /// A holder may have ended on its own by now.
    pub(super) fn fits(&self, event: &RunEvent) -> bool {
        match event {
            RunEvent::JobRunCancelRequested { key, .. } => {
                self.run.job_run(key).is_some_and(|run| run.conclusion().is_none() && run.cancel.is_none())
            }
            RunEvent::GroupAcquired { holder: Some(key) } => {
                self.run.job_run(key).is_some_and(|run| run.conclusion().is_none())
            }
            RunEvent::RunCancelRequested { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::GroupAcquired { holder: None } => self.run.conclusion().is_none(),
            RunEvent::RunReleased { .. } => self.run.is_held(),
            RunEvent::Reviewed { key, by, .. } => {
                let gate = self.run.job_run(key).and_then(|run| run.gate.as_ref());
                gate.is_some_and(|gate| gate.wants_review() && !gate.has_review_of(by))
            }
            RunEvent::GroupRequested { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunStarted
            | RunEvent::JobSkipped { .. }
            | RunEvent::JobExpanded { .. }
            | RunEvent::JobRefused { .. }
            | RunEvent::CallStarted { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::JobRunStarted { .. }
            | RunEvent::JobRunPlaced { .. }
            | RunEvent::JobRunReset { .. }
            | RunEvent::StepStarted { .. }
            | RunEvent::StepFinished { .. }
            | RunEvent::JobRunFinished { .. }
            | RunEvent::RunFinished { .. } => true,
        }
    }
}
