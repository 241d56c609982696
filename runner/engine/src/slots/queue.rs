//! A queue that is fair between parties: the highest priority first, within it each repository in turn, within one the
//! oldest first. Entries that have become void are dropped when they come up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::Party;

/// The queue.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    rounds: BTreeMap<Reverse<i32>, Round<T>>,
}

#[derive(Debug)]
struct Round<T> {
    /// Whose turn is next; each name once.
    turns: VecDeque<Arc<str>>,
    /// With the ticket of each entry.
    waiting: HashMap<Arc<str>, VecDeque<(u64, T)>>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { rounds: BTreeMap::new() }
    }
}

impl<T> FairQueue<T> {
    /// Adds one at the end of its repository's line.
    pub(crate) fn push(&mut self, party: &Party, ticket: u64, entry: T) {
        let empty = || Round { turns: VecDeque::new(), waiting: HashMap::new() };
        let round = self.rounds.entry(Reverse(party.priority)).or_insert_with(empty);
        let line = round.waiting.entry(Arc::clone(&party.repository)).or_default();
        if line.is_empty() {
            round.turns.push_back(Arc::clone(&party.repository));
        }
        line.push_back((ticket, entry));
    }

    /// Priority and ticket of the next entry that still stands.
    pub(crate) fn first(&mut self, stands: &dyn Fn(&T) -> bool) -> Option<(i32, u64)> {
        while let Some(mut entry) = self.rounds.first_entry() {
            let Reverse(priority) = *entry.key();
            let round = entry.get_mut();
            while let Some(name) = round.turns.front() {
                let line = round.waiting.entry(Arc::clone(name)).or_default();
                while line.front().is_some_and(|(_, it)| !stands(it)) {
                    line.pop_front();
                }
                if let Some((ticket, _)) = line.front() {
                    return Some((priority, *ticket));
                }
                round.waiting.remove(name);
                round.turns.pop_front();
            }
            entry.remove();
        }
        None
    }

    /// Takes the one that `first` told of; its repository goes to the end of the round.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let mut entry = self.rounds.first_entry()?;
        let round = entry.get_mut();
        let name = round.turns.pop_front()?;
        let line = round.waiting.get_mut(&name)?;
        let taken = line.pop_front();
        if line.is_empty() {
            round.waiting.remove(&name);
        } else {
            round.turns.push_back(name);
        }
        if round.turns.is_empty() {
            entry.remove();
        }
        taken.map(|(_, it)| it)
    }
}
