//! What goes wrong at AWS, for each of its targets on the virtual clock: whose fault it is and what to do is said, and nothing is
//! half-done. What is wrong before a plan is made is with the actions, and what is only of one target is with it.

use fake_aws::Fault;
use rollout::Call;
use serde_json::json;

use super::live::Stage;
use super::{codedeploy, native};

/// Sets a stage whose clock runs at a speed.
type Sets = fn(f64) -> Stage;

/// The targets whose service AWS itself deploys, and what begins a deployment there.
const TARGETS: [(Sets, &str); 2] =
    [(codedeploy::canary, "CodeDeploy.CreateDeployment"), (native::canary, "ECS.UpdateService")];
/// Whatever changes something.
const CHANGES: [&str; 6] = [
    "ECS.RegisterTaskDefinition",
    "ECS.UpdateService",
    "ECS.StopServiceDeployment",
    "CodeDeploy.CreateDeployment",
    "CodeDeploy.CreateDeploymentConfig",
    "CodeDeploy.StopDeployment",
];

fn changes(world: &Stage) -> usize {
    CHANGES.iter().map(|call| world.fake.effects(call)).sum()
}

/// Every question and every change meets a fault that stays: it is said in these words, is no matter of time, and nothing was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_said_and_nothing_is_done() {
    for (world, begins) in TARGETS {
        for (pattern, fault, words) in [
            (
                "ECS.DescribeServices",
                Fault::ExpiredToken,
                &["the credentials have expired", "get new ones in the job"][..],
            ),
            (
                "ECS.DescribeServices",
                Fault::AccessDenied,
                &["may not do `ecs:DescribeServices` on ", "allow it in their policy"],
            ),
            ("ECS.RegisterTaskDefinition", Fault::AccessDenied, &["may not do `ecs:RegisterTaskDefinition` on orders"]),
        ] {
            let world = world(60.0);
            world.fake.add_fault(pattern, 0, fault.clone());
            let error = match pattern {
                "ECS.RegisterTaskDefinition" => {
                    let blue = world.preflight().await;
                    world.perform(Some(&blue), Call::StartGreen).await.unwrap_err()
                }
                _ => world.refusal(|_| {}).await,
            };
            for part in words {
                assert!(error.words.contains(part) && !error.is_transient, "{begins}, {fault:?}: {part}\n{error}");
            }
            assert_eq!(changes(&world), 0, "{begins}, {fault:?}");
        }
        // A change that is not allowed, right before users would have been moved: what was registered harms nobody.
        let world = world(60.0);
        let blue = world.preflight().await;
        world.fake.add_fault(begins, 0, Fault::AccessDenied);
        let error = world.perform(Some(&blue), Call::StartGreen).await.unwrap_err();
        let (service, name) = begins.split_once('.').unwrap();
        let action = format!("may not do `{}:{name}` on ", service.to_lowercase());
        assert!(error.words.contains(&action) && !error.is_transient, "{action}\n{error}");
        assert_eq!((world.fake.effects(begins), world.users().0), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_is_named() {
    for (world, begins) in TARGETS {
        let world = world(60.0);
        world.fake.set_skew(20 * 60 * 1_000);
        let error = world.refusal(|_| {}).await;
        assert!(
            error.words.contains("the clocks of this machine and of AWS differ: set this machine's by NTP"),
            "{begins}: {error}"
        );
        assert!(!error.is_transient && changes(&world) == 0, "{begins}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sent_away_comes_back_and_does_it_once() {
    for (world, begins) in TARGETS {
        let world = world(60.0);
        let blue = world.preflight().await;
        for nth in 1..=2 {
            world.fake.add_fault("ECS.RegisterTaskDefinition", nth, Fault::Throttle);
            world.fake.add_fault(begins, nth, Fault::Throttle);
        }
        world.perform(Some(&blue), Call::StartGreen).await.unwrap();
        let done = ["ECS.RegisterTaskDefinition", begins].map(|call| world.fake.effects(call));
        assert_eq!(done, [1, 1], "{begins}");
        // Nobody is kept waiting for ever: after some tries it is said whose fault it is, and that it may be tried again.
        world.fake.add_fault("ECS.*", 0, Fault::Throttle);
        world.fake.add_fault("CodeDeploy.*", 0, Fault::Throttle);
        let error = world.perform(Some(&blue), Call::TestTraffic { on: true }).await.unwrap_err();
        assert!(
            error.is_transient && error.words.contains("AWS asks to come back later (ThrottlingException"),
            "{error}"
        );
    }
}

/// What is asked for in a region where nothing of it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_region_and_another_account_are_not_touched() {
    for (world, begins) in TARGETS {
        let world = world(60.0);
        for (member, value, words) in [
            ("region", "us-west-2", "the credentials for account 123456789012 are not known"),
            ("account", "210987654321", "the credentials for account 210987654321 are not known"),
            ("cluster", "elsewhere", "elsewhere does not exist in eu-central-1: check its name, account and region"),
        ] {
            let error = world.refusal(|plan| plan.settings[member] = json!(value)).await;
            assert!(error.words.contains(words), "{begins}: {words}\n{error}");
        }
        assert_eq!(changes(&world), 0, "{begins}");
    }
}
