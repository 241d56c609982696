//! Concurrency groups over all runs of this process, or of all processes that share a folder. See
//! <https://docs.github.com/en/actions/how-tos/writing-workflows/choosing-when-your-workflow-runs/control-the-concurrency-of-workflows-and-jobs>.
//!
//! A run that asks for a group or leaves one may change others; they are told through a channel and record the change in
//! their own logs.

mod files;
mod late;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::mpsc;
use workflow::run::{GroupChange, Groups, JobRunKey, QueueMode};

use self::files::{Call, Came, GroupFiles, Ticket};
use crate::store::RunId;
pub use late::Newer;

/// A job run, or a run itself (`None`).
type Holder = (RunId, Option<JobRunKey>);

/// What changed for a holder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNews {
    /// The group.
    pub group: String,
    /// Acquired, or to be cancelled.
    pub change: GroupChange<Option<JobRunKey>>,
    /// Of what is to be cancelled the run that takes its place, where it is another one.
    pub by: Option<RunId>,
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
    /// What runs give way to that came late.
    late: HashMap<RunId, Newer>,
    /// For runs that nobody carries now.
    kept: HashMap<RunId, Vec<GroupNews>>,
    /// Told of runs that have news while nobody carries them.
    absent: Option<mpsc::UnboundedSender<RunId>>,
    /// Where other processes are met.
    files: Option<GroupFiles>,
    /// Told of a group that another process has.
    waits: Option<fn(&str)>,
    /// Who has a group here, or waits for other processes, by the group.
    locks: HashMap<String, Locked>,
    /// For who waits in a thread of its own.
    own: Weak<Mutex<Self>>,
}

/// A group that somebody has in this process.
#[derive(Debug)]
struct Locked {
    holder: Holder,
    /// Whether other processes are before this one, so that the holder has to wait.
    waits: bool,
    /// Absent where there can be none: then this process has its groups for itself.
    ticket: Option<Ticket>,
}

impl Locked {
    fn number(&self) -> Option<u64> {
        self.ticket.as_ref().map(Ticket::number)
    }
}

/// Whether a holder has a group among all processes.
enum Turn {
    Now,
    /// It is told later.
    Later,
    /// Too many wait.
    Never,
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
            let news = state.tell(Some(run), run, group, changes);
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
        self.state().request((run, holder.clone()), group, cancel_in_progress, queue)
    }

    /// As [`Self::request`] or [`Self::request_at_once`]: a run that was `held` asks when somebody lets it go, which may be long after it
    /// was made, and jobs ask when it is their turn.
    pub fn request_by(
        &self,
        run: RunId,
        holder: &Option<JobRunKey>,
        group: &str,
        (cancel_in_progress, queue): (bool, QueueMode),
        held: bool,
    ) -> Vec<GroupNews> {
        match holder {
            None if !held => self.request_at_once(run, group, cancel_in_progress, queue),
            None | Some(_) => self.request(run, holder, group, cancel_in_progress, queue),
        }
    }

    /// As [`Self::request`], for a run itself that asks as soon as it is made. Runs that are made one after the other ask side by
    /// side: where a later one was faster, it has not come before this one.
    pub fn request_at_once(
        &self,
        run: RunId,
        group: &str,
        cancel_in_progress: bool,
        queue: QueueMode,
    ) -> Vec<GroupNews> {
        let mut state = self.state();
        let overtook = state.overtook(group, run, cancel_in_progress).filter(|_| queue == QueueMode::Single);
        match overtook {
            Some(later) => gives_way((run, None), group, later),
            None => state.request((run, None), group, cancel_in_progress, queue),
        }
    }

    /// Whether another process has a group that one of this process asked for.
    #[must_use]
    pub fn waits_for_others(&self, group: &str) -> bool {
        self.state().locks.get(&group.to_lowercase()).is_some_and(|locked| locked.waits)
    }

    /// Leaves a group. Gives what changes for this run; other runs are told.
    pub fn release(&self, run: RunId, holder: &Option<JobRunKey>, group: &str) -> Vec<GroupNews> {
        let mut state = self.state();
        let holder = (run, holder.clone());
        let changes = state.groups.release(group, &holder);
        let news = state.tell(Some(run), run, group, changes);
        state.unlock(|locked| *locked == holder);
        news
    }

    /// A run is over, however it ended: it leaves what it still holds.
    pub fn leave(&self, run: RunId) {
        let mut state = self.state();
        state.runs.remove(&run);
        state.kept.remove(&run);
        state.late.remove(&run);
        for (group, changes) in state.groups.release_all(&|(of, _): &Holder| *of == run) {
            let _nothing_for_it = state.tell(Some(run), run, &group, changes);
        }
        state.unlock(|(of, _)| *of == run);
    }
}

/// Who asks for a group leaves it to a run.
fn gives_way(holder: Holder, group: &str, to: RunId) -> Vec<GroupNews> {
    let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group).to_owned();
    vec![GroupNews { group, change: GroupChange::Cancel(holder.1), by: Some(to) }]
}

impl State {
    fn request(&mut self, holder: Holder, group: &str, cancel_in_progress: bool, queue: QueueMode) -> Vec<GroupNews> {
        let run = holder.0;
        let (newer, newer_runs) = self.newer_in(group, &holder);
        if let Some(newer) = newer.filter(|_| queue == QueueMode::Single) {
            return gives_way(holder, group, newer);
        }
        let cancel_in_progress = cancel_in_progress && !newer_runs;
        if !self.groups.contains(group, &holder) {
            let of_waiting = queue == QueueMode::Single;
            self.call_others(group, Call { by: run, of_running: cancel_in_progress, of_waiting });
        }
        let changes = self.groups.request(group, &holder, cancel_in_progress, queue);
        self.tell(Some(run), run, group, changes)
    }

