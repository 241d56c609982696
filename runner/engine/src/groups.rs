//! Concurrency groups over all runs of this process, or of all processes that share a folder. See
//! <https://docs.github.com/en/actions/how-tos/writing-workflows/choosing-when-your-workflow-runs/control-the-concurrency-of-workflows-and-jobs>.
//!
//! A run that asks for a group or leaves one may change others; they are told through a channel and record the change in
//! their own logs.

mod files;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::fcntl::Flock;
use tokio::sync::mpsc;
use workflow::run::{GroupChange, Groups, JobRunKey, QueueMode};

use self::files::{GroupFiles, Tried};
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
    /// Where other processes are met.
    files: Option<GroupFiles>,
    /// Told of a group that another process has.
    waits: Option<fn(&str)>,
    /// Who has a group here, by the group.
    locks: HashMap<String, Locked>,
    /// For who waits in a thread of its own.
    own: Weak<Mutex<Self>>,
}

/// A group that somebody has in this process.
#[derive(Debug)]
struct Locked {
    holder: Holder,
    /// Whether another process has it, so that the holder has to wait.
    waits: bool,
    _file: Option<Flock<File>>,
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

    /// Groups of a process that shares them with others through files below a folder. `waits` is told of a group that
    /// another process has.
    #[must_use]
    pub fn across(folder: PathBuf, waits: fn(&str)) -> Self {
        let this = Self::default();
        {
            let mut state = this.state();
            state.files = Some(GroupFiles::below(folder));
            state.waits = Some(waits);
            state.own = Arc::downgrade(&this.0);
        }
        this
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
        let holder = (run, holder.clone());
        let changes = state.groups.release(group, &holder);
        let news = state.tell(run, group, changes);
        state.unlock(|locked| *locked == holder);
        news
    }

    /// A run is over, however it ended: it leaves what it still holds.
    pub fn leave(&self, run: RunId) {
        let mut state = self.state();
        state.runs.remove(&run);
        state.kept.remove(&run);
        for (group, changes) in state.groups.release_all(&|(of, _): &Holder| *of == run) {
            let _nothing_for_it = state.tell(run, &group, changes);
        }
        state.unlock(|(of, _)| *of == run);
    }
}

impl State {
    /// Whether a holder has the group among all processes. If not it is told later.
    fn is_ours(&mut self, group: &str, holder: &Holder) -> bool {
        let Some(files) = &self.files else { return true };
        let key = group.to_lowercase();
        if let Some(locked) = self.locks.get_mut(&key) {
            // It follows another one of this process.
            locked.holder = holder.clone();
            return !locked.waits;
        }
        let (waits, file) = match files.try_lock(group) {
            Tried::Ours(file) => (false, file),
            Tried::Others(path) => {
                if let Some(waits) = self.waits {
                    waits(group.split_once(BETWEEN).map_or(group, |(_, group)| group));
                }
                let (own, key, group) = (self.own.clone(), key.clone(), group.to_owned());
                std::thread::spawn(move || {
                    let file = files::wait(&path);
                    if let Some(state) = own.upgrade() {
                        state.lock().unwrap_or_else(PoisonError::into_inner).arrived(&key, &group, file);
                    }
                });
                (true, None)
            }
        };
        self.locks.insert(key, Locked { holder: holder.clone(), waits, _file: file });
        !waits
    }

    /// Another process has left the group.
    fn arrived(&mut self, key: &str, group: &str, file: Option<Flock<File>>) {
        // Nobody may want it any more.
        let Some(locked) = self.locks.get_mut(key).filter(|locked| locked.waits) else { return };
        (locked.waits, locked._file) = (false, file);
        let (run, holder) = locked.holder.clone();
        let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group).to_owned();
        if let Some(sender) = self.runs.get(&run) {
            let _over = sender.send(GroupNews { group, change: GroupChange::Acquired(holder) });
        }
    }

    /// Who had a group has left it, and nobody here followed.
    fn unlock(&mut self, left: impl Fn(&Holder) -> bool) {
        self.locks.retain(|_, locked| !left(&locked.holder));
    }

    fn tell(&mut self, own: RunId, group: &str, changes: Vec<GroupChange<Holder>>) -> Vec<GroupNews> {
        let mut for_own = Vec::new();
        let whole = group;
        let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group);
        for change in changes {
            let ((run, holder), acquired) = match change {
                GroupChange::Acquired(holder) => (holder, true),
                GroupChange::Cancel(holder) => (holder, false),
            };
            if acquired && !self.is_ours(whole, &(run, holder.clone())) {
                continue;
            }
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

    #[tokio::test]
    async fn another_process_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) =
            (SharedGroups::across(folder.path().into(), |_| ()), SharedGroups::across(folder.path().into(), |_| ()));
        let (one, two, three) = (RunId(1), RunId(2), RunId(3));
        let acquired = || GroupNews { group: "g".into(), change: GroupChange::Acquired(None) };
        let group = of_repository("o/r", "g");
        let _news_of_one = here.join(one);
        let mut news_of_two = here.join(two);
        let mut news_of_three = there.join(three);
        assert_eq!(here.request(one, &None, &group, false, QueueMode::Max), [acquired()]);
        assert_eq!(there.request(three, &None, &group, false, QueueMode::Max), []);
        assert_eq!(here.request(two, &None, &group, false, QueueMode::Max), []);
        assert_eq!(there.request(three, &None, &of_repository("o/x", "g"), false, QueueMode::Max), [acquired()]);
        // It stays in the process that has it as long as somebody there wants it.
        here.leave(one);
        assert_eq!(news_of_two.try_recv(), Ok(acquired()));
        assert!(news_of_three.try_recv().is_err());
        here.leave(two);
        assert_eq!(news_of_three.recv().await, Some(acquired()));
        // One that left while it waited gets nothing, and keeps it from nobody.
        assert_eq!(here.request(one, &None, &group, false, QueueMode::Max), []);
        here.leave(one);
        there.leave(three);
        let mut news_of_two = here.join(two);
        if here.request(two, &None, &group, false, QueueMode::Max).is_empty() {
            assert_eq!(news_of_two.recv().await, Some(acquired()));
        }
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
