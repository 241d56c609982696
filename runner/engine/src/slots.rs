//! How many jobs this process performs at once, over all of its runs, and which one is next when a place becomes free.
//!
//! Whoever gets no place leaves a wish. Wishes are served by priority, then in turn between repositories, then in the
//! order in which they came; those for a label that is full wait without holding up others. What one decision costs does
//! not depend on how many wait.

mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tokio::sync::{mpsc, watch};
use workflow::run::JobRunKey;

use crate::store::RunId;
pub(crate) use queue::FairQueue;

/// How many jobs of one run wait for a place at the same time; more are asked for when these have one.
const WISHES_OF_RUN_MAX: usize = 1_000;

/// Who wishes for a place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// Whose turn it is goes round between these.
    pub repository: Arc<str>,
    /// Higher ones come first.
    pub priority: i32,
}

/// Places for jobs, shared by clones.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    all: usize,
    wishes_of_run_max: usize,
    /// Labels with a limit of their own, in lower case; the place is the class, from 1.
    labels: IndexMap<String, usize>,
    /// Told of runs that get a place while nobody carries them.
    absent: Option<mpsc::UnboundedSender<RunId>>,
}

/// A job run of a run.
type Wisher = (RunId, JobRunKey);

#[derive(Debug)]
struct State {
    used: usize,
    /// By class: 0 has no limit of its own.
    classes: Vec<Class>,
    wishes: HashMap<Wisher, (usize, u64)>,
    granted: HashMap<Wisher, Slot>,
    runs: HashMap<RunId, (Party, Option<watch::Sender<()>>)>,
    /// Keys of runs, so that leaving costs what a run has.
    keys: HashMap<RunId, BTreeSet<JobRunKey>>,
    ticket: u64,
    closed: bool,
}

#[derive(Debug)]
struct Class {
    used: usize,
    limit: usize,
    queue: FairQueue<(Wisher, u64)>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Option<Slots>,
    class: usize,
}

