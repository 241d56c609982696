//! Whole rollouts through the driver: with real containers and users, and with processes that die.

use std::time::Instant;

use rollout::{Cause, Order, Outcome, Stage};
use serde_json::{Value, json};

use super::world::{stage, with};
use crate::target::live::ROLLOUT;
use crate::target::live::driven::{Live, Scripts, is_here, options, server};

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

/// A driver that is killed in the moment in which AWS has had the effect and nobody has heard of it, for every effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_an_effect_is_followed_by_one_that_has_it_once() {
    for (operation, aborts, count) in [
        ("ECS.RegisterTaskDefinition", false, 1),
        ("CodeDeploy.CreateDeployment", false, 1),
        ("CodeDeploy.ContinueDeployment", false, 2),
        ("CodeDeploy.StopDeployment", true, 1),
    ] {
        let world = stage(json!({}));
        world.fake.set_speed(200.0);
        let live = Live::new(world, Scripts::default()).dies_at(operation, aborts).await;
        let outcome = if aborts { Outcome::RolledBack } else { Outcome::Succeeded };
        assert_eq!(live.view().outcome, Some(outcome), "{operation}\n{}", live.told());
        assert_eq!(live.world.fake.effects(operation), count, "{operation}\n{}", live.told());
        assert_eq!(live.world.fake.effects("CodeDeploy.CreateDeployment"), 1, "{operation}");
    }
}
