//! The table of stories.

use jiff::SignedDuration;

use super::{BLUE, Ends, Event, GREEN, Story, ends, revision};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::Outcome;
use crate::order::Order;
use crate::plan::{Plan, Weight};
use crate::tests::plan;
use crate::view::{Phase, StepState};

pub(super) const ALL_OF_IT: &str = "look start open 100 500 1000 close primary stop-blue";
pub(super) const BACK_FROM_10: &str = "look start open 100 0 close stop-green";

pub(super) fn order(order: Order) -> Event {
    Box::new(move |story| story.order(order))
}

pub(super) fn does(change: fn(&mut Story)) -> Event {
    Box::new(change)
}

pub(super) fn with(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = plan();
    change(&mut plan);
    plan
}

#[track_caller]
pub(super) fn check(name: &str, story: &Story, outcome: Outcome, cause: Option<Cause>, effects: &str) {
    let is_new = outcome == Outcome::Succeeded;
    let expected = Ends {
        outcome: Some(outcome),
        cause,
        effects: effects.to_owned(),
        primary: Some(if is_new { GREEN } else { BLUE }),
        weight: 0,
        alive: vec![if is_new { GREEN } else { BLUE }],
        lost: 0,
    };
    assert_eq!(ends(story), expected, "{name}\n{}", story.told());
    assert!(!story.rollout.is_open(), "{name}");
    assert!(story.world.refused.is_empty(), "{name}");
}

#[test]
fn a_good_release_goes_out_10_50_100() {
    let mut story = Story::new(plan());
    story.play(Vec::new());
    check("good", &story, Outcome::Succeeded, None, ALL_OF_IT);
    let view = story.rollout.view(story.now);
    assert!(view.steps.iter().all(|step| step.state == StepState::Passed), "{:?}", view.steps);
    let times: Vec<i64> = view
        .steps
        .iter()
        .map(|step| step.ended_at.unwrap().duration_since(step.started_at.unwrap()).as_secs())
        .collect();
    assert_eq!(times, [300, 300, 300]);
    assert!(view.words.contains("has all of the traffic in production"), "{}", view.words);
}

#[test]
fn rollback_by_analysis() {
    let mut story = Story::new(plan());
    story.world.next.errors = 150;
    story.play(Vec::new());
    check("15 % errors", &story, Outcome::RolledBack, Some(Cause::Analysis), BACK_FROM_10);
    let words = story.rollout.view(story.now).words;
    assert!(words.starts_with("rolled back, v1 has all of the traffic: green has"), "{words}");
}

#[test]
fn rollback_by_unhealthy_targets() {
    let mut story = Story::new(plan());
    story.play(vec![(60, does(|story| story.world.behave(GREEN, |green| green.healthy_after = None)))]);
    check("unhealthy", &story, Outcome::RolledBack, Some(Cause::Unhealthy), BACK_FROM_10);
    let words = story.rollout.view(story.now).words;
    assert!(words.contains("0 of 2 containers of green are healthy: GET /health: 503"), "{words}");
}

#[test]
fn rollback_by_crash_loop() {
    let mut story = Story::new(plan());
    story.play(vec![(60, does(|story| story.world.behave(GREEN, |green| green.restarts = 6)))]);
    check("crash loop", &story, Outcome::RolledBack, Some(Cause::CrashLoop), BACK_FROM_10);
}

#[test]
fn rollback_by_failures_in_a_row() {
    let mut story = Story::new(with(|plan| plan.analysis.alpha = 1e-9));
    story.play(vec![(60, does(|story| story.world.behave(GREEN, |green| green.errors = 1_000)))]);
    assert_eq!(ends(&story).outcome, Some(Outcome::RolledBack), "{}", story.told());
    assert_eq!(ends(&story).cause, Some(Cause::Failures), "{}", story.told());
    let mut story = Story::new(plan());
    story.play(vec![(700, does(|story| story.world.behave(GREEN, |green| green.errors = 1_000)))]);
    check(
        "at 100 %",
        &story,
        Outcome::RolledBack,
        Some(Cause::Failures),
        "look start open 100 500 1000 0 close stop-green",
    );
}

#[test]
fn rollback_by_alarm() {
    let mut story = Story::new(plan());
    story.play(vec![(400, does(|story| story.world.alarms = vec!["orders-5xx".to_owned()]))]);
    check("alarm", &story, Outcome::RolledBack, Some(Cause::Alarm), "look start open 100 500 0 close stop-green");
}

