//! Concurrency groups over all runs of this process. See
//! <https://docs.github.com/en/actions/how-tos/writing-workflows/choosing-when-your-workflow-runs/control-the-concurrency-of-workflows-and-jobs>.
//!
//! A run that asks for a group or leaves one may change others; they are told through a channel and record the change in
//! their own logs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use workflow::run::{GroupChange, Groups, JobRunKey, QueueMode};

use crate::store::RunId;

/// A job run, or a run itself (`None`).
type Holder = (RunId, Option<JobRunKey>);

/// What changed for a holder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNews {
    /// The group.
    pub group: String,
    /// Acquired, or to be cancelled.
    pub change: GroupChange<Option<JobRunKey>>,
}

/// The groups, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct SharedGroups(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    groups: Groups<Holder>,
    runs: HashMap<RunId, mpsc::UnboundedSender<GroupNews>>,
}

impl SharedGroups {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run takes part from now on; gives what others change for it.
    pub fn join(&self, run: RunId) -> mpsc::UnboundedReceiver<GroupNews> {
        let (sender, news) = mpsc::unbounded_channel();
        self.state().runs.insert(run, sender);
        news
    }

    /// Asks for a group. Gives what changes for this run; other runs are told.
    pub fn request(
        &self,
        run: RunId,
        holder: &Option<JobRunKey>,
        group: &str,
        cancel_in_progress: bool,
        queue: QueueMode,
    ) -> Vec<GroupNews> {
        let mut state = self.state();
        let changes = state.groups.request(group, &(run, holder.clone()), cancel_in_progress, queue);
        state.tell(run, group, changes)
    }

    /// Leaves a group. Gives what changes for this run; other runs are told.
    pub fn release(&self, run: RunId, holder: &Option<JobRunKey>, group: &str) -> Vec<GroupNews> {
        let mut state = self.state();
        let changes = state.groups.release(group, &(run, holder.clone()));
        state.tell(run, group, changes)
    }

    /// A run is over, however it ended: it leaves what it still holds.
    pub fn leave(&self, run: RunId) {
        let mut state = self.state();
        state.runs.remove(&run);
        for (group, changes) in state.groups.release_all(&|(of, _): &Holder| *of == run) {
            let _nothing_for_it = state.tell(run, &group, changes);
        }
    }
}

impl State {
    fn tell(&self, own: RunId, group: &str, changes: Vec<GroupChange<Holder>>) -> Vec<GroupNews> {
        let mut for_own = Vec::new();
        for change in changes {
            let ((run, holder), acquired) = match change {
                GroupChange::Acquired(holder) => (holder, true),
                GroupChange::Cancel(holder) => (holder, false),
            };
            let change = if acquired { GroupChange::Acquired(holder) } else { GroupChange::Cancel(holder) };
            let news = GroupNews { group: group.to_owned(), change };
            if run == own {
                for_own.push(news);
            } else if let Some(sender) = self.runs.get(&run) {
                let _over = sender.send(news);
            }
        }
        for_own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_is_told_of_its_turn_and_of_its_end() {
        let groups = SharedGroups::default();
        let (one, two, three) = (RunId(1), RunId(2), RunId(3));
        let mut news_of_one = groups.join(one);
        let mut news_of_two = groups.join(two);
        let _news_of_three = groups.join(three);
        let acquired = vec![GroupNews { group: "g".into(), change: GroupChange::Acquired(None) }];
        let cancel = GroupNews { group: "G".into(), change: GroupChange::Cancel(None) };
        assert_eq!(groups.request(one, &None, "g", false, QueueMode::Single), acquired);
        assert_eq!(groups.request(two, &None, "G", true, QueueMode::Single), []);
        assert_eq!(news_of_one.try_recv(), Ok(cancel.clone()));
        assert_eq!(groups.request(three, &None, "G", false, QueueMode::Single), []);
        assert_eq!(news_of_two.try_recv(), Ok(cancel));
        groups.leave(two);
        groups.leave(one);
        // It has the group now: nobody else is told.
        assert_eq!(groups.release(three, &None, "g"), []);
        assert_eq!(groups.request(RunId(4), &None, "g", false, QueueMode::Single), acquired);
    }
}
