//! A target in memory, with traffic: what a test of a rollout needs, in this crate and in those that drive it.
//!
//! It is strict where real targets forgive: a call that takes effect twice is counted twice, and each request goes to a colour by
//! its share at that instant; one that meets nothing which runs is lost. Everything is exact and nothing is random.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::Call;
use crate::fact::Found;
use crate::observation::{Counters, GivenUp, Observation, Side};
use crate::plan::{Revision, Weight};

/// Containers of each colour.
const REPLICAS: u32 = 2;
/// How long a request takes, in microseconds, and a slow one.
const FAST_US: u64 = 5_000;
const SLOW_US: u64 = 1_000_000;

/// How a revision behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Seconds until it is healthy; `None`: never.
    pub healthy_after: Option<f64>,
    /// It ends as soon as it begins.
    pub exits: bool,
    /// It is healthy in every other look only.
    pub flaps: bool,
    /// Restarts a minute.
    pub restarts: u64,
    /// Errors in a thousand answers.
    pub errors: u64,
    /// Slow ones in a thousand answers.
    pub slow: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { healthy_after: Some(0.5), exits: false, flaps: false, restarts: 0, errors: 0, slow: 20 }
    }
}

/// A revision that was started.
#[derive(Debug, Clone)]
struct Running {
    revision: Revision,
    behaviour: Behaviour,
    began: Timestamp,
    is_alive: bool,
    counters: Counters,
    dues: [u64; 2],
    looks: u64,
}

/// The target.
#[derive(Debug, Clone)]
pub struct World {
    now: Timestamp,
    /// Requests a second.
    pub rate: u64,
    running: BTreeMap<u64, Running>,
    /// What stands.
    pub primary: Option<u64>,
    /// What comes, while it is in the table.
    pub green: Option<u64>,
    /// Its share.
    pub weight: Weight,
    /// Whether tests reach green.
    pub is_open_for_tests: bool,
    /// Requests that met nothing that runs.
    pub lost: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// How the next revision behaves.
    pub next: Behaviour,
    /// Alarms that are on.
    pub alarms: Vec<String>,
    /// Whether the target goes back by itself.
    pub given_up: Option<GivenUp>,
    /// What ends just when it is to get users.
    pub vanishes: Option<u64>,
    /// Each effect that was had: rollout, number, call.
    pub effects: Vec<(u64, u32, Call)>,
    /// Calls that were refused because of traffic.
    pub refused: Vec<Call>,
    due: u64,
    turn: u64,
}

impl World {
    /// One in which this stands.
    #[must_use]
    pub fn new(now: Timestamp, blue: Option<Revision>) -> Self {
        let mut world = Self {
            now,
            rate: 50,
            running: BTreeMap::new(),
            primary: blue.as_ref().map(|blue| blue.id),
            green: None,
            weight: Weight::NONE,
            is_open_for_tests: false,
            lost: 0,
            answered: 0,
            next: Behaviour::default(),
            alarms: Vec::new(),
            given_up: None,
            vanishes: None,
            effects: Vec::new(),
            refused: Vec::new(),
            due: 0,
            turn: 0,
        };
        if let Some(blue) = blue {
            world.start(blue);
        }
        world
    }

    fn start(&mut self, revision: Revision) {
        let behaviour = self.next.clone();
        let is_alive = !behaviour.exits;
        let (id, began) = (revision.id, self.now);
        let counters = Counters::default();
        self.running.insert(id, Running { revision, behaviour, began, is_alive, counters, dues: [0; 2], looks: 0 });
    }

    /// Lets time pass and requests come.
    pub fn advance(&mut self, to: Timestamp) {
        let micros = u64::try_from(to.duration_since(self.now).as_micros()).unwrap_or(0);
        self.now = self.now.max(to);
        self.due += micros * self.rate;
        let requests = self.due / 1_000_000;
        self.due %= 1_000_000;
        for _ in 0..requests {
            self.request();
        }
    }

    fn request(&mut self) {
        self.turn += u64::from(self.weight.0);
        let is_green = self.turn >= 1_000;
        self.turn %= 1_000;
        // Before anything was ever deployed nobody asks.
        let to = if is_green { self.green } else { self.primary };
        if self.primary.is_none() && self.weight == Weight::NONE {
            return;
        }
        match to.and_then(|id| self.running.get_mut(&id)).filter(|running| running.is_alive) {
            Some(running) => {
                running.answer();
                self.answered += 1;
            }
            None => self.lost += 1,
        }
    }

    /// A colour's containers end, as by `kill -9`.
    pub fn kill(&mut self, id: u64) {
        if let Some(running) = self.running.get_mut(&id) {
            running.is_alive = false;
        }
    }

    /// A colour is not there any more.
    pub fn vanish(&mut self, id: u64) {
        self.running.remove(&id);
        self.green = self.green.filter(|green| *green != id);
    }

    /// A colour behaves otherwise from now on.
    pub fn behave(&mut self, id: u64, change: impl FnOnce(&mut Behaviour)) {
        if let Some(running) = self.running.get_mut(&id) {
            change(&mut running.behaviour);
        }
    }

