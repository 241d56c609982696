//! What a driver does beside the machine: orders while calls go on, locks, fencing, failures that last.

use std::sync::Arc;

use engine::clock::Clock as _;
use jiff::SignedDuration;
use rollout::plan::OnActive;
use rollout::{Call, Cause, Order, Outcome, Plan, Weight};
use tokio_util::sync::CancellationToken;

use super::super::simulated::{Faults, Shared, locked};
use super::super::{CallError, JournalError};
use super::{BLUE, GREEN, at, driver, live, pass, plan, play, revision};

fn shared(plan: Plan) -> Arc<Shared> {
    let shared = Shared::new(Some(revision(BLUE, "v1")));
    // Enough for a judgement within the time of a step.
    locked(&shared.world).rate = 250;
    shared.plan(GREEN, plan);
    shared
}

fn seconds(shared: &Shared, id: u64) -> i64 {
    let view = shared.view(id);
    view.ended_at.unwrap().duration_since(view.started_at).as_secs()
}

#[tokio::test]
async fn an_order_is_heard_while_a_call_goes_on() {
    let shared = shared(plan());
    locked(&shared.faults).slow = Some((|call| *call == Call::StartGreen, SignedDuration::from_secs(90)));
    play(&shared, GREEN, vec![at(20, |shared| shared.order(GREEN, Order::Abort))]).await;
    let view = shared.view(GREEN);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::Rejected), Some(Cause::Ordered)), "{:#?}", view.timeline);
    assert_eq!(seconds(&shared, GREEN), 20);
    assert_eq!(shared.world().alive(), [BLUE]);
}

#[tokio::test]
async fn a_look_that_began_before_the_share_changed_says_nothing_of_it() {
    let shared = shared(plan());
    let shares: fn(&Call) -> bool = |call| matches!(call, Call::SetWeight { .. });
    {
        let mut faults = locked(&shared.faults);
        (faults.slow, faults.late_looks) = (Some((shares, SignedDuration::from_secs(7))), SignedDuration::from_secs(6));
    }
    play(&shared, GREEN, Vec::new()).await;
    let view = shared.view(GREEN);
    assert_eq!(view.outcome, Some(Outcome::Succeeded), "{:#?}", view.timeline);
    assert!(view.timeline.iter().all(|line| !line.is_bad), "nobody has changed it meanwhile: {:#?}", view.timeline);
    assert_eq!(shared.world().effects.iter().filter(|(_, _, call)| shares(call)).count(), 3);
}

#[tokio::test]
async fn an_order_that_comes_too_late_changes_nothing() {
    let shared = shared(plan());
    locked(&shared.faults).slow = Some((|call| *call == Call::MakePrimary, SignedDuration::from_secs(5)));
    play(&shared, GREEN, vec![at(43, |shared| shared.order(GREEN, Order::Abort))]).await;
    let view = shared.view(GREEN);
    assert_eq!(view.outcome, Some(Outcome::Succeeded), "{:#?}", view.timeline);
    assert!(view.timeline.iter().any(|line| line.words == "bert stops it"), "it came: {:#?}", view.timeline);
    let world = shared.world();
    assert_eq!((world.primary, world.lost), (Some(GREEN), 0));
}

#[tokio::test]
async fn a_cancelled_job_takes_its_rollout_back() {
    let shared = shared(plan());
    let cancel = CancellationToken::new();
    let told = cancel.clone();
    let mut events = vec![at(10, move |_| told.cancel())];
    let ended = live(&shared, driver(&shared, GREEN), cancel, &mut events, None).await;
    assert_eq!(ended, Some(Ok(())));
    let view = shared.view(GREEN);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::RolledBack), Some(Cause::Cancelled)), "{:#?}", view.timeline);
    assert_eq!(seconds(&shared, GREEN), 10);
}

