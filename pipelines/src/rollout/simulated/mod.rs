//! Ports in memory for tests: a clock that goes on when nothing else does, a journal, a target with traffic, scripts, and a death
//! at any point of it all.

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use engine::clock::Clock;
use jiff::Timestamp;
use rollout::lock::Rival;
use rollout::plan::{Hook, Revision};
use rollout::simulated::World;
use rollout::view::Phase;
use rollout::{Fact, Observation, Order, Plan, Rollout, View};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use self::faults::{Death, Faults};
use super::{CallError, CallOrder, Claim, Hooks, Journal, JournalError, OrderGiven, Subject, Target};

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time that passes when it is told to.
#[derive(Debug)]
pub(crate) struct VirtualClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    now: Timestamp,
    next: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl VirtualClock {
    pub(crate) fn new() -> Arc<Self> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Arc::new(Self(Mutex::new(Times { now, next: 0, sleepers: BTreeMap::new() })))
    }

    /// When somebody wakes next.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        locked(&self.0).sleepers.keys().next().map(|(at, _)| *at)
    }

    /// It is so late now.
    pub(crate) fn advance(&self, to: Timestamp) {
        let mut times = locked(&self.0);
        times.now = times.now.max(to);
        let later = times.sleepers.split_off(&(to, u64::MAX));
        for waker in std::mem::replace(&mut times.sleepers, later).into_values() {
            waker.wake();
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        locked(&self.0).now
    }

    async fn wait_until(&self, at: Timestamp) {
        let number = {
            let mut times = locked(&self.0);
            times.next += 1;
            times.next
        };
        Sleep { clock: self, key: (at, number) }.await;
    }
}

/// Forgotten when it is dropped.
struct Sleep<'a> {
    clock: &'a VirtualClock,
    key: (Timestamp, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut times = locked(&self.clock.0);
        if times.now >= self.key.0 {
            return Poll::Ready(());
        }
        times.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        locked(&self.clock.0).sleepers.remove(&self.key);
    }
}

/// All that outlives a process.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) world: Mutex<World>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) stored: Mutex<Stored>,
    changed: watch::Sender<u64>,
    died: watch::Sender<bool>,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) facts: BTreeMap<u64, Vec<(Timestamp, Fact)>>,
    pub(crate) views: BTreeMap<u64, View>,
    open: BTreeSet<u64>,
    orders: Vec<(u64, OrderGiven)>,
    pub(crate) holder: Option<u64>,
    token: u64,
    /// Results by which target and scripts know that something has happened.
    results: BTreeMap<(u64, u32), Value>,
    /// Scripts that began.
    pub(crate) scripts: Vec<(u64, u32)>,
}

impl Shared {
    pub(crate) fn new(blue: Option<Revision>) -> Arc<Self> {
        let clock = VirtualClock::new();
        let world = Mutex::new(World::new(clock.now(), blue));
        Arc::new(Self {
            clock,
            world,
            faults: Mutex::default(),
            stored: Mutex::default(),
            changed: watch::Sender::new(0),
            died: watch::Sender::new(false),
        })
    }

    pub(crate) fn plan(&self, id: u64, plan: Plan) {
        let (now, first) = (self.clock.now(), Fact::Planned { plan: Box::new(plan), by: "anna".to_owned() });
        let view = Rollout::new(id, now, &first).unwrap().view(now);
        let mut stored = locked(&self.stored);
        stored.facts.insert(id, vec![(now, first)]);
        stored.views.insert(id, view);
        stored.open.insert(id);
    }

    pub(crate) fn order(&self, id: u64, order: Order) {
        let mut stored = locked(&self.stored);
        let number = stored.orders.len() as u64 + 1;
        stored.orders.push((id, OrderGiven { number, order, by: "bert".to_owned(), comment: String::new() }));
        drop(stored);
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn view(&self, id: u64) -> View {
        locked(&self.stored).views[&id].clone()
    }

    pub(crate) fn deaths(&self) -> watch::Receiver<bool> {
        self.died.subscribe()
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = locked(&self.world);
        world.advance(self.clock.now());
        world
    }

    /// Dies if it is to die here: what waits for this waits for ever.
    async fn dies(&self, at: &[Death]) {
        {
            let mut faults = locked(&self.faults);
            if !faults.death.is_some_and(|death| at.contains(&death)) {
                return;
            }
            faults.death = None;
        }
        self.died.send_replace(true);
        std::future::pending().await
    }

    pub(crate) fn is_born_again(&self) {
        self.died.send_replace(false);
    }
}

/// The journal of one process.
#[derive(Debug)]
pub(crate) struct SimulatedJournal {
    shared: Arc<Shared>,
    changed: tokio::sync::Mutex<watch::Receiver<u64>>,
}

impl SimulatedJournal {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        let changed = tokio::sync::Mutex::new(shared.changed.subscribe());
        Arc::new(Self { shared: Arc::clone(shared), changed })
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        locked(&self.shared.stored)
    }
}

#[async_trait]
impl Journal for SimulatedJournal {
    async fn facts(&self, rollout: u64) -> Result<Vec<(Timestamp, Fact)>, JournalError> {
        Ok(self.stored().facts.get(&rollout).cloned().unwrap_or_default())
    }

