//! One call to its end: tried again while its failures may pass, and looked up before it is made a second time.

use std::sync::Arc;

use engine::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use rollout::Call;
use serde_json::Value;

use super::ports::{CallError, CallOrder, Hooks, Target};

/// For so long failures that may pass are tried again.
const RETRY_FOR: SignedDuration = SignedDuration::from_secs(60);
/// On the way back: nobody is served well meanwhile, but giving up is worse.
const RETRY_BACK_FOR: SignedDuration = SignedDuration::from_mins(5);
/// The first pause between two tries; each is twice as long as the one before.
const PAUSE_MIN: SignedDuration = SignedDuration::from_millis(200);
/// The longest.
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// What performs calls.
#[derive(Clone)]
pub(super) struct Ports {
    pub(super) target: Arc<dyn Target>,
    pub(super) hooks: Arc<dyn Hooks>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Performs a call, tries again what may pass, looks before each further try. With `is_new` nobody can have made it before.
pub(super) async fn to_its_end(
    ports: Ports,
    order: CallOrder,
    is_back: bool,
    is_new: bool,
) -> Result<Value, CallError> {
    let began = ports.clock.now();
    let retry_for = if is_back { RETRY_BACK_FOR } else { RETRY_FOR };
    let retry_until = later(began, patience(&ports, &order.call).map_or(retry_for, |patience| patience.max(retry_for)));
    let mut pause = PAUSE_MIN;
    let mut may_have_happened = !is_new;
    loop {
        let tried = match may_have_happened {
            true => match look_up_once(&ports, &order).await {
                Ok(Some(result)) => return Ok(result),
                Ok(None) => perform(&ports, &order).await,
                Err(error) => Err(error),
            },
            false => perform(&ports, &order).await,
        };
        let error = match tried {
            Ok(result) => return Ok(result),
            Err(error) if !error.is_transient => return Err(error),
            Err(error) => error,
        };
        let next = later(ports.clock.now(), pause);
        if next > retry_until {
            return Err(CallError::last(format!(
                "{error} (tried for {} s)",
                ports.clock.now().duration_since(began).as_secs()
            )));
        }
        tracing::warn!(rollout = order.subject.rollout, effect = order.effect, %error, "a call is tried again");
        ports.clock.wait_until(next).await;
        pause = pause.saturating_add(pause).min(PAUSE_MAX);
        may_have_happened = true;
    }
}

/// Whether a call has happened, tried again while that cannot be told.
///
/// # Errors
/// If it cannot be told at all.
pub(super) async fn look_up(ports: &Ports, order: &CallOrder) -> Result<Option<Value>, CallError> {
    let mut error = None;
    for pause in [PAUSE_MIN, SignedDuration::from_secs(1), SignedDuration::from_secs(3)] {
        match look_up_once(ports, order).await {
            Err(failed) if failed.is_transient => error = Some(failed),
            found => return found,
        }
        ports.clock.wait_until(later(ports.clock.now(), pause)).await;
    }
    look_up_once(ports, order).await.map_err(|last| error.unwrap_or(last))
}

async fn look_up_once(ports: &Ports, order: &CallOrder) -> Result<Option<Value>, CallError> {
    let found = async {
        match &order.call {
            Call::Hook { .. } => ports.hooks.look_up(order).await,
            Call::Preflight
            | Call::StartGreen
            | Call::TestTraffic { .. }
            | Call::SetWeight { .. }
            | Call::MakePrimary
            | Call::StopBlue
            | Call::StopGreen => ports.target.look_up(order).await,
        }
    };
    within(ports, LOOK_UP_MAX, found).await
}

/// A look-up takes no longer.
const LOOK_UP_MAX: SignedDuration = SignedDuration::from_secs(15);

async fn perform(ports: &Ports, order: &CallOrder) -> Result<Value, CallError> {
    let performed = async {
        match &order.call {
            Call::Hook { stage } => {
                let scripts = order.subject.plan.hooks.iter().filter(|hook| hook.stage == *stage).cloned();
                ports.hooks.run(order, &scripts.collect::<Vec<_>>()).await
            }
            Call::Preflight
            | Call::StartGreen
            | Call::TestTraffic { .. }
            | Call::SetWeight { .. }
            | Call::MakePrimary
            | Call::StopBlue
            | Call::StopGreen => ports.target.perform(order).await,
        }
    };
    match patience(ports, &order.call).or_else(|| longest(&order.call)) {
        Some(longest) => within(ports, longest, performed).await,
        None => performed.await,
    }
}

/// What the target asks for; scripts are none of its business.
fn patience(ports: &Ports, call: &Call) -> Option<SignedDuration> {
    if matches!(call, Call::Hook { .. }) { None } else { ports.target.patience(call) }
}

/// How long one try may take; `None`: the machine ends it when its time is up.
const fn longest(call: &Call) -> Option<SignedDuration> {
    match call {
        Call::StartGreen | Call::Hook { .. } => None,
        Call::Preflight => Some(SignedDuration::from_mins(5)),
        Call::TestTraffic { .. } | Call::SetWeight { .. } | Call::MakePrimary => Some(SignedDuration::from_secs(30)),
        // They drain first, and wait for what still answers.
        Call::StopBlue | Call::StopGreen => Some(SignedDuration::from_mins(30)),
    }
}

async fn within<T>(
    ports: &Ports,
    longest: SignedDuration,
    future: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    tokio::select! {
        biased;
        result = future => result,
        () = ports.clock.wait_until(later(ports.clock.now(), longest)) => {
            Err(CallError::transient(format!("no answer within {} s", longest.as_secs())))
        }
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