    /// Tells other processes who comes.
    fn call_others(&self, group: &str, call: Call) {
        let Some(files) = &self.files else { return };
        let own = self.locks.get(&group.to_lowercase()).and_then(|locked| locked.ticket.as_ref());
        if let Err(error) = files.call(group, call, own) {
            unknown(&error);
        }
    }

    /// Takes a place among all processes, where this one has none.
    fn turn(&mut self, group: &str, holder: &Holder) -> Turn {
        let Some(files) = &self.files else { return Turn::Now };
        let key = group.to_lowercase();
        if let Some(locked) = self.locks.get_mut(&key) {
            // It follows another one of this process.
            locked.holder = holder.clone();
            return if locked.waits { Turn::Later } else { Turn::Now };
        }
        let (ticket, waits) = match files.come(group) {
            Ok(Came::In { ticket, waits }) => (Some(ticket), waits),
            Ok(Came::Full) => return Turn::Never,
            Err(error) => {
                unknown(&error);
                (None, false)
            }
        };
        if let Some(ticket) = &ticket {
            self.hear(group, ticket);
        }
        if let Some(ticket) = ticket.as_ref().filter(|_| waits) {
            self.wait(group, ticket);
        }
        self.locks.insert(key, Locked { holder: holder.clone(), waits, ticket });
        if waits { Turn::Later } else { Turn::Now }
    }

    /// Hears other processes, in a thread that ends with the ticket.
    fn hear(&self, group: &str, ticket: &Ticket) {
        let calls = match ticket.calls() {
            Ok(calls) => calls,
            Err(error) => return unknown(&error),
        };
        let (own, group, number) = (self.own.clone(), group.to_owned(), ticket.number());
        std::thread::spawn(move || {
            for call in calls {
                let Some(state) = own.upgrade() else { return };
                state.lock().unwrap_or_else(PoisonError::into_inner).called(&group, number, call);
            }
        });
    }

    /// Waits for other processes, in a thread that ends when it is this one's turn.
    fn wait(&self, group: &str, ticket: &Ticket) {
        if let Some(waits) = self.waits {
            waits(group.split_once(BETWEEN).map_or(group, |(_, group)| group));
        }
        let (own, group, number, turn) = (self.own.clone(), group.to_owned(), ticket.number(), ticket.turn());
        std::thread::spawn(move || {
            if let Err(error) = turn() {
                unknown(&error);
            }
            if let Some(state) = own.upgrade() {
                state.lock().unwrap_or_else(PoisonError::into_inner).arrived(&group, number);
            }
        });
    }

    /// Another process takes the place of some of this one.
    fn called(&mut self, group: &str, number: u64, call: Call) {
        let locked = self.locks.get(&group.to_lowercase()).filter(|locked| locked.number() == Some(number));
        let Some(Locked { waits, .. }) = locked else { return };
        // Among all processes the one that runs here may be one that waits.
        let of_running = if *waits { call.of_waiting } else { call.of_running };
        let changes = self.groups.supersede(group, of_running, call.of_waiting);
        let _none_of_it_is_ours = self.tell(None, call.by, group, changes);
    }

    /// No other process is before this one any more.
    fn arrived(&mut self, group: &str, number: u64) {
        // Nobody may want it any more.
        let locked = self.locks.get_mut(&group.to_lowercase()).filter(|locked| locked.number() == Some(number));
        let Some(locked) = locked.filter(|locked| locked.waits) else { return };
        locked.waits = false;
        let (run, holder) = locked.holder.clone();
        let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group).to_owned();
        if let Some(sender) = self.runs.get(&run) {
            let _over = sender.send(GroupNews { group, change: GroupChange::Acquired(holder), by: None });
        }
    }

    /// Who had a group has left it, and nobody here followed.
    fn unlock(&mut self, left: impl Fn(&Holder) -> bool) {
        self.locks.retain(|_, locked| !left(&locked.holder));
    }

    /// Tells runs what `by` changed for them; gives what is for `own`.
    fn tell(
        &mut self,
        own: Option<RunId>,
        by: RunId,
        group: &str,
        changes: Vec<GroupChange<Holder>>,
    ) -> Vec<GroupNews> {
        let mut for_own = Vec::new();
        let whole = group;
        let group = group.split_once(BETWEEN).map_or(group, |(_, group)| group);
        for change in changes {
            let ((run, holder), acquired) = match change {
                GroupChange::Acquired(holder) => match self.turn(whole, &holder) {
                    Turn::Now => (holder, true),
                    Turn::Later => continue,
                    Turn::Never => (holder, false),
                },
                GroupChange::Cancel(holder) => (holder, false),
            };
            let change = if acquired { GroupChange::Acquired(holder) } else { GroupChange::Cancel(holder) };
            let by = Some(by).filter(|by| !acquired && *by != run);
            let news = GroupNews { group: group.to_owned(), change, by };
            if own == Some(run) {
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

fn unknown(error: &std::io::Error) {
    tracing::warn!(%error, "concurrency groups of other processes are not known");
}