    /// What runs.
    #[must_use]
    pub fn alive(&self) -> Vec<u64> {
        self.running.iter().filter(|(_, running)| running.is_alive).map(|(id, _)| *id).collect()
    }

    /// What stood before may still be there.
    #[must_use]
    pub fn is_warm(&self, id: u64) -> bool {
        self.running.get(&id).is_some_and(|running| running.is_alive)
    }

    /// Has the effect of a call.
    ///
    /// # Errors
    /// What is refused.
    pub fn perform(
        &mut self,
        (rollout, effect): (u64, u32),
        call: &Call,
        blue: Option<&Revision>,
        green: &Revision,
        reuse: Option<&Revision>,
    ) -> Result<Value, String> {
        let result = match call {
            Call::Preflight => {
                let blue = self.primary.and_then(|id| self.running.get(&id)).map(|running| running.revision.clone());
                let green_is_warm = reuse.is_some_and(|reuse| self.is_warm(reuse.id));
                if green_is_warm {
                    self.green = reuse.map(|reuse| reuse.id);
                }
                json!(Found { blue, green_is_warm })
            }
            Call::StartGreen => {
                self.start(green.clone());
                self.green = Some(green.id);
                json!({})
            }
            Call::TestTraffic { on } => {
                self.is_open_for_tests = *on;
                json!({})
            }
            Call::Hook { .. } => json!({}),
            Call::SetWeight { weight } => {
                if self.vanishes.take_if(|id| *id == green.id).is_some() {
                    self.vanish(green.id);
                    return Ok(json!({ "gone": true }));
                }
                self.weight = *weight;
                json!({ "weight": weight })
            }
            Call::MakePrimary => {
                (self.primary, self.green, self.weight) = (Some(green.id), None, Weight::NONE);
                json!({})
            }
            Call::StopBlue => self.stop(call, blue.map_or(0, |blue| blue.id))?,
            Call::StopGreen => self.stop(call, green.id)?,
        };
        self.effects.push((rollout, effect, call.clone()));
        Ok(result)
    }

    fn stop(&mut self, call: &Call, id: u64) -> Result<Value, String> {
        let is_primary = self.primary == Some(id) && self.weight < Weight::ALL;
        let is_green = self.green == Some(id) && self.weight > Weight::NONE;
        if is_primary || is_green {
            self.refused.push(call.clone());
            return Err("it carries traffic".to_owned());
        }
        if self.green == Some(id) {
            self.green = None;
        }
        let stopped = self.running.remove(&id);
        let code = if stopped.is_some_and(|running| running.is_alive) { 143 } else { 1 };
        Ok(json!({ "logs": "the last line\n", "exit_codes": [code], "cut": 0 }))
    }

    /// What is seen.
    pub fn observe(&mut self, blue: Option<u64>, green: u64) -> Observation {
        let now = self.now;
        let mut side = |id: u64| self.running.get_mut(&id).map(|running| running.look(now)).unwrap_or_default();
        Observation {
            at: now,
            blue: blue.map(&mut side),
            green: side(green),
            weight: blue.is_some().then_some(self.weight).or(Some(self.weight)),
            alarms: self.alarms.clone(),
            given_up: self.given_up.clone().map(Box::new),
        }
    }
}

impl Running {
    fn answer(&mut self) {
        let counters = &mut self.counters;
        counters.requests += 1;
        let due = |due: &mut u64, each: u64| {
            *due += each;
            let is_due = *due >= 1_000;
            *due %= 1_000;
            is_due
        };
        match due(&mut self.dues[0], self.behaviour.errors) {
            true => {
                counters.errors += 1;
                counters.errors_in_a_row += 1;
            }
            false => counters.errors_in_a_row = 0,
        }
        let is_slow = due(&mut self.dues[1], self.behaviour.slow);
        if counters.latency.is_empty() {
            counters.latency = vec![(FAST_US, 0), (SLOW_US, 0)];
        }
        counters.latency[usize::from(is_slow)].1 += 1;
    }

    fn look(&mut self, now: Timestamp) -> Side {
        self.looks += 1;
        let age = now.duration_since(self.began).as_secs_f64();
        let is_up = self.behaviour.healthy_after.is_some_and(|after| age >= after);
        let is_flapping = self.behaviour.flaps && self.looks.is_multiple_of(2);
        let is_healthy = self.is_alive && is_up && !is_flapping;
        let trouble = match (self.is_alive, is_healthy) {
            (false, _) => Some("exited with 1; its last line: no such module".to_owned()),
            (true, false) => Some("GET /health: 503".to_owned()),
            (true, true) => None,
        };
        let restarts = (self.behaviour.restarts as f64 * age / 60.0).floor();
        Side {
            wanted: REPLICAS,
            healthy: if is_healthy { REPLICAS } else { 0 },
            failed: if self.is_alive { 0 } else { REPLICAS },
            restarts: (0..=1_000).rev().find(|count| *count as f64 <= restarts).unwrap_or(0),
            in_flight: 0,
            counters: self.counters.clone(),
            trouble,
        }
    }
}
