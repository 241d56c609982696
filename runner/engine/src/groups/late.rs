//! Runs whose events came late: of an older push than others that were there before.
//!
//! In a group where a newer one takes the place of an older one, such a run takes nobody's: it gives way itself, as it
//! would have if its event had come in time. In a queue (`queue: max`) it waits for its turn as all do.

use super::{BETWEEN, Holder, SharedGroups, State};
use crate::store::RunId;

/// What a run that came late gives way to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newer {
    /// Runs of newer events of the same ref or pull request.
    pub runs: Vec<RunId>,
    /// Groups that those have asked for, by the names that workflows give; whether they still have them or not.
    pub asked: Vec<(RunId, String)>,
}

impl SharedGroups {
    /// A run came late. To be said before it asks for a group; forgotten when it leaves.
    pub fn came_late(&self, run: RunId, newer: Newer) {
        if !newer.runs.is_empty() {
            self.state().late.insert(run, newer);
        }
    }
}

impl State {
    /// The later run that asked for a group before this one did, and would have taken its place had both asked in turn.
    pub(super) fn overtook(&self, group: &str, run: RunId, cancel_in_progress: bool) -> Option<RunId> {
        let own = (run, None);
        if self.groups.contains(group, &own) {
            return None;
        }
        let is_of_older = |other: &RunId| self.late.get(other).is_some_and(|newer| newer.runs.contains(&run));
        let is_later = |(other, of): &Holder| of.is_none() && *other > run && !is_of_older(other);
        let running = self.groups.running(group);
        let waits = self.groups.find(group, |holder| is_later(holder) && Some(holder) != running);
        // What runs is not taken from a later run; without `cancel-in-progress` this one waits for it, as it would the other way round.
        let runs = running.filter(|holder| cancel_in_progress && is_later(holder));
        waits.or(runs).map(|(later, _)| *later)
    }

    /// The newer run that has, waits for or had a group which a late one asks for; and whether it has the group now.
    pub(super) fn newer_in(&self, group: &str, holder: &Holder) -> (Option<RunId>, bool) {
        let Some(newer) = self.late.get(&holder.0).filter(|_| !self.groups.contains(group, holder)) else {
            return (None, false);
        };
        let is_newer = |(run, _): &Holder| newer.runs.contains(run);
        let here = self.groups.find(group, is_newer).map(|(run, _)| *run);
        let runs = self.groups.running(group).is_some_and(is_newer);
        let name = group.split_once(BETWEEN).map_or(group, |(_, name)| name).to_lowercase();
        let had = || newer.asked.iter().find(|(_, asked)| asked.to_lowercase() == name).map(|(run, _)| *run);
        (here.or_else(had), runs)
    }
}
