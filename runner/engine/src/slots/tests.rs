//! Who gets a place when.

use super::*;

fn key(text: &str) -> JobRunKey {
    JobRunKey::parse(text)
}

struct World {
    slots: Slots,
    absent: mpsc::UnboundedReceiver<RunId>,
    held: Vec<(u64, String, Slot)>,
}

impl World {
    fn new(all: usize, labels: &[(&str, usize)]) -> Self {
        let (sender, absent) = mpsc::unbounded_channel();
        let labels = labels.iter().map(|(label, limit)| ((*label).to_owned(), *limit)).collect();
        Self { slots: Slots::of_service(all, labels, sender), absent, held: Vec::new() }
    }

    /// A run that nobody carries wishes for a place for one job with a label.
    fn wish(&mut self, run: u64, repository: &str, priority: i32, label: &str) {
        let id = RunId(run);
        let party = Party { repository: repository.into(), priority };
        let _woken = self.slots.join(id, party);
        match self.slots.take(id, &key("a"), &[label.to_owned()]) {
            Some(slot) => self.held.push((run, label.to_owned(), slot)),
            None => assert!(self.slots.put_aside(id)),
        }
    }

    /// The oldest place of a label becomes free; who gets it?
    fn free(&mut self, label: &str) -> Vec<u64> {
        let index = self.held.iter().position(|(_, of, _)| of == label).expect("a place with this label");
        drop(self.held.remove(index));
        let mut served = Vec::new();
        while let Ok(RunId(run)) = self.absent.try_recv() {
            let slot = self.slots.take(RunId(run), &key("a"), &[]).expect("it was told so");
            self.held.push((run, label.to_owned(), slot));
            served.push(run);
        }
        served
    }
}

#[test]
fn by_priority_then_in_turn_then_by_age() {
    let mut world = World::new(1, &[]);
    world.wish(1, "a", 0, "x");
    for (run, repository, priority) in [(2, "a", 0), (3, "a", 0), (4, "b", 0), (5, "a", 7), (6, "c", 0)] {
        world.wish(run, repository, priority, "x");
    }
    world.slots.leave(RunId(6));
    let order: Vec<_> = (0..4).flat_map(|_| world.free("x")).collect();
    assert_eq!(order, [5, 2, 4, 3]);
    assert_eq!(world.slots.count(), (1, 0));
}

#[test]
fn a_full_label_holds_up_nobody_else() {
    let mut world = World::new(3, &[("GPU", 1)]);
    for (run, label) in [(1, "gpu"), (2, "gpu"), (3, "x"), (4, "x"), (5, "x")] {
        world.wish(run, "a", 0, label);
    }
    assert_eq!(world.held.iter().map(|(run, ..)| *run).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(world.free("x"), [5]);
    assert_eq!(world.free("x"), [0; 0]);
    assert_eq!(world.free("gpu"), [2]);
}

#[test]
fn what_was_withdrawn_gives_its_place_to_the_next() {
    let slots = Slots::new(1);
    let (one, two) = (RunId(1), RunId(2));
    let (_one, mut woken) = (slots.join(one, Party::default()), slots.join(two, Party::default()));
    let first = slots.take(one, &key("a"), &[]).unwrap();
    assert!(slots.take(one, &key("b"), &[]).is_none());
    assert!(slots.take(two, &key("a"), &[]).is_none());
    drop(first);
    assert!(!slots.put_aside(one), "it has a place");
    slots.withdraw(one, &key("b"));
    assert!(woken.has_changed().unwrap());
    woken.mark_unchanged();
    assert!(slots.take(two, &key("a"), &[]).is_some());
    slots.close();
    assert!(slots.take(two, &key("b"), &[]).is_none());
}

/// Ten thousand times as many wishes may not make a decision ten times as dear.
#[test]
fn a_decision_costs_the_same_however_many_wait() {
    let time = |waiting: u64| {
        let mut world = World::new(1, &[]);
        for run in 0..=waiting {
            world.wish(run, &format!("r{}", run % 50), 0, "x");
        }
        let started = std::time::Instant::now();
        for _ in 0..100 {
            world.free("x");
        }
        started.elapsed()
    };
    let (few, many) = ((0..5).map(|_| time(100)).min().unwrap(), (0..5).map(|_| time(10_000)).min().unwrap());
    assert!(many < few * 10, "{few:?} with 100, {many:?} with 10,000");
}
