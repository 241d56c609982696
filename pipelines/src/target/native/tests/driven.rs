//! Whole rollouts through the driver: with real containers and users, and with processes that die.

use std::time::Instant;

use jiff::SignedDuration;
use rollout::{Cause, Order, Outcome, Stage as At};

use super::{stage, with};
use crate::target::live::driven::{Fate, Live, Scripts, is_asked_calmly, is_here, options, server};
use crate::target::live::{ROLLOUT, Stage as World};
use crate::target::paced::Parts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_with_a_pause_and_scripts_under_load() {
    if !is_here("ecs-native lifecycle") {
        return;
    }
    let live = Live::real(with(options(), [server("blue"), server("green")]), Scripts::default());
    let (user, begun) = (live.user(), Instant::now());
    assert!(live.drive(|_| false).await);
    let [blue, green, failed] = user.end();
    assert_eq!(live.view().outcome, Some(Outcome::Succeeded), "{}", live.told());
    assert!(blue > 0 && green > 0 && failed == 0, "{blue} of blue, {green} of green, {failed} failed\n{}", live.told());
    assert_eq!(live.hooks.ran.lock().unwrap().len(), 5);
    for (operation, count) in [("UpdateService", 1), ("ContinueServiceDeployment", 2), ("StopServiceDeployment", 0)] {
        assert_eq!(live.world.fake.effects(&format!("ECS.{operation}")), count, "{operation}");
    }
    eprintln!("lifecycle: {:?}, {blue} answers of blue, {green} of green", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_under_load_loses_nobody() {
    if !is_here("ecs-native back") {
        return;
    }
    for (name, fails, cause) in [
        ("a script before users fails", Some(At::BeforeAllowTraffic), Cause::Hook),
        ("somebody stops it", None, Cause::Ordered),
        ("an alarm of the service", None, Cause::Alarm),
    ] {
        let world = with(options(), [server("blue"), server("green")]);
        let live = Live::real(world, Scripts { fails, ..Scripts::default() });
        let user = live.user();
        let mut is_told = false;
        let ended = live.drive(|live| {
            if !is_told && live.view().weight.0 == 100 {
                is_told = true;
                if cause == Cause::Ordered {
                    live.shared.order(ROLLOUT, Order::Abort);
                } else {
                    live.world.ring();
                }
            }
            false
        });
        assert!(ended.await);
        let [blue, green, failed] = user.end();
        let view = live.view();
        let outcome = if fails.is_some() { Outcome::Rejected } else { Outcome::RolledBack };
        assert_eq!((view.outcome, view.cause), (Some(outcome), Some(cause)), "{name}\n{}", live.told());
        assert_eq!((failed, green > 0), (0, fails.is_none()), "{name}: {blue} of blue, {green} of green");
        assert_eq!(live.world.users(), (0, 100), "{name}");
    }
}

/// A canary of a minute on a clock that runs this fast.
pub(crate) fn canary(speed: f64) -> World {
    let mut world = stage();
    let parts = Parts::Two(100, 1);
    world.plan.schedule = parts.schedule(SignedDuration::ZERO, false);
    world.plan.settings["parts"] = serde_json::to_value(parts).unwrap();
    world.plan.settings["bake-minutes"] = serde_json::json!(1);
    world.plan.settings["holds"] = serde_json::json!(60);
    world.fake.set_speed(speed);
    world
}

/// Each effect meets each fate, and AWS has had it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_an_effect_is_followed_by_one_that_has_it_once() {
    for (operation, nth, aborts) in [
        ("ECS.RegisterTaskDefinition", 1, false),
        ("ECS.UpdateService", 1, false),
        // The pause before users, then the one behind them.
        ("ECS.ContinueServiceDeployment", 1, false),
        ("ECS.ContinueServiceDeployment", 2, false),
        ("ECS.StopServiceDeployment", 1, true),
    ] {
        for fate in Fate::ALL {
            let live = Live::new(canary(200.0), Scripts::default()).meets((operation, nth), fate, aborts).await;
            let told = format!("{operation} {nth} {fate:?}\n{}", live.told());
            let outcome = if aborts { Outcome::RolledBack } else { Outcome::Succeeded };
            assert_eq!(live.view().outcome, Some(outcome), "{told}");
            let effects =
                ["RegisterTaskDefinition", "UpdateService", "ContinueServiceDeployment", "StopServiceDeployment"];
            let found = effects.map(|name| live.world.fake.effects(&format!("ECS.{name}")));
            assert_eq!(found, if aborts { [1, 1, 1, 1] } else { [1, 1, 2, 0] }, "{told}");
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
