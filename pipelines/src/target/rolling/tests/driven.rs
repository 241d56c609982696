//! Rollouts that somebody stops, with real containers and users, and processes that die on the way back from what was complete.

use std::time::Instant;

use fake_aws::Fault;
use jiff::SignedDuration;
use rollout::{Cause, Order, Outcome};

use super::{stage, with};
use crate::target::live::ROLLOUT;
use crate::target::live::driven::{Live, Scripts, is_here, options, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_stops_it_while_it_rolls_and_nobody_is_lost() {
    if !is_here("rolling stop") {
        return;
    }
    let live = Live::real(with(options(), [server("blue"), server("green")]), Scripts::default());
    let (user, begun) = (live.user(), Instant::now());
    let mut is_told = false;
    let ended = live.drive(|live| {
        if !is_told && live.view().weight.0 > 0 {
            is_told = true;
            live.shared.order(ROLLOUT, Order::Abort);
        }
        false
    });
    assert!(ended.await);
    let [blue, green, failed] = user.end();
    let view = live.view();
    assert_eq!((view.outcome, view.cause), (Some(Outcome::RolledBack), Some(Cause::Ordered)), "{}", live.told());
    assert!(blue > 0 && green > 0 && failed == 0, "{blue} of blue, {green} of green, {failed} failed\n{}", live.told());
    for (operation, count) in [("RegisterTaskDefinition", 1), ("UpdateService", 1), ("StopServiceDeployment", 1)] {
        assert_eq!(live.world.fake.effects(&format!("ECS.{operation}")), count, "{operation}\n{}", live.told());
    }
    eprintln!("stopped: {:?}, {blue} answers of blue, {green} of green", begun.elapsed());
}

/// All of it is new, and a person takes it back: what stood is deployed once more, whoever dies and whatever answer is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_complete_is_taken_back_once_by_whoever_is_left() {
    for is_lost in [false, true] {
        let world = stage();
        let mut live = Live::new(world, Scripts::default());
        let mut plan = live.world.plan.clone();
        plan.schedule.steps.last_mut().unwrap().hold = SignedDuration::from_mins(10);
        live.shared = crate::rollout::simulated::Shared::new(None);
        live.shared.plan(ROLLOUT, plan);
        let mut is_told = false;
        let ended = live.drive(|live| {
            let has_passed = live.told().contains("100 %");
            if !is_told && has_passed && live.world.fake.effects("ECS.UpdateService") == 1 && is_complete(live) {
                is_told = true;
                if is_lost {
                    live.world.fake.add_fault("ECS.UpdateService", 1, Fault::DropResponse);
                }
                live.shared.order(ROLLOUT, Order::Rollback);
            }
            live.world.fake.effects("ECS.UpdateService") > 1
        });
        assert!(!ended.await, "{}", live.told());
        live.world.forget();
        assert!(live.drive(|_| false).await);
        assert_eq!(live.view().outcome, Some(Outcome::RolledBack), "{}", live.told());
        for (operation, count) in [("RegisterTaskDefinition", 1), ("UpdateService", 2), ("StopServiceDeployment", 0)] {
            assert_eq!(live.world.fake.effects(&format!("ECS.{operation}")), count, "{operation}\n{}", live.told());
        }
    }
}

fn is_complete(live: &Live) -> bool {
    let going = serde_json::json!({ "cluster": "shop", "service": "orders", "status": ["IN_PROGRESS"] });
    live.world.fake.call("ECS", "ListServiceDeployments", &going).unwrap()["serviceDeployments"]
        == serde_json::json!([])
}