impl Slots {
    /// So many places, at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let all = count.max(1);
        Self::build(all, all, IndexMap::new(), None)
    }

    /// So many places in all, of which no more than given for jobs with certain labels. `absent` is told of runs that
    /// get a place while nobody carries them.
    #[must_use]
    pub fn of_service(count: usize, labels: IndexMap<String, usize>, absent: mpsc::UnboundedSender<RunId>) -> Self {
        Self::build(count.max(1), WISHES_OF_RUN_MAX.max(count), labels, Some(absent))
    }

    fn build(
        all: usize,
        wishes_of_run_max: usize,
        labels: IndexMap<String, usize>,
        absent: Option<mpsc::UnboundedSender<RunId>>,
    ) -> Self {
        let limits = std::iter::once(usize::MAX).chain(labels.values().copied());
        let classes = limits.map(|limit| Class { used: 0, limit, queue: FairQueue::default() }).collect();
        let labels = labels.into_iter().map(|(label, limit)| (label.to_lowercase(), limit)).collect();
        let state = State {
            used: 0,
            classes,
            wishes: HashMap::new(),
            granted: HashMap::new(),
            runs: HashMap::new(),
            keys: HashMap::new(),
            ticket: 0,
            closed: false,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), all, wishes_of_run_max, labels, absent }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    #[must_use]
    pub fn all(&self) -> usize {
        self.0.all
    }

    /// How many jobs of one run may run or wait for a place.
    #[must_use]
    pub fn of_run_max(&self) -> usize {
        self.0.wishes_of_run_max
    }

    /// Whether labels matter here.
    #[must_use]
    pub fn looks_at_labels(&self) -> bool {
        !self.0.labels.is_empty()
    }

    /// How many jobs have a place, and how many wait for one.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let state = self.state();
        (state.used, state.wishes.len())
    }

    /// A run is carried from now on; wakes when it got a place.
    #[must_use]
    pub fn join(&self, run: RunId, party: Party) -> watch::Receiver<()> {
        let sender = watch::Sender::new(());
        let woken = sender.subscribe();
        self.state().runs.insert(run, (party, Some(sender)));
        woken
    }

    /// Nobody carries the run for now; its wishes stay. False if it has got a place just now: then it is carried on.
    #[must_use]
    pub fn put_aside(&self, run: RunId) -> bool {
        let mut state = self.state();
        let keys = state.keys.get(&run).into_iter().flatten();
        if keys.into_iter().any(|key| state.granted.contains_key(&(run, key.clone()))) {
            return false;
        }
        if let Some((_, sender)) = state.runs.get_mut(&run) {
            *sender = None;
        }
        true
    }

    /// The run is over: it wishes for nothing more.
    pub fn leave(&self, run: RunId) {
        let mut state = self.state();
        let keys = state.keys.remove(&run).unwrap_or_default();
        let mut unused = Vec::new();
        for key in keys {
            state.wishes.remove(&(run, key.clone()));
            unused.extend(state.granted.remove(&(run, key)));
        }
        state.runs.remove(&run);
        drop(state);
        // Their places go to others.
        drop(unused);
    }

    /// Takes a place, if it is this one's turn; otherwise the wish is kept.
    #[must_use]
    pub fn take(&self, run: RunId, key: &JobRunKey, labels: &[String]) -> Option<Slot> {
        let mut state = self.state();
        let wisher = (run, key.clone());
        if let Some(slot) = state.granted.remove(&wisher) {
            return Some(slot);
        }
        if state.wishes.contains_key(&wisher) {
            return None;
        }
        state.ticket += 1;
        let (class, ticket) = (self.class(labels), state.ticket);
        let party = state.runs.get(&run).map(|(party, _)| party.clone()).unwrap_or_default();
        state.wishes.insert(wisher.clone(), (class, ticket));
        state.keys.entry(run).or_default().insert(key.clone());
        state.classes[class].queue.push(&party, ticket, (wisher.clone(), ticket));
        self.serve(&mut state, Some(&wisher));
        state.granted.remove(&wisher)
    }

    /// Gives a place to a job that runs already, whether or not one is free by now's count.
    #[must_use]
    pub fn occupy(&self, labels: &[String]) -> Slot {
        let class = self.class(labels);
        let mut state = self.state();
        state.used += 1;
        state.classes[class].used += 1;
        Slot { slots: Some(self.clone()), class }
    }

    /// A job run has ended that may still wish for a place.
    pub fn withdraw(&self, run: RunId, key: &JobRunKey) {
        let mut state = self.state();
        let wisher = (run, key.clone());
        state.wishes.remove(&wisher);
        if let Some(keys) = state.keys.get_mut(&run) {
            keys.remove(key);
        }
        let unused = state.granted.remove(&wisher);
        drop(state);
        drop(unused);
    }

    /// Nobody gets a place any more.
    pub fn close(&self) {
        self.state().closed = true;
    }

    /// The first label with a limit decides.
    fn class(&self, labels: &[String]) -> usize {
        let found = labels.iter().find_map(|label| self.0.labels.get_index_of(&label.to_lowercase()));
        found.map_or(0, |index| index + 1)
    }

    /// Gives free places to those whose turn it is; `asking` needs not be told.
    fn serve(&self, state: &mut State, asking: Option<&Wisher>) {
        while !state.closed && state.used < self.0.all {
            let Some((class, wisher)) = state.next() else { return };
            state.used += 1;
            state.classes[class].used += 1;
            state.wishes.remove(&wisher);
            state.granted.insert(wisher.clone(), Slot { slots: Some(self.clone()), class });
            if Some(&wisher) == asking {
                continue;
            }
            match (state.runs.get(&wisher.0), &self.0.absent) {
                (Some((_, Some(sender))), _) => {
                    let _nobody_waits = sender.send(());
                }
                (Some((_, None)) | None, Some(absent)) => {
                    let _nobody_listens = absent.send(wisher.0);
                }
                (Some((_, None)) | None, None) => {}
            }
        }
    }
}

impl State {
    /// Who is next: of the classes with room the one whose first wish has the highest priority and is the oldest.
    fn next(&mut self) -> Option<(usize, Wisher)> {
        let wishes = &self.wishes;
        let stands = |(wisher, ticket): &(Wisher, u64)| wishes.get(wisher).is_some_and(|(_, it)| it == ticket);
        let mut best: Option<(usize, (i32, std::cmp::Reverse<u64>))> = None;
        for (index, class) in self.classes.iter_mut().enumerate().filter(|(_, class)| class.used < class.limit) {
            if let Some((priority, ticket)) = class.queue.first(&stands) {
                let rank = (priority, std::cmp::Reverse(ticket));
                if best.as_ref().is_none_or(|(_, other)| rank > *other) {
                    best = Some((index, rank));
                }
            }
        }
        let (class, _) = best?;
        let (wisher, _) = self.classes[class].queue.pop()?;
        Some((class, wisher))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.slots.take() else { return };
        let mut state = slots.state();
        state.used -= 1;
        state.classes[self.class].used -= 1;
        slots.serve(&mut state, None);
    }
}