#[tokio::test]
async fn one_that_was_taken_over_can_do_nothing_more() {
    let shared = shared(plan());
    let mut none = Vec::new();
    let soon = shared.clock.now().saturating_add(SignedDuration::from_secs(8)).unwrap();
    let mut old = Box::pin(driver(&shared, GREEN).run(CancellationToken::new()));
    while shared.clock.now() < soon {
        tokio::select! {
            biased;
            result = &mut old => panic!("{result:?}"),
            () = tokio::task::yield_now() => pass(&shared, &mut none, None),
        }
    }
    // Another process believes that this one is dead.
    let later = soon.saturating_add(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(live(&shared, driver(&shared, GREEN), CancellationToken::new(), &mut none, Some(later)).await, None);
    let before = shared.world().effects.len();
    let refused = loop {
        tokio::select! {
            biased;
            result = &mut old => break result,
            () = tokio::task::yield_now() => pass(&shared, &mut none, None),
        }
    };
    assert_eq!(refused, Err(JournalError::Fenced));
    assert_eq!(shared.world().effects.len(), before, "it touched nothing");
    play(&shared, GREEN, Vec::new()).await;
    assert_eq!(shared.view(GREEN).outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn two_at_once_go_one_after_the_other() {
    type Case = (OnActive, Outcome, Option<Cause>);
    let cases: [Case; 3] = [
        (OnActive::Wait, Outcome::Succeeded, None),
        (OnActive::Supersede, Outcome::Succeeded, None),
        (OnActive::Fail, Outcome::Rejected, Some(Cause::Busy)),
    ];
    for (on_active, outcome, cause) in cases {
        let shared = shared(Plan { keep_blue: SignedDuration::ZERO, ..plan() });
        let mut first = Box::pin(driver(&shared, GREEN).run(CancellationToken::new()));
        let mut second = Box::pin(driver(&shared, 3).run(CancellationToken::new()));
        // The second comes when the first is under way.
        let comes = move |shared: &Shared| shared.plan(3, Plan { on_active, version: "v3".to_owned(), ..plan() });
        let mut events = vec![at(5, comes)];
        let (mut is_first_over, mut is_second_over) = (false, false);
        while !(is_first_over && is_second_over) {
            tokio::select! {
                biased;
                result = &mut first, if !is_first_over => { result.unwrap(); is_first_over = true; }
                result = &mut second, if !is_second_over && events.is_empty() => { result.unwrap(); is_second_over = true; }
                () = tokio::task::yield_now() => pass(&shared, &mut events, None),
            }
        }
        assert_eq!(shared.view(GREEN).outcome, Some(Outcome::Succeeded));
        let view = shared.view(3);
        assert_eq!((view.outcome, view.cause), (Some(outcome), cause), "{:#?}", view.timeline);
        assert_eq!(shared.world().lost, 0);
        if outcome == Outcome::Succeeded {
            let said = |words: &str| view.timeline.iter().any(|line| line.words == words);
            assert!(said("waits for rollout 2"), "{:#?}", view.timeline);
            assert_eq!(view.blue.as_ref().map(|blue| blue.revision.id), Some(GREEN), "what the first one brought");
            assert_eq!(shared.world().primary, Some(3));
        }
    }
}

#[tokio::test]
async fn the_newest_takes_the_place_of_those_that_wait() {
    let shared = shared(plan());
    shared.plan(3, plan());
    shared.plan(4, Plan { on_active: OnActive::Supersede, ..plan() });
    locked(&shared.stored).holder = Some(GREEN);
    play(&shared, 3, Vec::new()).await;
    let view = shared.view(3);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::Rejected), Some(Cause::Superseded)));
    assert!(view.words.contains("superseded by rollout 4"), "{}", view.words);
}

#[tokio::test]
async fn a_failing_rollback_is_stuck_and_holds_the_lock_over_a_restart() {
    let shared = shared(plan());
    locked(&shared.world).next.errors = 1_000;
    let refused: fn(&Call) -> bool = |call| *call == Call::SetWeight { weight: Weight::NONE };
    *locked(&shared.faults) =
        Faults { fails: Some((refused, CallError::transient("the proxy is gone"))), ..Faults::default() };
    let mut none = Vec::new();
    let later = shared.clock.now().saturating_add(SignedDuration::from_mins(20)).unwrap();
    assert_eq!(live(&shared, driver(&shared, GREEN), CancellationToken::new(), &mut none, Some(later)).await, None);
    let view = shared.view(GREEN);
    assert_eq!(view.outcome, Some(Outcome::Stuck), "{:#?}", view.timeline);
    assert!(view.words.contains("the proxy is gone (tried for 29"), "{}", view.words);
    assert_eq!(locked(&shared.stored).holder, Some(GREEN), "the lock is held");
    // Nothing else is deployed meanwhile.
    shared.plan(3, Plan { on_active: OnActive::Fail, ..plan() });
    play(&shared, 3, Vec::new()).await;
    assert_eq!(shared.view(3).cause, Some(Cause::Busy));
    // A person repairs the proxy and orders it again.
    locked(&shared.faults).fails = None;
    shared.order(GREEN, Order::Rollback);
    play(&shared, GREEN, Vec::new()).await;
    assert_eq!(shared.view(GREEN).outcome, Some(Outcome::RolledBack));
    let world = shared.world();
    assert_eq!((world.primary, world.alive(), world.refused.len()), (Some(BLUE), vec![BLUE], 0));
    assert_eq!(locked(&shared.stored).holder, None);
}