#[test]
fn rollback_by_cancel() {
    let cancel = |story: &mut Story| story.fact(crate::Fact::Cancelled { words: "the job was cancelled".to_owned() });
    let mut story = Story::new(plan());
    story.play(vec![(100, does(cancel))]);
    check("at 10 %", &story, Outcome::RolledBack, Some(Cause::Cancelled), BACK_FROM_10);
    let mut story = Story::new(plan());
    story.world.next.healthy_after = None;
    story.play(vec![(30, does(cancel))]);
    check("while it starts", &story, Outcome::Rejected, Some(Cause::Cancelled), "look start stop-green");
    let mut story = Story::new(plan());
    story.is_locked_out = true;
    story.play(vec![(30, does(cancel))]);
    check("while it waits", &story, Outcome::Rejected, Some(Cause::Cancelled), "");
}

#[test]
fn rollback_by_time_out() {
    let mut story = Story::new(with(|plan| plan.timeout = SignedDuration::from_mins(8)));
    story.play(Vec::new());
    check("time-out", &story, Outcome::RolledBack, Some(Cause::Timeout), "look start open 100 500 0 close stop-green");
    assert_eq!(story.rollout.view(story.now).ended_at.unwrap().duration_since(story.log[0].0).as_secs(), 480);
}

#[test]
fn rollback_by_pipe_deploy_rollback() {
    for (at, effects) in [(100, BACK_FROM_10), (650, "look start open 100 500 1000 0 close stop-green")] {
        for what in [Order::Rollback, Order::Abort] {
            let mut story = Story::new(plan());
            story.play(vec![(at, order(what))]);
            check(what.word(), &story, Outcome::RolledBack, Some(Cause::Ordered), effects);
        }
    }
}

#[test]
fn rollback_during_a_paused_gate() {
    let gated = || with(|plan| plan.schedule.steps[0].pause = true);
    type Case = (Cause, fn(&mut Story));
    let causes: [Case; 4] = [
        (Cause::Unhealthy, |story| story.world.kill(GREEN)),
        (Cause::Alarm, |story| story.world.alarms.push("p95".to_owned())),
        (Cause::Analysis, |story| story.world.behave(GREEN, |green| green.errors = 200)),
        (Cause::Ordered, |story| story.order(Order::Rollback)),
    ];
    for (cause, change) in causes {
        let mut story = Story::new(gated());
        let is_at_the_gate = |story: &mut Story| {
            let view = story.rollout.view(story.now);
            assert_eq!(view.phase, Phase::Paused, "{}", story.told());
            assert!(view.words.starts_with("waits for a person at 10 %, as planned"), "{}", view.words);
            assert!(view.orders.contains(&Order::Promote));
        };
        story.play(vec![(400, does(is_at_the_gate)), (400, Box::new(change)), (2_000, does(|_| {}))]);
        let lost = std::mem::take(&mut story.world.lost);
        assert!(lost == 0 || cause == Cause::Unhealthy, "only what was killed lost some: {lost}");
        check(&format!("{cause:?}"), &story, Outcome::RolledBack, Some(cause), BACK_FROM_10);
    }
    let mut story = Story::new(plan());
    story.play(vec![(50, order(Order::Pause)), (1_000, does(|story| story.world.kill(GREEN))), (2_000, does(|_| {}))]);
    story.world.lost = 0;
    check("paused by a person", &story, Outcome::RolledBack, Some(Cause::Unhealthy), BACK_FROM_10);
}

#[test]
fn rollback_after_success_with_blue_warm() {
    let warm = |plan: &mut Plan| {
        plan.rollback_of = Some(BLUE);
        plan.reuse = Some(revision(7, "v0"));
    };
    let mut story = Story::new(with(warm));
    let rest = std::mem::take(&mut story.world.next);
    story.world.perform((0, 0), &Call::StartGreen, None, &revision(7, "v0"), None).unwrap();
    story.world.effects.clear();
    (story.world.next, story.world.green) = (rest, None);
    // What it is there for is no reason against it.
    story.world.alarms.push("orders-5xx".to_owned());
    story.now = story.now.saturating_add(SignedDuration::from_secs(60)).unwrap();
    story.world.advance(story.now);
    let begin = story.now;
    story.play(Vec::new());
    assert_eq!(story.effects(), "look 1000 primary stop-blue", "{}", story.told());
    let ended = story.rollout.view(story.now).ended_at.unwrap();
    assert_eq!(ended.duration_since(begin).as_secs(), 0, "no waiting");
    assert_eq!((story.world.primary, story.world.alive(), story.world.lost), (Some(7), vec![7], 0));
    assert_eq!(story.rollout.view(story.now).green.revision.version, "v0");
    let mut story = Story::new(with(warm));
    story.play(Vec::new());
    check("cold", &story, Outcome::Succeeded, None, "look start 1000 primary stop-blue");
}

