//! Whole rollouts through the driver: with real containers and users, and with processes that die.

use std::time::Instant;

use rollout::{Cause, Order, Outcome, Stage as At};

use super::{stage, with};
use crate::target::live::ROLLOUT;
use crate::target::live::driven::{Live, Scripts, is_here, options, server};

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
    for (operation, count) in [("UpdateService", 1), ("ContinueServiceDeployment", 1), ("StopServiceDeployment", 0)] {
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

/// A driver that is killed in the moment in which AWS has had the effect and nobody has heard of it, for every effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_an_effect_is_followed_by_one_that_has_it_once() {
    for (operation, aborts) in [
        ("ECS.RegisterTaskDefinition", false),
        ("ECS.UpdateService", false),
        ("ECS.ContinueServiceDeployment", false),
        ("ECS.StopServiceDeployment", true),
    ] {
        let world = stage();
        world.fake.set_speed(200.0);
        let live = Live::new(world, Scripts::default()).dies_at(operation, aborts).await;
        let outcome = if aborts { Outcome::RolledBack } else { Outcome::Succeeded };
        assert_eq!(live.view().outcome, Some(outcome), "{operation}\n{}", live.told());
        assert_eq!(live.world.fake.effects(operation), 1, "{operation}\n{}", live.told());
        assert_eq!(live.world.fake.effects("ECS.UpdateService"), 1, "{operation}");
    }
}