#[tokio::test]
async fn a_disk_that_stays_full_ends_stuck_with_both_colours_up() {
    const CAUSE: &str =
        "the proxy cannot keep the table: No space left on device; make room in /state/proxies/production";
    let shared = shared(plan());
    let full = |shared: &Shared| {
        let tables: fn(&Call) -> bool = |call| matches!(call, Call::SetWeight { .. } | Call::TestTraffic { .. });
        locked(&shared.faults).fails = Some((tables, CallError::transient(CAUSE)));
    };
    // Green has 10 %; there is no room for the table that gives it half, nor for the one that takes all from it.
    let mut events = vec![at(10, full)];
    let later = shared.clock.now().saturating_add(SignedDuration::from_mins(20)).unwrap();
    let ended = live(&shared, driver(&shared, GREEN), CancellationToken::new(), &mut events, Some(later)).await;
    assert_eq!(ended, None, "it waits for a person");
    let view = shared.view(GREEN);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::Stuck), Some(Cause::Call)), "{:#?}", view.timeline);
    assert!(view.words.contains(CAUSE), "{}", view.words);
    assert!(view.timeline.iter().any(|line| line.words.contains("(tried for 5")), "{:#?}", view.timeline);
    assert_eq!(locked(&shared.stored).holder, Some(GREEN), "the lock is held");
    // What stood in the table stands, so nothing that has users was stopped.
    let stands = |shared: &Shared| {
        let world = shared.world();
        (world.weight, world.alive(), world.refused.len())
    };
    assert_eq!(stands(&shared), (Weight(100), vec![BLUE, GREEN], 0));
    // Somebody makes room and orders it again.
    locked(&shared.faults).fails = None;
    shared.order(GREEN, Order::Rollback);
    play(&shared, GREEN, Vec::new()).await;
    assert_eq!(shared.view(GREEN).outcome, Some(Outcome::RolledBack));
    let world = shared.world();
    assert_eq!((world.primary, world.weight, world.alive(), world.lost), (Some(BLUE), Weight::NONE, vec![BLUE], 0));
    assert_eq!(locked(&shared.stored).holder, None);
}

#[tokio::test]
async fn a_killed_colour_loses_what_it_had_in_flight_until_it_is_seen() {
    let shared = shared(plan());
    play(&shared, GREEN, vec![at(27, |shared| shared.world().kill(GREEN))]).await;
    let view = shared.view(GREEN);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::RolledBack), Some(Cause::Unhealthy)), "{:#?}", view.timeline);
    let world = shared.world();
    // The simulated split does not eject, as the proxy does: what is lost is one tick of half of the traffic, at most.
    assert!(world.lost <= 5 * world.rate / 2, "{}", world.lost);
    assert_eq!((world.primary, world.alive()), (Some(BLUE), vec![BLUE]));
}

#[tokio::test]
async fn blue_is_kept_warm_and_the_lock_is_free_meanwhile() {
    let shared = shared(plan());
    let mut none = Vec::new();
    let later = shared.clock.now().saturating_add(SignedDuration::from_secs(70)).unwrap();
    assert_eq!(live(&shared, driver(&shared, GREEN), CancellationToken::new(), &mut none, Some(later)).await, None);
    let view = shared.view(GREEN);
    assert_eq!(view.outcome, Some(Outcome::Succeeded), "{:#?}", view.timeline);
    assert_eq!(locked(&shared.stored).holder, None);
    assert_eq!(shared.world().alive(), [BLUE, GREEN]);
    assert_eq!(view.blue_until, view.ended_at.map(|at| at + SignedDuration::from_mins(1)));
    play(&shared, GREEN, Vec::new()).await;
    assert_eq!(shared.world().alive(), [GREEN]);
    assert!(locked(&shared.stored).holder.is_none());
}
