//! Concurrency groups: at most one holder runs, others wait or are replaced.
//!
//! Implements <https://docs.github.com/en/actions/how-tos/writing-workflows/choosing-when-your-workflow-runs/control-the-concurrency-of-workflows-and-jobs>:
//! with `queue: single` (the default) one holder may wait and a newer one replaces it; with `queue: max` up to
//! [`PENDING_MAX`] wait in order. `cancel-in-progress` also stops the one that runs.

use std::collections::{BTreeMap, VecDeque};

/// How many may wait in a group with `queue: max`.
pub const PENDING_MAX: usize = 100;

/// `concurrency.queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueMode {
    /// One may wait, a newer one takes its place.
    #[default]
    Single,
    /// Many may wait, first come first served.
    Max,
}

/// What changes when somebody asks for a group or leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange<H> {
    /// This holder may go on.
    Acquired(H),
    /// This holder should be cancelled; it keeps the group until it has left.
    Cancel(H),
}

/// All groups, by name without case, as GitHub compares them.
#[derive(Debug, Clone)]
pub struct Groups<H> {
    groups: BTreeMap<String, Group<H>>,
}

#[derive(Debug, Clone)]
struct Group<H> {
    running: Option<H>,
    pending: VecDeque<H>,
}

impl<H> Default for Groups<H> {
    fn default() -> Self {
        Self { groups: BTreeMap::new() }
    }
}

impl<H: Clone + PartialEq> Groups<H> {
    /// Asks for a group. The holder is either acquired at once, waits, or (queue full) is cancelled itself. Asking
    /// twice changes nothing.
    pub fn request(
        &mut self,
        name: &str,
        holder: &H,
        cancel_in_progress: bool,
        queue: QueueMode,
    ) -> Vec<GroupChange<H>> {
        let group =
            self.groups.entry(name.to_lowercase()).or_insert_with(|| Group { running: None, pending: VecDeque::new() });
        if group.running.as_ref() == Some(holder) || group.pending.contains(holder) {
            return Vec::new();
        }
        let Some(running) = group.running.clone() else {
            group.running = Some(holder.clone());
            return vec![GroupChange::Acquired(holder.clone())];
        };
        let mut changes = Vec::new();
        match queue {
            QueueMode::Single => changes.extend(group.pending.drain(..).map(GroupChange::Cancel)),
            QueueMode::Max if group.pending.len() >= PENDING_MAX => return vec![GroupChange::Cancel(holder.clone())],
            QueueMode::Max => {}
        }
        group.pending.push_back(holder.clone());
        if cancel_in_progress {
            changes.push(GroupChange::Cancel(running));
        }
        changes
    }

    /// Whether a holder is in a group, running or waiting.
    #[must_use]
    pub fn contains(&self, name: &str, holder: &H) -> bool {
        let group = self.groups.get(&name.to_lowercase());
        group.is_some_and(|group| group.running.as_ref() == Some(holder) || group.pending.contains(holder))
    }

    /// The first holder of a group that is meant: the one that runs, else one that waits.
    #[must_use]
    pub fn find(&self, name: &str, meant: impl Fn(&H) -> bool) -> Option<&H> {
        let group = self.groups.get(&name.to_lowercase())?;
        group.running.iter().chain(&group.pending).find(|holder| meant(holder))
    }

    /// Who has a group.
    #[must_use]
    pub fn running(&self, name: &str) -> Option<&H> {
        self.groups.get(&name.to_lowercase())?.running.as_ref()
    }

    /// Somebody who is not of these groups takes the place of the one that runs, of those that wait, or of all. They stay
    /// until they have left.
    #[must_use]
    pub fn supersede(&self, name: &str, running: bool, waiting: bool) -> Vec<GroupChange<H>> {
        let Some(group) = self.groups.get(&name.to_lowercase()) else { return Vec::new() };
        let waiting = group.pending.iter().filter(|_| waiting);
        let running = group.running.iter().filter(|_| running);
        waiting.chain(running).cloned().map(GroupChange::Cancel).collect()
    }