#[test]
fn what_was_warm_and_ends_before_users_come_is_started_anew() {
    let warm = |plan: &mut Plan| {
        plan.rollback_of = Some(BLUE);
        plan.reuse = Some(revision(7, "v0"));
    };
    let story = || {
        let mut story = Story::new(with(warm));
        story.world.perform((0, 0), &Call::StartGreen, None, &revision(7, "v0"), None).unwrap();
        story.world.effects.clear();
        story.world.green = None;
        story
    };
    // Just when it is to get users.
    let mut at_users = story();
    at_users.now = at_users.now.saturating_add(SignedDuration::from_secs(60)).unwrap();
    at_users.world.advance(at_users.now);
    at_users.world.vanishes = Some(7);
    at_users.play(Vec::new());
    // Before anybody has looked at it.
    let mut unseen = story();
    unseen.slowness = |call| if *call == Call::Preflight { 10 } else { 0 };
    unseen.play(vec![(5, does(|story| story.world.vanish(7)))]);
    for (name, story) in [("at users", at_users), ("unseen", unseen)] {
        check(name, &story, Outcome::Succeeded, None, "look look start 1000 primary stop-blue");
        assert_eq!(
            (story.world.primary, story.world.alive(), story.world.lost),
            (Some(GREEN), vec![GREEN], 0),
            "{name}"
        );
        assert_eq!(story.told().matches("has ended meanwhile").count(), 1, "{}", story.told());
    }
}

#[test]
fn a_failing_rollback_is_stuck_shown_and_holds_the_lock() {
    let mut story = Story::new(plan());
    story.world.next.errors = 300;
    story.failing = Some((|call| *call == Call::SetWeight { weight: Weight::NONE }, "the proxy does not answer"));
    story.play(Vec::new());
    let view = story.rollout.view(story.now);
    assert_eq!((view.outcome, view.cause), (Some(Outcome::Stuck), Some(Cause::Analysis)));
    assert!(story.rollout.has_lock() && story.rollout.is_open(), "the lock is held");
    assert_eq!(story.effects(), "look start open 100", "green is not stopped while it may have traffic");
    assert!(
        view.words.starts_with("stuck on the way back: giving green 0 % of the traffic failed: the proxy"),
        "{}",
        view.words
    );
    assert!(view.words.contains("pipe deploy rollback|abort production"), "{}", view.words);
    assert_eq!(view.orders, [Order::Rollback, Order::Abort]);
    story.failing = None;
    story.order(Order::Rollback);
    story.play(Vec::new());
    check("tried again", &story, Outcome::RolledBack, Some(Cause::Analysis), BACK_FROM_10);
}

#[test]
fn what_is_stuck_can_be_left_as_it_is() {
    let mut story = Story::new(plan());
    story.failing = Some((|call| *call == Call::SetWeight { weight: Weight::NONE }, "the proxy does not answer"));
    story.play(vec![(100, order(Order::Abort))]);
    story.order(Order::Abort);
    story.play(Vec::new());
    assert_eq!(story.rollout.outcome(), Some(Outcome::Stuck));
    assert!(!story.rollout.is_open() && !story.rollout.has_lock());
}

#[test]
fn what_never_served_is_rejected() {
    type Case = (&'static str, fn(&mut Story), Cause, &'static str);
    let cases: &[Case] = &[
        (
            "never healthy",
            |story| story.world.next.healthy_after = None,
            Cause::Unhealthy,
            "green was not healthy within 2 min: 0 of 2 containers were: GET /health: 503",
        ),
        (
            "exits at once",
            |story| story.world.next.exits = true,
            Cause::Unhealthy,
            "2 of 2 containers of green ended or are unhealthy: exited with 1; its last line: no such module",
        ),
        (
            "flaps",
            |story| story.world.next.flaps = true,
            Cause::Unhealthy,
            "green did not stay healthy within 2 min: it became so 240 times and lost it again",
        ),
        (
            "crash loop",
            |story| (story.world.next.restarts, story.world.next.healthy_after) = (60, None),
            Cause::CrashLoop,
            "green's containers ended and were started again 3 times: GET /health: 503",
        ),
        ("alarm", |story| story.world.alarms.push("5xx".to_owned()), Cause::Alarm, "the alarm is on: 5xx"),
    ];
    for (name, change, cause, words) in cases {
        let mut story = Story::new(plan());
        change(&mut story);
        story.play(Vec::new());
        check(name, &story, Outcome::Rejected, Some(*cause), "look start stop-green");
        let told = story.rollout.view(story.now).words;
        assert!(told.starts_with(&format!("rejected before any user saw it: {words}")), "{name}: {told}");
    }
    let mut story = Story::new(plan());
    story.failing =
        Some((|call| *call == Call::Preflight, "the image shop@sha256:2222 is not there; build or pull it"));
    story.play(Vec::new());
    check("no image", &story, Outcome::Rejected, Some(Cause::Call), "");
    let mut story = Story::new(plan());
    story.failing = Some((|call| *call == Call::StartGreen, "the port 8080 is taken"));
    story.play(Vec::new());
    check("port taken", &story, Outcome::Rejected, Some(Cause::Call), "look stop-green");
}
