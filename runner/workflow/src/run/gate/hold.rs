//! Runs of strangers' code, which begin once somebody who may write has let them.
//!
//! Follows <https://docs.github.com/en/actions/how-tos/manage-workflow-runs/approve-runs-from-forks>. A held run holds no
//! place in a concurrency group, and nothing of it runs when it is cancelled, not even what says `always()`.

use crate::run::{Conclusion, Decision, Phase, Run, RunEvent};

impl Run {
    /// What happens to a run before somebody lets it begin; `None`: it may begin.
    pub(in crate::run) fn hold_first(&self) -> Option<Vec<Decision>> {
        let reason = self.facts.held.as_ref()?;
        match self.released {
            Some(true) => None,
            _ if self.cancel.is_some() => {
                Some(vec![Decision::Record(RunEvent::RunFinished { conclusion: Conclusion::Cancelled })])
            }
            None => Some(vec![Decision::Record(RunEvent::RunHeld { reason: reason.clone() })]),
            Some(false) => Some(Vec::new()),
        }
    }

    /// Whether it waits for somebody to let it begin.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.phase == Phase::Created && self.facts.held.is_some() && self.released != Some(true)
    }

    /// The facts that let it begin; none if nobody has to.
    #[must_use]
    pub fn release(&self, by: &str) -> Vec<RunEvent> {
        let Some(reason) = self.facts.held.as_ref().filter(|_| self.is_held()) else { return Vec::new() };
        let held = self.released.is_none().then(|| RunEvent::RunHeld { reason: reason.clone() });
        held.into_iter().chain([RunEvent::RunReleased { by: by.to_owned() }]).collect()
    }

    /// It waits for somebody, or somebody let it begin.
    pub(in crate::run) fn change_hold(&mut self, event: &RunEvent) -> Result<(), String> {
        let (before, after) =
            if matches!(event, RunEvent::RunHeld { .. }) { (None, false) } else { (Some(false), true) };
        if self.phase != Phase::Created || self.released != before {
            return Err("it does not wait for anybody to let it begin".into());
        }
        self.released = Some(after);
        Ok(())
    }
}
