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

/// Between a repository and the name of a group: no name has one.
const BETWEEN: char = '\0';

/// A group among those of all repositories: groups of two never meet, as on GitHub.
#[must_use]
pub fn of_repository(repository: &str, group: &str) -> String {
    format!("{repository}{BETWEEN}{group}")
}

/// The groups, shared by clones. Names are those of [`of_repository`]; news have the names that workflows give.
#[derive(Debug, Clone, Default)]
pub struct SharedGroups(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    groups: Groups<Holder>,
    runs: HashMap<RunId, mpsc::UnboundedSender<GroupNews>>,
    /// For runs that nobody carries now.
    kept: HashMap<RunId, Vec<GroupNews>>,
    /// Told of runs that have news while nobody carries them.
    absent: Option<mpsc::UnboundedSender<RunId>>,
}

impl SharedGroups {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Groups of a service. `absent` is told of runs that have news while nobody carries them.
    #[must_use]
    pub fn of_service(absent: mpsc::UnboundedSender<RunId>) -> Self {
        Self(Arc::new(Mutex::new(State { absent: Some(absent), ..State::default() })))
    }

    /// A run takes part from now on; gives what others change for it, and have changed while nobody carried it.
    pub fn join(&self, run: RunId) -> mpsc::UnboundedReceiver<GroupNews> {
        let (sender, news) = mpsc::unbounded_channel();
        let mut state = self.state();
        for kept in state.kept.remove(&run).unwrap_or_default() {
            // The other end is in our hand.
            let _open = sender.send(kept);
        }
        state.runs.insert(run, sender);
        news
    }

    /// Nobody carries the run for now; it keeps its places. `news` is what [`Self::join`] gave. False if there are news:
    /// then it is carried on.
    #[must_use]
    pub fn put_aside(&self, run: RunId, news: &mpsc::UnboundedReceiver<GroupNews>) -> bool {
        let mut state = self.state();
        if !news.is_empty() {
            return false;
        }
        state.runs.remove(&run);
        true
    }

    /// Restores what a run of a process that has ended held or waited for. All that hold come before any that wait.
    pub fn restore(&self, run: RunId, holder: &Option<JobRunKey>, group: &str, acquired: bool) {
        let mut state = self.state();
        let changes = state.groups.request(group, &(run, holder.clone()), false, QueueMode::Max);
        if !acquired {
            // The one before it left, and was stopped before it could say so.
            let news = state.tell(run, group, changes);
            state.kept.entry(run).or_default().extend(news);
        }
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
        state.kept.remove(&run);
        for (group, changes) in state.groups.release_all(&|(of, _): &Holder| *of == run) {
            let _nothing_for_it = state.tell(run, &group, changes);
        }
    }
}

impl State {
    fn tell(&mut self, own: RunId, group: &str, changes: Vec<GroupChange<Holder>>) -> Vec<GroupNews> {
        let mut for_own = Vec::new();
        let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group);
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
            } else if let Some(absent) = &self.absent {
                self.kept.entry(run).or_default().push(news);
                let _nobody_listens = absent.send(run);
            }
        }
        for_own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_nobody_carries_hears_of_its_turn_when_it_comes_back() {
        let (sender, mut absent) = mpsc::unbounded_channel();
        let groups = SharedGroups::of_service(sender);
        let (one, two, three) = (RunId(1), RunId(2), RunId(3));
        groups.restore(one, &None, "g", true);
        groups.restore(two, &None, "g", false);
        groups.restore(three, &None, "h", false);
        let acquired = |group: &str| GroupNews { group: group.into(), change: GroupChange::Acquired(None) };
        assert_eq!(groups.join(three).try_recv(), Ok(acquired("h")), "who held it had left");
        groups.leave(one);
        assert_eq!(absent.try_recv(), Ok(two));
        let mut news = groups.join(two);
        assert!(!groups.put_aside(two, &news));
        assert_eq!(news.try_recv(), Ok(acquired("g")));
        assert!(groups.put_aside(two, &news));
        assert_eq!(groups.request(two, &None, "g", false, QueueMode::Single), [], "it has it");
    }

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
