//! Trying again: reads whenever that may help, changes only where it is certain that nothing was done.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Problem;

/// Attempts of one call.
const ATTEMPTS_MAX: u32 = 6;
/// The first pause; each later one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 250 });
/// The longest pause of ours.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// The longest that AWS can ask for.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// Whoever says when the next question may be asked.
pub trait Turns: fmt::Debug + Send + Sync {
    /// Returns when it is the caller's turn.
    fn turn(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

tokio::task_local! {
    /// Of whom all questions of a piece of work are asked. A client is shared by many, so it is none of theirs.
    static TURNS: Arc<dyn Turns>;
}

/// Does a piece of work; each question to AWS within it, and each try of one, waits for its turn first.
pub async fn in_turn<T>(turns: Arc<dyn Turns>, work: impl Future<Output = T>) -> T {
    TURNS.scope(turns, work).await
}

async fn turn() {
    if let Ok(turns) = TURNS.try_with(Arc::clone) {
        turns.turn().await;
    }
}

/// Asks until there is an answer, or no hope of one.
pub(crate) async fn reading<T, F>(call: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let in_turn = || async {
        turn().await;
        call().await
    };
    patiently(in_turn, |problem| problem.is_for_now).await
}

/// Changes something: again only after an answer that says that nothing was done (throttling), never after none.
pub(crate) async fn changing<T, F>(call: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    patiently(call, |problem| problem.is_for_now && !problem.is_uncertain).await
}

async fn patiently<T, F>(call: impl Fn() -> F, may_go_well: fn(&Problem) -> bool) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(problem) if may_go_well(&problem) && attempt < ATTEMPTS_MAX => {
                tokio::time::sleep(pause(attempt, problem.after)).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// Between half and all of the doubled pause, so that many who were sent away do not come back at once.
fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    if let Some(asked) = asked {
        return asked.min(ASKED_MAX);
    }
    let whole = PAUSE_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(PAUSE_MAX);
    let chance = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.subsec_nanos() % 1_000);
    whole / 2 + whole / 2 * chance / 1_000
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Fault;

    #[test]
    fn pauses_grow_and_end() {
        for (attempt, most) in [(1, PAUSE_FIRST), (2, PAUSE_FIRST * 2), (3, PAUSE_FIRST * 4), (30, PAUSE_MAX)] {
            let pause = pause(attempt, None);
            assert!((most / 2..=most).contains(&pause), "{attempt}: {pause:?}");
        }
        assert_eq!(pause(1, Some(Duration::from_secs(3))), Duration::from_secs(3));
        assert_eq!(pause(1, Some(Duration::from_secs(3_600))), ASKED_MAX);
    }

    #[test]
    fn changes_are_not_made_twice() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let count = |is_for_now: bool, is_uncertain: bool, changes: bool| {
            let calls = AtomicU32::new(0);
            let problem = Problem { is_for_now, is_uncertain, ..Problem::plain(Fault::Aws, "busy") };
            let call = || {
                calls.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Err::<(), _>(problem.clone()))
            };
            let end = runtime.block_on(async { if changes { changing(call).await } else { reading(call).await } });
            assert!(end.is_err());
            calls.load(Ordering::SeqCst)
        };
        assert_eq!(count(true, false, true), ATTEMPTS_MAX, "throttled: nothing was done");
        assert_eq!(count(true, true, true), 1, "no answer: it may have been done");
        assert_eq!(count(true, true, false), ATTEMPTS_MAX, "a read does no harm");
        assert_eq!(count(false, false, false), 1);
    }
}
