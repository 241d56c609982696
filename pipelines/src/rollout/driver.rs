//! Drives one rollout to its end: asks the machine what it wants, does it, writes down what came of it.
//!
//! Calls and looks go on while orders come in; each fact is kept before it counts. Whoever drops it, as a crash does, leaves a
//! rollout that the next driver takes up (`recover.rs`).

use std::sync::Arc;

use engine::clock::Clock;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rollout::lock::{Turn, background_turn, turn};
use rollout::machine::{Effect, LockWish};
use rollout::{Cause, Decision, Fact, Observation, Rollout};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::call;
use super::ports::{CallError, CallOrder, Claim, Hooks, Journal, JournalError, Subject, Target};

/// A look takes no longer.
const LOOK_MAX: SignedDuration = SignedDuration::from_secs(10);
/// Without anything to wait for, the journal is looked at this often.
const IDLE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// What drives one rollout.
#[derive(Debug)]
pub struct Driver {
    /// Which; its first fact is in the journal.
    pub rollout: u64,
    /// Where its facts are.
    pub journal: Arc<dyn Journal>,
    /// Where to.
    pub target: Arc<dyn Target>,
    /// Who runs its scripts.
    pub hooks: Arc<dyn Hooks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Driver {
    /// Drives it until nothing is left to do, in the background too: blue is kept warm and stopped. How it ended is in its view. When
    /// `cancel` fires the rollout hears that its job was cancelled.
    ///
    /// # Errors
    /// [`JournalError::Fenced`]: another process has it now. [`JournalError::Broken`]: its facts cannot be kept; it may be driven again.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), JournalError> {
        let mut drive = Drive::take_up(self, cancel).await?;
        while drive.turn().await? {}
        Ok(())
    }
}

/// What may happen next.
enum Event {
    Called(Result<Value, CallError>),
    Looked(Result<Observation, CallError>),
    Cancelled,
    Woken,
}

/// A rollout that is being driven.
pub(super) struct Drive {
    pub(super) driver: Driver,
    pub(super) rollout: Rollout,
    cancel: CancellationToken,
    calling: Option<BoxFuture<'static, Result<Value, CallError>>>,
    looking: Option<BoxFuture<'static, Result<Observation, CallError>>>,
    released: Option<u64>,
    /// The call that is pending was begun by another process.
    pub(super) may_have_happened: bool,
}

impl Drive {
    pub(super) fn new(driver: Driver, rollout: Rollout, cancel: CancellationToken) -> Self {
        Self { driver, rollout, cancel, calling: None, looking: None, released: None, may_have_happened: false }
    }

    /// One thing after another; `false`: nothing is left to do.
    async fn turn(&mut self) -> Result<bool, JournalError> {
        self.take_orders().await?;
        let decision = self.rollout.decide(self.now());
        if decision.release {
            self.release().await?;
        }
        if !decision.facts.is_empty() {
            self.keep(decision.facts).await?;
            return Ok(true);
        }
        if decision.is_over {
            return Ok(false);
        }
        if let Some(wish) = decision.lock
            && self.claim(wish).await?
        {
            return Ok(true);
        }
        if let Some(effect) = &decision.call {
            if decision.give_up {
                self.give_up(effect).await?;
                return Ok(true);
            }
            self.call(effect);
        }
        if decision.observe && self.looking.is_none() {
            self.looking = Some(self.look());
        }
        self.wait(&decision).await?;
        Ok(true)
    }

    /// As precise as it is kept.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.driver.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Keeps facts, then applies them.
    pub(super) async fn keep(&mut self, facts: Vec<Fact>) -> Result<(), JournalError> {
        let (now, before) = (self.now(), self.rollout.facts());
        let mut next = self.rollout.clone();
        for fact in &facts {
            // The machine refuses what would harm; that it was asked for is a bug, and nothing was done.
            next.apply(now, fact).map_err(|illegal| JournalError::Broken(illegal.to_string()))?;
        }
        // What was seen before or during a call says nothing about the time after it.
        let is_boundary = |fact: &Fact| {
            matches!(fact, Fact::Intent { .. } | Fact::Done { .. } | Fact::Failed { .. } | Fact::TurnsBack { .. })
        };
        if facts.iter().any(is_boundary) {
            self.looking = None;
        }
        let facts: Vec<_> = facts.into_iter().map(|fact| (now, fact)).collect();
        let (view, id) = (next.view(now), next.id());
        self.driver.journal.append(id, next.token(), before, &facts, &view, next.is_open()).await?;
        self.rollout = next;
        Ok(())
    }

    async fn take_orders(&mut self) -> Result<(), JournalError> {
        let given = self.driver.journal.orders_after(self.rollout.id(), self.rollout.last_order()).await?;
        let facts: Vec<Fact> = given
            .into_iter()
            .map(|given| Fact::Ordered {
                order: given.order,
                by: given.by,
                comment: given.comment,
                number: given.number,
            })
            .collect();
        if facts.is_empty() { Ok(()) } else { self.keep(facts).await }
    }

