//! Stories: what happens in a simulated world, and how the rollout ends.

mod illegal;
mod paced;
mod replay;
mod steering;
mod stories;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Effect, LockWish, Rollout};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::{Fact, Outcome};
use crate::order::Order;
use crate::plan::{Plan, Revision, Weight};
use crate::simulated::World;

/// The rollout of these tests, and what stands before.
const GREEN: u64 = 2;
const BLUE: u64 = 1;

/// Turns of the loop of a story; more is a rollout that goes round in circles.
const TURNS_MAX: usize = 200_000;

fn revision(id: u64, version: &str) -> Revision {
    Revision { id, image: format!("shop@sha256:{id}"), version: version.to_owned(), commit: "1a38bd2".to_owned() }
}

/// Which calls are meant.
type Which = fn(&Call) -> bool;

/// What happens from outside.
type Event = Box<dyn Fn(&mut Story)>;

/// A rollout in a world, driven without waiting.
struct Story {
    now: Timestamp,
    world: World,
    rollout: Rollout,
    log: Vec<(Timestamp, Fact)>,
    /// Calls that fail for good from now on, with the reason.
    failing: Option<(Which, &'static str)>,
    unseen: bool,
    /// Seconds that each call takes.
    slowness: fn(&Call) -> i64,
    orders: u64,
    is_locked_out: bool,
}

impl Story {
    fn new(plan: Plan) -> Self {
        Self::on(plan, Some(revision(BLUE, "v1")))
    }

    fn on(plan: Plan, blue: Option<Revision>) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let first = Fact::Planned { plan: Box::new(plan), by: "anna".to_owned() };
        Self {
            now,
            world: World::new(now, blue),
            rollout: Rollout::new(GREEN, now, &first).unwrap(),
            log: vec![(now, first)],
            failing: None,
            unseen: false,
            slowness: |_| 0,
            orders: 0,
            is_locked_out: false,
        }
    }

    fn fact(&mut self, fact: Fact) {
        // As it is stored.
        let text = serde_json::to_string(&fact).unwrap();
        let stored: Fact = serde_json::from_str(&text).unwrap();
        assert_eq!(stored, fact, "{text}");
        if let Err(illegal) = self.rollout.apply(self.now, &fact) {
            panic!("{illegal}\n{}", self.told());
        }
        self.log.push((self.now, fact));
    }

    fn order(&mut self, order: Order) {
        self.orders += 1;
        let (by, comment) = ("bert".to_owned(), String::new());
        self.fact(Fact::Ordered { order, by, comment, number: self.orders });
    }

    fn told(&self) -> String {
        let lines = self.rollout.view(self.now).timeline;
        lines.iter().map(|line| format!("{} {}\n", line.at.duration_since(self.log[0].0), line.words)).collect()
    }

    fn perform(&mut self, effect: &Effect) {
        let until = self.now.saturating_add(SignedDuration::from_secs((self.slowness)(&effect.call))).unwrap();
        self.now = until;
        self.world.advance(until);
        let number = effect.number;
        if let Some((fails, reason)) = self.failing
            && fails(&effect.call)
        {
            return self.fact(Fact::Failed { effect: number, reason: reason.to_owned() });
        }
        let (blue, green) = (self.rollout.blue().cloned(), self.rollout.green());
        let reuse = self.rollout.plan().reuse.clone();
        let result = self.world.perform((GREEN, number), &effect.call, blue.as_ref(), &green, reuse.as_ref());
        match result {
            Ok(result) => self.fact(Fact::Done { effect: number, result }),
            Err(reason) => self.fact(Fact::Failed { effect: number, reason }),
        }
    }

    /// Until nothing is left to do, or it waits with nothing to happen; events happen so many seconds after the beginning.
    fn play(&mut self, events: Vec<(i64, Event)>) {
        let begin = self.log[0].0;
        let mut events = events.into_iter().peekable();
        for _ in 0..TURNS_MAX {
            while let Some((_, event)) = events.next_if(|(at, _)| begin + SignedDuration::from_secs(*at) <= self.now) {
                event(self);
            }
            let decision = self.rollout.decide(self.now);
            assert_eq!(decision, self.rollout.decide(self.now), "the same state gives the same answer");
            if decision.is_over {
                return;
            }
            if let Some(fact) = decision.facts.into_iter().next() {
                self.fact(fact);
                continue;
            }
            if decision.lock.is_some_and(|wish| wish == LockWish::Background || !self.is_locked_out) {
                let token = self.rollout.token().unwrap_or(6) + 1;
                self.fact(Fact::Locked { token });
                continue;
            }
            if decision.observe {
                self.look();
                continue;
            }
            if let Some(effect) = decision.call {
                match decision.give_up {
                    true => self.fact(Fact::Failed { effect: effect.number, reason: "given up".to_owned() }),
                    false => self.perform(&effect),
                }
                continue;
            }
            let next = events.peek().map(|(at, _)| begin + SignedDuration::from_secs(*at));
            let Some(wake) = decision.wake_at.into_iter().chain(next).min() else { return };
            if next.is_none() && self.rollout.view(self.now).phase == crate::view::Phase::Paused {
                return;
            }
            self.now = self.now.max(wake);
            self.world.advance(self.now);
        }
        panic!("round in circles:\n{}", self.told());
    }

    fn look(&mut self) {
        if self.unseen {
            return self.fact(Fact::Unseen { reason: "connection refused".to_owned() });
        }
        let (blue, green) = (self.rollout.blue().map(|blue| blue.id), self.rollout.green().id);
        let seen = self.world.observe(blue, green);
        self.fact(Fact::Observed(Box::new(seen)));
    }

    /// Its effects in short: `preflight start test 100 500 1000 …`.
    fn effects(&self) -> String {
        let short = |call: &Call| match call {
            Call::Preflight => "look".to_owned(),
            Call::StartGreen => "start".to_owned(),
            Call::TestTraffic { on } => if *on { "open" } else { "close" }.to_owned(),
            Call::Hook { stage } => stage.word().to_owned(),
            Call::SetWeight { weight } => weight.0.to_string(),
            Call::MakePrimary => "primary".to_owned(),
            Call::StopBlue => "stop-blue".to_owned(),
            Call::StopGreen => "stop-green".to_owned(),
        };
        self.world.effects.iter().map(|(_, _, call)| short(call)).collect::<Vec<_>>().join(" ")
    }
}

/// How a story ends.
#[derive(Debug, PartialEq)]
struct Ends {
    outcome: Option<Outcome>,
    cause: Option<Cause>,
    effects: String,
    primary: Option<u64>,
    weight: u16,
    alive: Vec<u64>,
    lost: u64,
}

fn ends(story: &Story) -> Ends {
    Ends {
        outcome: story.rollout.outcome(),
        cause: story.rollout.view(story.now).cause,
        effects: story.effects(),
        primary: story.world.primary,
        weight: story.world.weight.0,
        alive: story.world.alive(),
        lost: story.world.lost,
    }
}

fn value(weight: Weight) -> Value {
    serde_json::json!({ "weight": weight })
}