    /// Leaves a group, running or waiting; the next in line goes on.
    pub fn release(&mut self, name: &str, holder: &H) -> Vec<GroupChange<H>> {
        let key = name.to_lowercase();
        let Some(group) = self.groups.get_mut(&key) else { return Vec::new() };
        group.pending.retain(|waiting| waiting != holder);
        if group.running.as_ref() != Some(holder) {
            return Vec::new();
        }
        group.running = group.pending.pop_front();
        match &group.running {
            Some(next) => vec![GroupChange::Acquired(next.clone())],
            None => {
                self.groups.remove(&key);
                Vec::new()
            }
        }
    }

    /// Every holder that is meant leaves all of its groups; gives what changes in each.
    pub fn release_all(&mut self, leaves: &dyn Fn(&H) -> bool) -> Vec<(String, Vec<GroupChange<H>>)> {
        let mut changes = Vec::new();
        for (name, group) in &mut self.groups {
            group.pending.retain(|waiting| !leaves(waiting));
            if group.running.as_ref().is_some_and(leaves) {
                group.running = group.pending.pop_front();
                let next = group.running.iter().cloned().map(GroupChange::Acquired).collect();
                changes.push((name.clone(), next));
            }
        }
        self.groups.retain(|_, group| group.running.is_some());
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::GroupChange::{Acquired, Cancel};
    use super::*;

    #[test]
    fn one_runs_one_waits_a_newer_one_replaces_it() {
        let mut groups = Groups::default();
        assert_eq!(groups.request("Prod", &1, false, QueueMode::Single), [Acquired(1)]);
        assert_eq!(groups.request("prod", &2, false, QueueMode::Single), []);
        assert_eq!(groups.request("prod", &3, false, QueueMode::Single), [Cancel(2)]);
        assert_eq!(groups.request("prod", &3, false, QueueMode::Single), []);
        assert_eq!(groups.request("prod", &4, true, QueueMode::Single), [Cancel(3), Cancel(1)]);
        assert_eq!(groups.release("prod", &3), []);
        assert_eq!(groups.release("PROD", &1), [Acquired(4)]);
        assert_eq!(groups.release("prod", &4), []);
        assert_eq!(groups.request("prod", &5, false, QueueMode::Single), [Acquired(5)]);
    }

    #[test]
    fn somebody_from_elsewhere_takes_the_place_of_some_or_all() {
        let mut groups = Groups::default();
        for holder in 1..=3 {
            groups.request("g", &holder, false, QueueMode::Max);
        }
        assert_eq!(groups.supersede("G", false, true), [Cancel(2), Cancel(3)]);
        assert_eq!(groups.supersede("g", true, false), [Cancel(1)]);
        assert_eq!(groups.supersede("g", true, true), [Cancel(2), Cancel(3), Cancel(1)]);
        assert_eq!(groups.supersede("h", true, true), []);
        assert!(groups.contains("G", &3) && !groups.contains("g", &4), "all are there until they leave");
        assert_eq!(groups.find("G", |holder| *holder > 1), Some(&2));
        assert_eq!(groups.find("g", |holder| *holder > 3).or(groups.find("h", |_| true)), None);
    }

    #[test]
    fn a_long_queue_is_served_in_order_and_has_an_end() {
        let mut groups = Groups::default();
        groups.request("g", &0, false, QueueMode::Max);
        for holder in 1..=PENDING_MAX {
            assert_eq!(groups.request("g", &holder, false, QueueMode::Max), []);
        }
        assert_eq!(groups.request("g", &999, false, QueueMode::Max), [Cancel(999)]);
        for holder in 0..PENDING_MAX {
            assert_eq!(groups.release("g", &holder), [Acquired(holder + 1)]);
        }
    }
}
