//! Stories of targets that go from weight to weight by themselves.

use super::stories::{ALL_OF_IT, BACK_FROM_10, check, does, order, with};
use super::{BLUE, Story};
use crate::call::Call;
use crate::cause::Cause;
use crate::fact::Outcome;
use crate::observation::GivenUp;
use crate::order::Order;
use crate::plan::{Plan, RollbackOn, Weight};

fn paced() -> Plan {
    with(|plan| plan.schedule.is_paced_by_target = true)
}

#[test]
fn the_next_step_begins_when_the_target_has_gone_on() {
    let mut story = Story::new(paced());
    // Later and earlier than the plan's five minutes.
    story.play(vec![
        (400, does(|story| story.world.weight = Weight(500))),
        (500, does(|story| story.world.weight = Weight::ALL)),
    ]);
    check("paced", &story, Outcome::Succeeded, None, ALL_OF_IT);
    assert!(story.rollout.view(story.now).timeline.iter().all(|line| !line.is_bad), "{}", story.told());
}

#[test]
fn a_step_can_be_passed_over_by_the_target() {
    let mut story = Story::new(paced());
    let all = || does(|story| story.world.weight = Weight::ALL);
    // This world does as it is told for a moment.
    story.play(vec![(400, all()), (420, all())]);
    check("both at once", &story, Outcome::Succeeded, None, ALL_OF_IT);
}

#[test]
fn a_target_that_goes_back_takes_the_rollout_with_it_whatever_the_plan_says() {
    let gives_up = || {
        does(|story| {
            let words = "ALARM_ACTIVE: orders-5xx".to_owned();
            story.world.given_up = Some(GivenUp { cause: Cause::Alarm, words });
        })
    };
    let none = RollbackOn { failure: false, alarm: false, analysis: false, cancel: false };
    for rollback_on in [RollbackOn::ALL, none] {
        let mut story = Story::new(Plan { rollback_on, ..paced() });
        story.play(vec![(100, gives_up())]);
        check("given up", &story, Outcome::RolledBack, Some(Cause::Alarm), BACK_FROM_10);
        assert!(story.rollout.view(story.now).words.contains("ALARM_ACTIVE: orders-5xx"));
    }
}

#[test]
fn nobody_can_hold_or_hurry_it_and_waiting_for_it_ends_when_it_is_taken_back() {
    let mut story = Story::new(paced());
    story.play(vec![
        (
            100,
            does(|story| {
                assert_eq!(story.rollout.view(story.now).orders, [Order::Abort, Order::Rollback]);
            }),
        ),
        (120, order(Order::Abort)),
    ]);
    check("aborted", &story, Outcome::RolledBack, Some(Cause::Ordered), BACK_FROM_10);
    for (call, expected) in [
        (Call::SetWeight { weight: Weight(100) }, true),
        (Call::SetWeight { weight: Weight::NONE }, false),
        (Call::MakePrimary, true),
        (Call::StopBlue, false),
    ] {
        assert_eq!(story.rollout.can_be_given_up(&call), expected, "{call:?}");
        let of_ours = Story::new(with(|_| {})).rollout;
        assert!(!of_ours.can_be_given_up(&call), "{call:?} of our own steps");
    }
    assert_eq!(story.world.primary, Some(BLUE));
}