    /// Whether something came of it.
    async fn claim(&mut self, wish: LockWish) -> Result<bool, JournalError> {
        let (id, plan) = (self.rollout.id(), Arc::clone(self.rollout.plan()));
        let rivals = self.driver.journal.rivals(id).await?;
        let next = match wish {
            LockWish::Turn => turn(id, plan.on_active, &rivals),
            LockWish::Background => background_turn(&rivals),
        };
        let next = match next {
            Turn::Take => match self.driver.journal.take_lock(id).await? {
                Claim::Taken { token } => {
                    self.keep(vec![Fact::Locked { token }]).await?;
                    return Ok(true);
                }
                Claim::Held { by } => Turn::Wait { behind: by },
            },
            Turn::Wait { .. } | Turn::Superseded { .. } | Turn::Busy { .. } => next,
        };
        let fact = match next {
            Turn::Take => return Ok(false),
            Turn::Wait { behind } if self.rollout.behind() == Some(behind) || wish == LockWish::Background => {
                return Ok(false);
            }
            Turn::Wait { behind } => Fact::Waits { behind },
            Turn::Superseded { by } => Fact::TurnsBack {
                cause: Cause::Superseded,
                words: format!("superseded by rollout {by}, which is newer"),
            },
            Turn::Busy { behind } => {
                let words = format!(
                    "rollout {behind} of {} goes on in {}, and this one was asked not to wait: run it again after that",
                    plan.service, plan.environment
                );
                Fact::TurnsBack { cause: Cause::Busy, words }
            }
        };
        self.keep(vec![fact]).await?;
        Ok(true)
    }

    async fn release(&mut self) -> Result<(), JournalError> {
        let token = self.rollout.token();
        if let Some(token) = token.filter(|_| self.released != self.rollout.token()) {
            self.driver.journal.release_lock(self.rollout.id(), token).await?;
        }
        self.released = token;
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject {
            rollout: self.rollout.id(),
            token: self.rollout.token().unwrap_or(0),
            plan: Arc::clone(self.rollout.plan()),
            blue: self.rollout.blue().cloned(),
            green: self.rollout.green(),
        }
    }

    fn order(&self, effect: &Effect) -> CallOrder {
        CallOrder { subject: self.subject(), effect: effect.number, call: effect.call.clone() }
    }

    fn ports(&self) -> call::Ports {
        call::Ports {
            target: Arc::clone(&self.driver.target),
            hooks: Arc::clone(&self.driver.hooks),
            clock: Arc::clone(&self.driver.clock),
        }
    }

    /// Begins a call that is not being performed.
    fn call(&mut self, effect: &Effect) {
        if self.calling.is_none() {
            let is_back = self.rollout.station().is_back();
            let is_new = !std::mem::take(&mut self.may_have_happened);
            self.calling = Some(Box::pin(call::to_its_end(self.ports(), self.order(effect), is_back, is_new)));
        }
    }

    fn look(&self) -> BoxFuture<'static, Result<Observation, CallError>> {
        let (target, clock, subject) =
            (Arc::clone(&self.driver.target), Arc::clone(&self.driver.clock), self.subject());
        Box::pin(async move {
            let until = clock.now().saturating_add(LOOK_MAX).unwrap_or(Timestamp::MAX);
            tokio::select! {
                biased;
                seen = target.observe(&subject) => seen,
                () = clock.wait_until(until) => Err(CallError::transient(format!("no answer within {} s", LOOK_MAX.as_secs()))),
            }
        })
    }

    /// Drops a call that is not wanted any more, and looks what has come of it.
    async fn give_up(&mut self, effect: &Effect) -> Result<(), JournalError> {
        (self.calling, self.may_have_happened) = (None, false);
        let found = call::look_up(&self.ports(), &self.order(effect)).await;
        let number = effect.number;
        let fact = match found {
            Ok(Some(result)) => Fact::Done { effect: number, result },
            Ok(None) => Fact::Failed { effect: number, reason: "given up before it was done".to_owned() },
            Err(error) => {
                Fact::Failed { effect: number, reason: format!("given up, and nobody knows how far it was: {error}") }
            }
        };
        self.keep(vec![fact]).await
    }

    async fn wait(&mut self, decision: &Decision) -> Result<(), JournalError> {
        let now = self.driver.clock.now();
        let idle = now.saturating_add(IDLE_MAX).unwrap_or(Timestamp::MAX);
        let wake_at = decision.wake_at.map_or(idle, |at| at.min(idle));
        let is_looking = self.looking.is_some();
        let event = tokio::select! {
            biased;
            result = of(&mut self.calling) => Event::Called(result),
            seen = of(&mut self.looking) => Event::Looked(seen),
            () = self.cancel.cancelled(), if !self.rollout.is_cancelled() => Event::Cancelled,
            () = self.driver.journal.changed() => Event::Woken,
            () = self.driver.clock.wait_until(wake_at), if !is_looking => Event::Woken,
        };
        match event {
            Event::Called(result) => {
                self.calling = None;
                let Some(effect) = self.rollout.pending().map(|effect| effect.number) else { return Ok(()) };
                let fact = match result {
                    Ok(result) => Fact::Done { effect, result },
                    Err(error) => Fact::Failed { effect, reason: error.words },
                };
                self.keep(vec![fact]).await
            }
            Event::Looked(seen) => {
                self.looking = None;
                if !self.rollout.is_watched() {
                    return Ok(());
                }
                let fact = match seen {
                    Ok(seen) => Fact::Observed(Box::new(seen)),
                    Err(error) => Fact::Unseen { reason: error.words },
                };
                self.keep(vec![fact]).await
            }
            Event::Cancelled => self.keep(vec![Fact::Cancelled { words: "its job was cancelled".to_owned() }]).await,
            Event::Woken => Ok(()),
        }
    }
}

/// The end of what goes on; for ever if nothing does.
async fn of<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