    async fn append(
        &self,
        rollout: u64,
        token: Option<u64>,
        expected: u64,
        facts: &[(Timestamp, Fact)],
        view: &View,
        is_open: bool,
    ) -> Result<(), JournalError> {
        let numbers = expected..expected + facts.len() as u64;
        self.shared.dies(&numbers.clone().map(Death::BeforeFact).collect::<Vec<_>>()).await;
        {
            let mut stored = self.stored();
            let is_ours = stored.holder != Some(rollout) || token.is_none_or(|token| token == stored.token);
            let count = stored.facts.get(&rollout).map_or(0, Vec::len) as u64;
            if count != expected || !is_ours {
                return Err(JournalError::Fenced);
            }
            stored.facts.entry(rollout).or_default().extend(facts.iter().cloned());
            stored.views.insert(rollout, view.clone());
            if !is_open {
                stored.open.remove(&rollout);
            }
        }
        self.shared.changed.send_modify(|count| *count += 1);
        let results = facts.iter().filter_map(|(_, fact)| {
            let Fact::Done { effect, .. } = fact else { return None };
            Some(Death::AfterResult(*effect))
        });
        self.shared.dies(&numbers.map(Death::AfterFact).chain(results).collect::<Vec<_>>()).await;
        Ok(())
    }

    async fn rivals(&self, rollout: u64) -> Result<Vec<Rival>, JournalError> {
        let stored = self.stored();
        let others = stored.facts.iter().filter(|(id, _)| **id != rollout);
        let others = others.filter(|(id, _)| stored.open.contains(id) || stored.holder == Some(**id));
        let rival = |(id, facts): (&u64, &Vec<(Timestamp, Fact)>)| {
            let Fact::Planned { plan, .. } = &facts[0].1 else { unreachable!() };
            let is_waiting = stored.views[id].phase == Phase::Waiting;
            Rival { id: *id, has_lock: stored.holder == Some(*id), is_waiting, on_active: plan.on_active }
        };
        Ok(others.map(rival).collect())
    }

    async fn take_lock(&self, rollout: u64) -> Result<Claim, JournalError> {
        let mut stored = self.stored();
        if let Some(by) = stored.holder.filter(|holder| *holder != rollout) {
            return Ok(Claim::Held { by });
        }
        (stored.holder, stored.token) = (Some(rollout), stored.token + 1);
        Ok(Claim::Taken { token: stored.token })
    }

    async fn release_lock(&self, rollout: u64, token: u64) -> Result<(), JournalError> {
        let mut stored = self.stored();
        if stored.holder == Some(rollout) && stored.token == token {
            stored.holder = None;
        }
        drop(stored);
        self.shared.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn orders_after(&self, rollout: u64, last: u64) -> Result<Vec<OrderGiven>, JournalError> {
        let stored = self.stored();
        let orders = stored.orders.iter().filter(|(id, order)| *id == rollout && order.number > last);
        Ok(orders.map(|(_, order)| order.clone()).collect())
    }

    async fn changed(&self) {
        let mut changed = self.changed.lock().await;
        let _gone = changed.changed().await;
    }
}

/// The target, and what runs scripts.
#[derive(Debug)]
pub(crate) struct Simulated(pub(crate) Arc<Shared>);

impl Simulated {
    async fn have_effect(&self, order: &CallOrder) -> Result<Value, CallError> {
        let (id, effect) = (order.subject.rollout, order.effect);
        self.0.dies(&[Death::BeforeCall(effect)]).await;
        let (hiccup, slow, fails) = {
            let mut faults = locked(&self.0.faults);
            let hiccups = faults.hiccups.entry(effect).or_default();
            let hiccup = *hiccups > 0;
            *hiccups = hiccups.saturating_sub(1);
            let slow = faults.slow.as_ref().filter(|(which, _)| which(&order.call)).map(|(_, time)| *time);
            let fails = faults.fails.as_ref().filter(|(which, _)| which(&order.call)).map(|(_, error)| error.clone());
            (hiccup, slow, fails)
        };
        if hiccup {
            return Err(CallError::transient("connection refused"));
        }
        if let Some(error) = fails {
            return Err(error);
        }
        if let Some(time) = slow {
            self.0.clock.wait_until(self.0.clock.now().saturating_add(time).unwrap()).await;
        }
        let subject = &order.subject;
        let reuse = subject.plan.reuse.as_ref();
        let result = self
            .0
            .world()
            .perform((id, effect), &order.call, subject.blue.as_ref(), &subject.green, reuse)
            .map_err(CallError::last)?;
        locked(&self.0.stored).results.insert((id, effect), result.clone());
        self.0.dies(&[Death::AfterCall(effect)]).await;
        if locked(&self.0.faults).lost_answers.remove(&effect) {
            return Err(CallError::transient("the answer was lost"));
        }
        Ok(result)
    }

    fn had_effect(&self, order: &CallOrder) -> Option<Value> {
        locked(&self.0.stored).results.get(&(order.subject.rollout, order.effect)).cloned()
    }
}

#[async_trait]
impl Target for Simulated {
    async fn perform(&self, order: &CallOrder) -> Result<Value, CallError> {
        self.have_effect(order).await
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(self.had_effect(order))
    }

    async fn observe(&self, subject: &Subject) -> Result<Observation, CallError> {
        if locked(&self.0.faults).is_blind {
            return Err(CallError::transient("connection refused"));
        }
        let seen = self.0.world().observe(subject.blue.as_ref().map(|blue| blue.id), subject.green.id);
        let late = locked(&self.0.faults).late_looks;
        self.0.clock.wait_until(self.0.clock.now().saturating_add(late).unwrap()).await;
        Ok(seen)
    }
}

#[async_trait]
impl Hooks for Simulated {
    async fn run(&self, order: &CallOrder, scripts: &[Hook]) -> Result<Value, CallError> {
        assert!(!scripts.is_empty());
        locked(&self.0.stored).scripts.push((order.subject.rollout, order.effect));
        self.have_effect(order).await.map(|_| json!({ "exit_code": 0 }))
    }

    async fn look_up(&self, order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(self.had_effect(order))
    }
}
