//! How people and plans steer it: scripts, orders, evidence, what cannot be undone, and a world that does not do as it is told.

use super::stories::{ALL_OF_IT, BACK_FROM_10, check, does, order, with};
use super::{Event, GREEN, Story};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::Outcome;
use crate::order::Order;
use crate::plan::{Deed, Hook, Inconclusive, RollbackOn, Schedule, Stage, Weight};
use crate::tests::plan;
use crate::view::{Phase, StepState};

fn hooks(stages: &[Stage]) -> Vec<Hook> {
    stages.iter().map(|stage| Hook { stage: *stage, deed: Deed::Script("true".to_owned()) }).collect()
}

#[test]
fn scripts_run_at_their_stages_and_stop_it_when_they_fail() {
    let mut story = Story::new(with(|plan| plan.hooks = hooks(&Stage::ALL)));
    story.play(Vec::new());
    let all = "look BeforeInstall start AfterInstall open AfterAllowTestTraffic BeforeAllowTraffic 100 500 1000 AfterAllowTraffic close primary stop-blue";
    check("all", &story, Outcome::Succeeded, None, all);
    type Case = (fn(&Call) -> bool, Outcome, &'static str);
    let cases: [Case; 3] = [
        (|call| *call == Call::Hook { stage: Stage::BeforeInstall }, Outcome::Rejected, "look OnRollback"),
        (
            |call| *call == Call::Hook { stage: Stage::AfterAllowTestTraffic },
            Outcome::Rejected,
            "look BeforeInstall start AfterInstall open OnRollback close stop-green",
        ),
        (
            |call| *call == Call::Hook { stage: Stage::AfterAllowTraffic },
            Outcome::RolledBack,
            "look BeforeInstall start AfterInstall open AfterAllowTestTraffic BeforeAllowTraffic 100 500 1000 0 OnRollback close stop-green",
        ),
    ];
    for (fails, outcome, effects) in cases {
        let mut story = Story::new(with(|plan| plan.hooks = hooks(&Stage::ALL)));
        story.failing = Some((fails, "exit code 1"));
        story.play(Vec::new());
        check("fails", &story, outcome, Some(Cause::Hook), effects);
    }
    let mut story = Story::new(with(|plan| plan.hooks = hooks(&[Stage::OnRollback])));
    story.world.next.errors = 300;
    story.failing = Some((|call| matches!(call, Call::Hook { .. }), "exit code 1"));
    story.play(Vec::new());
    check(
        "a script on the way back holds nothing up",
        &story,
        Outcome::RolledBack,
        Some(Cause::Analysis),
        BACK_FROM_10,
    );
}

#[test]
fn orders_steer_it() {
    let mut story = Story::new(plan());
    story.play(vec![(30, order(Order::Promote)), (60, order(Order::PromoteFull))]);
    check("promote", &story, Outcome::Succeeded, None, ALL_OF_IT);
    let view = story.rollout.view(story.now);
    assert!(view.ended_at.unwrap().duration_since(story.log[0].0).as_secs() < 400, "{}", story.told());
    let mut story = Story::new(plan());
    story.play(vec![(30, order(Order::PromoteFull))]);
    check("promote --full", &story, Outcome::Succeeded, None, "look start open 100 1000 close primary stop-blue");
    assert_eq!(story.rollout.view(story.now).steps[1].state, StepState::Skipped);
    let mut story = Story::new(plan());
    story.play(vec![(30, order(Order::Pause)), (5_000, order(Order::Resume))]);
    check("pause and resume", &story, Outcome::Succeeded, None, ALL_OF_IT);
    assert!(story.told().contains("PT1H23M20S bert lets it go on"), "{}", story.told());
    let mut story = Story::new(with(|plan| plan.schedule.steps[0].pause = true));
    story.play(vec![(400, order(Order::Promote))]);
    check("a gate is passed", &story, Outcome::Succeeded, None, ALL_OF_IT);
}

#[test]
fn without_evidence_it_does_as_the_plan_says() {
    let quiet = |then: Inconclusive| {
        let mut story = Story::new(with(|plan| plan.analysis.inconclusive = then));
        story.world.rate = 0;
        story
    };
    let mut story = quiet(Inconclusive::Extend);
    story.play(vec![(310, does(|story| story.world.rate = 100))]);
    check("extended, then enough", &story, Outcome::Succeeded, None, ALL_OF_IT);
    assert!(story.told().contains("10 % takes up to 15 min longer"), "{}", story.told());
    let mut story = quiet(Inconclusive::Extend);
    story.play(vec![(1_300, does(|_| {}))]);
    assert_eq!(story.rollout.view(story.now).phase, Phase::Paused, "{}", story.told());
    story.play(vec![(1_400, order(Order::PromoteFull))]);
    check("asks", &story, Outcome::Succeeded, None, "look start open 100 1000 close primary stop-blue");
    let mut story = quiet(Inconclusive::Promote);
    story.play(Vec::new());
    check("promotes", &story, Outcome::Succeeded, None, ALL_OF_IT);
    let mut story = quiet(Inconclusive::Rollback);
    story.play(Vec::new());
    check("goes back", &story, Outcome::RolledBack, Some(Cause::Inconclusive), BACK_FROM_10);
}

#[test]
fn an_irreversible_migration_keeps_it_from_going_back_by_itself() {
    let migrated = || with(|plan| plan.irreversible = Some("0042 drops a column".to_owned()));
    let broken = |story: &mut Story| story.world.behave(GREEN, |green| green.errors = 300);
    let mut story = Story::new(migrated());
    story.play(vec![(60, does(broken)), (900, does(|_| {}))]);
    let view = story.rollout.view(story.now);
    assert_eq!((view.phase, view.weight), (Phase::Paused, Weight(100)), "{}", story.told());
    assert!(view.words.contains("a migration cannot be undone (0042 drops a column)"), "{}", view.words);
    story.play(vec![(1_000, order(Order::Rollback))]);
    check("a person may", &story, Outcome::RolledBack, Some(Cause::Ordered), BACK_FROM_10);
    let mut story = Story::new(migrated());
    story.play(vec![
        (60, does(broken)),
        (900, does(|story| story.world.behave(GREEN, |green| green.errors = 0))),
        (901, order(Order::PromoteFull)),
        (1_500, order(Order::Promote)),
        (1_600, order(Order::Promote)),
    ]);
    check("or go on", &story, Outcome::Succeeded, None, "look start open 100 1000 close primary stop-blue");
    let mut story = Story::new(migrated());
    story.world.next.healthy_after = None;
    story.play(Vec::new());
    check(
        "before any traffic it is cleared away",
        &story,
        Outcome::Rejected,
        Some(Cause::Unhealthy),
        "look start stop-green",
    );
}

#[test]
fn it_goes_back_for_what_the_plan_names_only() {
    let on = |change: fn(&mut RollbackOn)| with(|plan| change(&mut plan.rollback_on));
    let mut story = Story::new(on(|on| on.alarm = false));
    story.play(vec![
        (60, does(|story| story.world.alarms.push("5xx".to_owned()))),
        (100, does(|story| story.world.alarms.clear())),
        (101, order(Order::Resume)),
    ]);
    check("asks about the alarm", &story, Outcome::Succeeded, None, ALL_OF_IT);
    assert!(
        story.told().contains("the alarm is on: 5xx; the plan says not to go back for that by itself"),
        "{}",
        story.told()
    );
}

fn seconds_at_100(story: &Story) -> i64 {
    let view = story.rollout.view(story.now);
    let last = view.steps.last().unwrap();
    last.ended_at.unwrap().duration_since(last.started_at.unwrap()).as_secs()
}

#[test]
fn a_first_deployment_gets_all_at_once() {
    let mut story = Story::on(plan(), None);
    story.play(Vec::new());
    assert_eq!(story.effects(), "look start open 1000 close primary", "{}", story.told());
    assert_eq!((story.rollout.outcome(), story.world.primary), (Some(Outcome::Succeeded), Some(GREEN)));
    assert!(!story.rollout.is_open());
    // Nobody wrote how long it is looked at, and there is nothing to wait for.
    assert_eq!(seconds_at_100(&story), 10);
    let bake = || {
        with(|plan| plan.schedule = Schedule::read("- { weight: 20, for: 1m }\n- { weight: 100, bake: 3m }").unwrap())
    };
    let mut story = Story::on(bake(), None);
    story.play(Vec::new());
    assert_eq!((story.effects().as_str(), seconds_at_100(&story)), ("look start open 1000 close primary", 180));
    let mut story = Story::new(plan());
    story.play(Vec::new());
    assert_eq!(seconds_at_100(&story), 300, "blue is there to go back to");
    let mut story = Story::on(bake(), None);
    story.play(vec![(60, does(|story| story.world.kill(GREEN)))]);
    assert_eq!(story.effects(), "look start open 1000 0 close stop-green", "{}", story.told());
    let words = story.rollout.view(story.now).words;
    assert!(words.starts_with("rolled back, nothing stands since nothing stood before: 2 of 2 containers"), "{words}");
}

#[test]
fn a_split_that_somebody_else_changes_is_set_again() {
    let mut story = Story::new(plan());
    story.play(vec![(60, does(|story| story.world.weight = Weight(700)))]);
    check("once", &story, Outcome::Succeeded, None, "look start open 100 100 500 1000 close primary stop-blue");
    let again: Vec<(i64, Event)> =
        (0..5).map(|n| (20 + n * 20, does(|story| story.world.weight = Weight(700)))).collect();
    let mut story = Story::new(plan());
    story.play(again);
    check(
        "again and again",
        &story,
        Outcome::RolledBack,
        Some(Cause::Call),
        "look start open 100 100 100 100 0 close stop-green",
    );
}

#[test]
fn a_target_that_cannot_be_seen_is_a_reason_to_go_back_when_it_lasts() {
    let mut story = Story::new(plan());
    story.play(vec![(60, does(|story| story.unseen = true)), (100, does(|story| story.unseen = false))]);
    check("for a moment", &story, Outcome::Succeeded, None, ALL_OF_IT);
    let mut story = Story::new(plan());
    story.play(vec![(60, does(|story| story.unseen = true))]);
    check("for long", &story, Outcome::RolledBack, Some(Cause::Call), BACK_FROM_10);
    assert!(
        story.told().contains("nothing could be seen of the target for 1 min: connection refused"),
        "{}",
        story.told()
    );
}

#[test]
fn long_calls_are_given_up_when_it_is_stopped() {
    let mut story = Story::new(with(|plan| plan.hooks = hooks(&[Stage::AfterAllowTraffic])));
    story.failing = Some((
        |call| matches!(call, Call::SetWeight { weight } if *weight == Weight(500)),
        "the table is from another generation",
    ));
    story.play(Vec::new());
    check("a share that cannot be set", &story, Outcome::RolledBack, Some(Cause::Call), BACK_FROM_10);
    let mut story = Story::new(plan());
    story.slowness = |call| if *call == Call::StartGreen { 500 } else { 0 };
    story.play(Vec::new());
    check("a start that takes too long", &story, Outcome::Rejected, Some(Cause::Unhealthy), "look start stop-green");
}
