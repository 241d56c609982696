//! Whole rollouts through the driver: with real containers and users, and with processes that die.

use std::time::Instant;

use jiff::SignedDuration;
use rollout::{Cause, Order, Outcome, Stage};
use serde_json::{Value, json};

use super::world::{stage, with};
use crate::target::live::driven::{Fate, Live, Scripts, is_asked_calmly, is_here, options, server};
use crate::target::live::{ROLLOUT, Stage as World};
use crate::target::paced::Parts;

fn both() -> [Value; 2] {
    [server("blue"), server("green")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifecycle_with_scripts_a_gate_and_a_canary_under_load() {
    if !is_here("codedeploy lifecycle") {
        return;
    }
    let live = Live::real(with(options(), json!({}), both()), Scripts::default());
    let (user, begun) = (live.user(), Instant::now());
    assert!(live.drive(|_| false).await);
    let [blue, green, failed] = user.end();
    let view = live.view();
    assert_eq!(view.outcome, Some(Outcome::Succeeded), "{}", live.told());
    assert!(blue > 0 && green > 0 && failed == 0, "{blue} of blue, {green} of green, {failed} failed\n{}", live.told());
    assert_eq!(live.hooks.ran.lock().unwrap().len(), 5);
    for (operation, count) in
        [("CreateDeployment", 1), ("CreateDeploymentConfig", 1), ("ContinueDeployment", 2), ("StopDeployment", 0)]
    {
        assert_eq!(live.world.fake.effects(&format!("CodeDeploy.{operation}")), count, "{operation}");
    }
    assert!(view.timeline.iter().all(|line| !line.is_bad), "{}", live.told());
    eprintln!("lifecycle: {:?}, {blue} answers of blue, {green} of green", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_under_load_loses_nobody() {
    if !is_here("codedeploy back") {
        return;
    }
    type Ends = (&'static str, Option<Stage>, Option<Cause>);
    let cases: [Ends; 3] = [
        ("a script before users fails", Some(Stage::AfterAllowTestTraffic), Some(Cause::Hook)),
        ("somebody stops it", None, Some(Cause::Ordered)),
        ("an alarm of the group", None, Some(Cause::Alarm)),
    ];
    for (name, fails, cause) in cases {
        let alarms = json!({ "alarmConfiguration": { "enabled": true, "alarms": [{ "name": "orders-5xx" }] } });
        let live = Live::real(with(options(), alarms, both()), Scripts { fails, ..Scripts::default() });
        let user = live.user();
        let mut is_told = false;
        let ended = live.drive(|live| {
            if !is_told && live.view().weight.0 == 100 {
                is_told = true;
                match cause {
                    Some(Cause::Ordered) => live.shared.order(ROLLOUT, Order::Abort),
                    Some(_) | None => live.world.ring(),
                }
            }
            false
        });
        assert!(ended.await);
        let [blue, green, failed] = user.end();
        let view = live.view();
        let outcome = if fails.is_some() { Outcome::Rejected } else { Outcome::RolledBack };
        assert_eq!((view.outcome, view.cause), (Some(outcome), cause), "{name}\n{}", live.told());
        assert_eq!((failed, green > 0), (0, fails.is_none()), "{name}: {blue} of blue, {green} of green");
        assert_eq!(live.world.users(), (0, 100), "{name}");
        let stops = live.world.fake.effects("CodeDeploy.StopDeployment");
        assert_eq!(stops, usize::from(cause != Some(Cause::Alarm)), "{name}: of an alarm CodeDeploy goes by itself");
    }
}

/// A canary of a minute, for which CodeDeploy has no configuration, on a clock that runs this fast.
pub(crate) fn canary(speed: f64) -> World {
    let mut world = stage(json!({}));
    let parts = Parts::Two(100, 1);
    world.plan.schedule = parts.schedule(SignedDuration::ZERO, false);
    world.plan.settings["parts"] = serde_json::to_value(parts).unwrap();
    world.plan.settings["config"] = json!(parts.routing().name());
    world.fake.set_speed(speed);
    world
}

/// Each effect meets each fate, and AWS has had it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_an_effect_is_followed_by_one_that_has_it_once() {
    for (operation, nth, aborts) in [
        ("ECS.RegisterTaskDefinition", 1, false),
        ("CodeDeploy.CreateDeploymentConfig", 1, false),
        ("CodeDeploy.CreateDeployment", 1, false),
        // The gate before users, then the end of the old tasks.
        ("CodeDeploy.ContinueDeployment", 1, false),
        ("CodeDeploy.ContinueDeployment", 2, false),
        ("CodeDeploy.StopDeployment", 1, true),
    ] {
        for fate in Fate::ALL {
            let live = Live::new(canary(200.0), Scripts::default()).meets((operation, nth), fate, aborts).await;
            let told = format!("{operation} {nth} {fate:?}\n{}", live.told());
            let outcome = if aborts { Outcome::RolledBack } else { Outcome::Succeeded };
            assert_eq!(live.view().outcome, Some(outcome), "{told}");
            let waits = |kind: &str| {
                let all = live.world.fake.journal().into_iter();
                all.filter(|call| call.is_done && call.input["deploymentWaitType"] == kind).count()
            };
            let effects =
                ["ECS.RegisterTaskDefinition", "CodeDeploy.CreateDeploymentConfig", "CodeDeploy.CreateDeployment"];
            assert_eq!(effects.map(|name| live.world.fake.effects(name)), [1; 3], "{told}");
            let (ended, stopped) = if aborts { (0, 1) } else { (1, 0) };
            let found =
                (waits("READY_WAIT"), waits("TERMINATION_WAIT"), live.world.fake.effects("CodeDeploy.StopDeployment"));
            assert_eq!(found, (1, ended, stopped), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_is_asked_once_a_second_at_most() {
    let live = Live::new(canary(20.0), Scripts::default());
    assert!(live.drive(|_| false).await);
    assert_eq!(live.view().outcome, Some(Outcome::Succeeded), "{}", live.told());
    is_asked_calmly(&live.world.fake);
}
