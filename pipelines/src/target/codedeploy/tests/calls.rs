//! Rollouts call by call.

use std::sync::Arc;
use std::time::Duration;

use rollout::cause::Cause;
use rollout::fact::Found;
use rollout::plan::{Plan, Revision};
use rollout::{Call, Weight};
use serde_json::json;

use super::world::{deployment, stage};
use crate::rollout::Subject;
use crate::target::live::{IMAGE, ROLLOUT, Stage};

/// A rollout that all users have come over to, while the old tasks are kept; with it what stood before.
async fn gone_over() -> (Stage, Revision) {
    let world = stage(json!({}));
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.seen(&standing, |seen| seen.green.healthy == 2).await;
    world.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    world.fake.advance(Duration::from_secs(301));
    world.perform(blue, Call::MakePrimary).await.unwrap();
    (world, standing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rollout_has_each_effect_once_though_answers_are_lost() {
    let world = stage(json!({}));
    let standing = world.preflight().await;
    assert_eq!((standing.id, standing.image.as_str()), (0, "r.example/orders:1"));
    let blue = Some(&standing);
    world.fake.add_fault("CodeDeploy.CreateDeployment", 1, fake_aws::Fault::DropResponse);
    world.once(blue, Call::StartGreen, "ECS.RegisterTaskDefinition").await;
    assert_eq!(world.fake.effects("CodeDeploy.CreateDeployment"), 1);
    let info = deployment(&world);
    assert!(info["description"].as_str().unwrap().starts_with("rollout 7 of acme/shop 1a38bd2 [pipe:7-"), "{info:#}");

    let seen = world.seen(&standing, |seen| seen.green.healthy == 2).await;
    assert_eq!((seen.weight, seen.green.wanted, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2, 2));
    world.perform(blue, Call::TestTraffic { on: true }).await.unwrap();
    assert_eq!(world.users(), (0, 100), "users wait for the gate");
    world.once(blue, Call::SetWeight { weight: Weight(100) }, "CodeDeploy.ContinueDeployment").await;
    assert_eq!(world.users(), (10, 90));
    assert_eq!(world.seen(&standing, |_| true).await.weight, Some(Weight(100)));
    world.seen(&standing, |seen| seen.weight == Some(Weight::ALL)).await;
    world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    world.perform(blue, Call::MakePrimary).await.unwrap();
    assert_eq!(deployment(&world)["status"], "Baking");
    world.once(blue, Call::StopBlue, "CodeDeploy.ContinueDeployment").await;
    assert_eq!((deployment(&world)["status"].as_str(), world.users()), (Some("Succeeded"), (100, 0)));

    // The next one finds what was deployed, by its own tag.
    let order = Stage::order(Subject { rollout: 8, ..world.subject(None) }, Call::Preflight);
    let found: Found = serde_json::from_value(world.target.perform(&order).await.unwrap()).unwrap();
    let stands = found.blue.unwrap();
    assert_eq!((stands.id, stands.image.as_str(), stands.version.as_str()), (ROLLOUT, IMAGE, "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_is_stopped_once_and_followed_to_its_end() {
    let world = stage(json!({}));
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.seen(&standing, |seen| seen.green.healthy == 2).await;
    world.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    world.once(blue, Call::SetWeight { weight: Weight::NONE }, "CodeDeploy.StopDeployment").await;
    assert_eq!(world.users(), (0, 100));
    let info = deployment(&world);
    assert_eq!(
        (info["status"].as_str(), info["errorInformation"]["code"].as_str()),
        (Some("Stopped"), Some("MANUAL_STOP"))
    );
    assert!(info["rollbackInfo"]["rollbackDeploymentId"].is_string());
    world.perform(blue, Call::StopGreen).await.unwrap();
    assert_eq!(world.fake.effects("CodeDeploy.StopDeployment"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_no_user_saw_is_stopped_where_it_waits() {
    let world = stage(json!({}));
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.once(blue, Call::StopGreen, "CodeDeploy.StopDeployment").await;
    assert_eq!(world.users().0, 0);
    assert_eq!(deployment(&world)["status"], "Stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_codedeploy_takes_back_is_seen_and_said() {
    let alarms = json!({ "alarmConfiguration": { "enabled": true, "alarms": [{ "name": "orders-5xx" }] } });
    let world = stage(alarms);
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.seen(&standing, |seen| seen.green.healthy == 2).await;
    world.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    world.ring();
    let seen = world.seen(&standing, |seen| seen.given_up.is_some()).await;
    let given_up = seen.given_up.unwrap();
    assert_eq!(given_up.cause, Cause::Alarm);
    for words in ["an alarm was on (ALARM_ACTIVE: ", "orders-5xx", "takes it back"] {
        assert!(given_up.words.contains(words), "{words}: {}", given_up.words);
    }
    let refused = world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap_err();
    assert!(refused.words.contains("ALARM_ACTIVE") && !refused.is_transient, "{refused}");
    world.perform(blue, Call::SetWeight { weight: Weight::NONE }).await.unwrap();
    assert_eq!((world.users(), world.fake.effects("CodeDeploy.StopDeployment")), ((0, 100), 0), "it went by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_warm_comes_back_and_a_new_one_ends_the_wait() {
    let (world, standing) = gone_over().await;
    // A rollout that takes it back, while the old tasks are kept.
    let plan = Plan { rollback_of: Some(ROLLOUT), reuse: Some(standing.clone()), ..world.plan.clone() };
    let subject = Subject { rollout: 8, plan: Arc::new(plan), ..world.subject(None) };
    let order = |call| Stage::order(subject.clone(), call);
    let found: Found = serde_json::from_value(world.target.perform(&order(Call::Preflight)).await.unwrap()).unwrap();
    assert!(found.green_is_warm && found.blue.as_ref().is_some_and(|blue| blue.id == ROLLOUT));
    let back = Subject { blue: found.blue, green: standing.clone(), ..subject };
    assert_eq!(
        world.target.observe(&back).await.unwrap().weight,
        Some(Weight::NONE),
        "the colours have changed places"
    );
    let weight = Call::SetWeight { weight: Weight::ALL };
    world.target.perform(&Stage::order(back.clone(), weight)).await.unwrap();
    assert_eq!((world.users(), world.fake.effects("CodeDeploy.CreateDeployment")), ((0, 100), 1));
    world.target.perform(&Stage::order(back, Call::MakePrimary)).await.unwrap();

    // A new one finds the group free.
    let (world, standing) = gone_over().await;
    let mut next = world.subject(Some(standing));
    (next.rollout, next.green.id) = (9, 9);
    world.target.perform(&Stage::order(next.clone(), Call::Preflight)).await.unwrap();
    world.target.perform(&Stage::order(next, Call::StartGreen)).await.unwrap();
    assert_eq!(world.fake.effects("CodeDeploy.CreateDeployment"), 2);
    assert_eq!(world.fake.effects("CodeDeploy.ContinueDeployment"), 2, "the gate, then the wait for the end");
}

/// What is taken back is kept for an hour; the wait ends while somebody goes back, before and after they have looked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_just_when_the_wait_ends_is_deployed_anew_by_the_same_rollout() {
    for is_seen in [true, false] {
        let (world, standing) = gone_over().await;

        let plan = Plan { rollback_of: Some(ROLLOUT), reuse: Some(standing.clone()), ..world.plan.clone() };
        let mut subject = Subject { rollout: 8, plan: Arc::new(plan), ..world.subject(None) };
        let perform = async |subject: &Subject, call| world.target.perform(&Stage::order(subject.clone(), call)).await;
        let found: Found = serde_json::from_value(perform(&subject, Call::Preflight).await.unwrap()).unwrap();
        assert!(found.green_is_warm, "it is there now");
        let back = Subject { blue: found.blue, green: standing.clone(), ..subject.clone() };
        if is_seen {
            assert_eq!(world.target.observe(&back).await.unwrap().green.healthy, 2);
        }
        world.fake.advance(Duration::from_secs(3_600));
        assert_eq!(deployment(&world)["status"], "Succeeded");
        if !is_seen {
            let green = world.target.observe(&back).await.unwrap().green;
            assert_eq!((green.wanted, green.healthy), (0, 0), "nothing is left of it");
        }
        let gone = perform(&back, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
        assert_eq!((&gone["gone"], world.users()), (&json!(true), (100, 0)), "nothing was done");

        // The same rollout looks again, and begins a deployment of its own.
        let found: Found = serde_json::from_value(perform(&subject, Call::Preflight).await.unwrap()).unwrap();
        assert!(!found.green_is_warm && found.blue.as_ref().is_some_and(|blue| blue.id == ROLLOUT));
        (subject.blue, subject.green.id) = (found.blue, 8);
        perform(&subject, Call::StartGreen).await.unwrap();
        assert_eq!(world.fake.effects("CodeDeploy.CreateDeployment"), 2);
        perform(&subject, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
        perform(&subject, Call::MakePrimary).await.unwrap();
        assert_eq!((world.users(), world.fake.effects("CodeDeploy.StopDeployment")), ((0, 100), 0));
    }
}
