//! Rollouts that are driven in a simulated world, by processes that die.

mod crash;
mod drive;

use std::sync::Arc;

use engine::clock::Clock as _;
use jiff::{SignedDuration, Timestamp};
use rollout::plan::{Analysis, Metric, OnActive, Revision, RollbackOn};
use rollout::{Plan, Schedule};
use tokio_util::sync::CancellationToken;

use super::simulated::{Shared, Simulated, SimulatedJournal};
use super::{Driver, JournalError};

const BLUE: u64 = 1;
const GREEN: u64 = 2;

/// Turns of the clock; more is a rollout that goes round in circles.
const TURNS_MAX: usize = 200_000;
/// So long nobody is there after a death.
const DOWN: SignedDuration = SignedDuration::from_secs(3);

fn revision(id: u64, version: &str) -> Revision {
    Revision { id, image: format!("shop@sha256:{id}"), version: version.to_owned(), commit: "1a38bd2".to_owned() }
}

/// A minute or so, judged by errors.
fn plan() -> Plan {
    let steps = "[{ weight: 10, for: 20s, analyse: true }, { weight: 50, for: 10s }, { weight: 100, bake: 10s }]";
    Plan {
        environment: "production".to_owned(),
        service: "orders".to_owned(),
        repository: "acme/shop".to_owned(),
        commit: "1a38bd2".to_owned(),
        image: "shop@sha256:2".to_owned(),
        version: "v2".to_owned(),
        target: "local".to_owned(),
        settings: serde_json::Value::Null,
        schedule: Schedule::read(steps).unwrap(),
        analysis: Analysis { metrics: vec![Metric::Errors], ..Analysis::default() },
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: SignedDuration::from_mins(2),
        timeout: SignedDuration::from_hours(2),
        keep_blue: SignedDuration::from_mins(1),
        tick: SignedDuration::from_secs(5),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}

fn driver(shared: &Arc<Shared>, id: u64) -> Driver {
    Driver {
        rollout: id,
        journal: SimulatedJournal::new(shared),
        target: Arc::new(Simulated(Arc::clone(shared))),
        hooks: Arc::new(Simulated(Arc::clone(shared))),
        clock: Arc::clone(&shared.clock) as Arc<_>,
    }
}

/// What happens from outside, after so many seconds.
type Event = (i64, Box<dyn Fn(&Shared)>);

fn at(seconds: i64, event: impl Fn(&Shared) + 'static) -> Event {
    (seconds, Box::new(event))
}

/// Lets time pass until a driver is done, or dies (`None`). Time only goes on when the driver waits.
async fn live(
    shared: &Arc<Shared>,
    driver: Driver,
    cancel: CancellationToken,
    events: &mut Vec<Event>,
    until: Option<Timestamp>,
) -> Option<Result<(), JournalError>> {
    let mut deaths = shared.deaths();
    let mut work = std::pin::pin!(driver.run(cancel));
    for _ in 0..TURNS_MAX {
        tokio::select! {
            biased;
            result = &mut work => return Some(result),
            _died = deaths.wait_for(|died| *died) => return None,
            () = tokio::task::yield_now() => {}
        }
        if until.is_some_and(|until| shared.clock.now() >= until) {
            return None;
        }
        pass(shared, events, until);
    }
    panic!("round in circles: {:#?}", shared.view(GREEN).timeline);
}

/// On to the next thing that happens.
fn pass(shared: &Shared, events: &mut Vec<Event>, until: Option<Timestamp>) {
    let begin = Timestamp::from_second(1_800_000_000).unwrap();
    let event = events.iter().map(|(seconds, _)| begin + SignedDuration::from_secs(*seconds)).min();
    let next = shared.clock.next().into_iter().chain(event).chain(until).min();
    let Some(next) = next else { panic!("nothing will ever happen: {:#?}", shared.view(GREEN).timeline) };
    drop(shared.world());
    shared.clock.advance(next);
    let (now, rest): (Vec<Event>, Vec<Event>) = std::mem::take(events)
        .into_iter()
        .partition(|(seconds, _)| begin + SignedDuration::from_secs(*seconds) <= next);
    *events = rest;
    for (_, event) in now {
        drop(shared.world());
        event(shared);
    }
}

/// One process after another, until it is done. How many there were.
async fn play(shared: &Arc<Shared>, id: u64, mut events: Vec<Event>) -> usize {
    for lives in 1..10 {
        match live(shared, driver(shared, id), CancellationToken::new(), &mut events, None).await {
            Some(Ok(())) => return lives,
            Some(Err(error)) => panic!("{error}: {:#?}", shared.view(id).timeline),
            None => {
                let until = shared.clock.now().saturating_add(DOWN).unwrap();
                drop(shared.world());
                shared.clock.advance(until);
                shared.is_born_again();
            }
        }
    }
    panic!("it dies again and again");
}
