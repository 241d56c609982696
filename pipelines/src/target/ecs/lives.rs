//! Rollouts that are driven on the fake of AWS by processes that die, for tests: a journal in memory, and where somebody dies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use jiff::Timestamp;
use rollout::lock::Rival;
use rollout::plan::Hook;
use rollout::{Fact, Order, Outcome, Plan, Rollout, View, Weight};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::rollout::{CallError, CallOrder, Claim, Driver, Hooks, Journal, JournalError, OrderGiven, Target};

/// The rollout's number.
pub(crate) const ROLLOUT: u64 = 7;
/// Lives that one has at most.
const LIVES_MAX: usize = 4;

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the fact with this number is written; looks are not counted.
    BeforeFact(usize),
    /// After it.
    AfterFact(usize),
    /// As soon as so many calls of an operation have taken effect, whatever else it was about to do.
    AtCall(&'static str, usize),
}

/// What is on the disk of a process.
#[derive(Debug)]
pub(crate) struct Memory {
    facts: Mutex<Vec<(Timestamp, Fact)>>,
    view: Mutex<Option<View>>,
    death: Mutex<Option<Death>>,
    died: watch::Sender<bool>,
    token: Mutex<u64>,
    /// A person takes it back once green has this share.
    back_at: Option<Weight>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is something that somebody did, and not only saw.
fn counts(fact: &Fact) -> bool {
    !matches!(fact, Fact::Observed(_) | Fact::Unseen { .. })
}

impl Memory {
    pub(crate) fn new(plan: Plan, at: Timestamp, death: Option<Death>, back_at: Option<Weight>) -> Arc<Self> {
        let planned = Fact::Planned { plan: Box::new(plan), by: "ada".to_owned() };
        let view = Rollout::new(ROLLOUT, at, &planned).unwrap().view(at);
        Arc::new(Self {
            facts: Mutex::new(vec![(at, planned)]),
            view: Mutex::new(Some(view)),
            death: Mutex::new(death),
            died: watch::channel(false).0,
            token: Mutex::default(),
            back_at,
        })
    }

    pub(crate) fn view(&self) -> View {
        locked(&self.view).clone().unwrap()
    }

    /// What was written down but looks.
    pub(crate) fn deeds(&self) -> usize {
        locked(&self.facts).iter().filter(|(_, fact)| counts(fact)).count()
    }

    fn count(&self, facts: &[(Timestamp, Fact)]) -> std::ops::Range<usize> {
        let before = self.deeds();
        before..before + facts.iter().filter(|(_, fact)| counts(fact)).count()
    }

    async fn dies(&self, of: impl Fn(usize) -> Death, numbers: std::ops::Range<usize>) {
        let is_due = {
            let mut death = locked(&self.death);
            let is_due = death.is_some_and(|death| numbers.clone().any(|number| of(number) == death));
            if is_due {
                *death = None;
            }
            is_due
        };
        if is_due {
            self.died.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Journal for Memory {
    async fn facts(&self, _rollout: u64) -> Result<Vec<(Timestamp, Fact)>, JournalError> {
        Ok(locked(&self.facts).clone())
    }

    async fn append(
        &self,
        _rollout: u64,
        _token: Option<u64>,
        expected: u64,
        facts: &[(Timestamp, Fact)],
        view: &View,
        _is_open: bool,
    ) -> Result<(), JournalError> {
        let numbers = self.count(facts);
        self.dies(Death::BeforeFact, numbers.clone()).await;
        {
            let mut all = locked(&self.facts);
            if all.len() as u64 != expected {
                return Err(JournalError::Fenced);
            }
            all.extend(facts.iter().cloned());
            *locked(&self.view) = Some(view.clone());
        }
        self.dies(Death::AfterFact, numbers).await;
        Ok(())
    }

    async fn rivals(&self, _rollout: u64) -> Result<Vec<Rival>, JournalError> {
        Ok(Vec::new())
    }

    async fn take_lock(&self, _rollout: u64) -> Result<Claim, JournalError> {
        let mut token = locked(&self.token);
        *token += 1;
        Ok(Claim::Taken { token: *token })
    }

    async fn release_lock(&self, _rollout: u64, _token: u64) -> Result<(), JournalError> {
        Ok(())
    }

    async fn orders_after(&self, _rollout: u64, last: u64) -> Result<Vec<OrderGiven>, JournalError> {
        let view = self.view();
        let is_due = last == 0 && self.back_at.is_some_and(|weight| view.weight >= weight);
        let order = OrderGiven { number: 1, order: Order::Rollback, by: "bert".to_owned(), comment: String::new() };
        Ok(is_due.then_some(order).into_iter().collect())
    }

    async fn changed(&self) {
        std::future::pending().await
    }
}

/// A rollout without scripts.
#[derive(Debug)]
struct NoScripts;

#[async_trait]
impl Hooks for NoScripts {
    async fn run(&self, _order: &CallOrder, _scripts: &[Hook]) -> Result<Value, CallError> {
        Err(CallError::last("it has no scripts"))
    }

    async fn look_up(&self, _order: &CallOrder) -> Result<Option<Value>, CallError> {
        Ok(None)
    }
}

/// Calls of the fake that take effect, as they are counted.
pub(crate) type Counts = Vec<(&'static str, usize)>;

/// Drives a rollout to its end, one process after another; gives how many there were. `target` makes the target of a process.
pub(crate) async fn live(stage: &Stage, memory: &Arc<Memory>, target: impl Fn() -> Arc<dyn Target>) -> usize {
    for lives in 1..=LIVES_MAX {
        let driver = Driver {
            rollout: ROLLOUT,
            journal: Arc::clone(memory) as Arc<dyn Journal>,
            target: target(),
            hooks: Arc::new(NoScripts),
            clock: stage.clock(),
        };
        let mut died = memory.died.subscribe();
        let at_call = async {
            let death = *locked(&memory.death);
            let Some(Death::AtCall(operation, count)) = death else { return std::future::pending().await };
            while stage.fake.effects(operation) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            *locked(&memory.death) = None;
        };
        tokio::select! {
            ended = driver.run(CancellationToken::new()) => {
                ended.unwrap_or_else(|error| panic!("{error}: {:#?}", memory.view().timeline));
                return lives;
            }
            _ = died.wait_for(|died| *died) => {}
            () = at_call => {}
        }
        memory.died.send_replace(false);
        // Nobody is there for a while.
        let clock: Arc<dyn Clock> = stage.clock();
        clock.wait_until(clock.now() + jiff::SignedDuration::from_secs(3)).await;
    }
    panic!("it dies again and again: {:#?}", memory.view().timeline);
}

/// That it ended so, and what it did.
#[track_caller]
pub(crate) fn check(stage: &Stage, memory: &Memory, outcome: Outcome, expected: &Counts, what: &str) {
    let view = memory.view();
    let told = format!("{what}: {:#?}", view.timeline);
    assert_eq!(view.outcome, Some(outcome), "{told}");
    let found: Counts = expected.iter().map(|(call, _)| (*call, stage.fake.effects(call))).collect();
    assert_eq!(&found, expected, "{told}");
}
