//! The target against a fake of AWS: call by call, each with its answer lost once, and whole rollouts by processes that die.

mod bad;
mod crash;
mod driven;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use fake_aws::{Fault, Options};
use jiff::{SignedDuration, Timestamp};
use rollout::plan::Revision;
use rollout::{Call, Cause, Weight};
use serde_json::{Value, json};

use super::{Rolling, Settings};
use crate::target::live::{ACCOUNT, IMAGE, Place, ROLLOUT, Stage, definition};
use crate::target::paced::Parts;

/// Seconds of the fake's clock in a real one.
const SPEED: f64 = 60.0;

/// The same where something is to be done before a deployment ends.
const SLOW: f64 = 10.0;

/// A clock whose pauses are as short as the fake's.
#[derive(Debug)]
struct Quick;

#[async_trait]
impl Clock for Quick {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn wait_until(&self, at: Timestamp) {
        let left = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(left.div_f64(SPEED)).await;
    }
}

/// A service with two tasks in a fake's mind, which stands.
fn stage() -> Stage {
    let options = Options { speed: SPEED, ..Options::default() };
    let stage = with(options, [definition("r.example/orders:1"), definition(IMAGE)]);
    stage.fake.advance(Duration::from_secs(900));
    stage
}

fn with(options: Options, both: [Value; 2]) -> Stage {
    let target = |clouds, _clock| Arc::new(Rolling::new(clouds, Arc::new(Quick))) as Arc<_>;
    let mut stage = Stage::new(options, both, (Rolling::NAME, target), set);
    stage.plan.schedule = Parts::One.schedule(SignedDuration::from_mins(2), false);
    stage.plan.keep_blue = SignedDuration::ZERO;
    stage
}

fn set(place: &Place<'_>) -> Value {
    let alarms = json!({ "alarmNames": ["orders-5xx"], "enable": true, "rollback": true });
    let delay = json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "10" }]);
    let group = json!({ "TargetGroupArn": place.groups[0], "Attributes": delay });
    place.call("ELBv2", "ModifyTargetGroupAttributes", group);
    place.call("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "orders", "taskDefinition": "orders:1", "desiredCount": 2, "launchType": "FARGATE",
        "deploymentConfiguration": { "alarms": alarms },
        "loadBalancers": [{ "targetGroupArn": place.groups[0], "containerName": "app", "containerPort": 8080 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    }));
    let settings = Settings {
        account: ACCOUNT.into(),
        region: "eu-central-1".into(),
        cluster: "shop".into(),
        service: "orders".into(),
        container: "app".into(),
        task_definition: Value::Null,
        tasks: None,
        minimum_healthy_percent: Some(50),
        maximum_percent: Some(150),
        alarms: vec!["orders-5xx".into()],
        overrides_alarms: false,
    };
    serde_json::to_value(settings).unwrap()
}

fn service(world: &Stage) -> Value {
    let asked = json!({ "cluster": "shop", "services": ["orders"] });
    world.fake.call("ECS", "DescribeServices", &asked).unwrap()["services"][0].clone()
}

/// The number of the revision that the service is to run.
fn revision(world: &Stage) -> String {
    service(world)["taskDefinition"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

/// Started, with the answers lost.
async fn started(world: &Stage) -> Revision {
    let standing = world.preflight().await;
    assert_eq!((standing.id, standing.image.as_str()), (0, "r.example/orders:1"));
    world.fake.add_fault("ECS.UpdateService", 1, Fault::DropResponse);
    world.once(Some(&standing), Call::StartGreen, "ECS.RegisterTaskDefinition").await;
    assert_eq!(world.fake.effects("ECS.UpdateService"), 1);
    standing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rollout_has_each_effect_once_though_answers_are_lost() {
    let world = stage();
    let standing = started(&world).await;
    let blue = Some(&standing);
    let config = service(&world)["deploymentConfiguration"].clone();
    assert_eq!((config["minimumHealthyPercent"].clone(), config["maximumPercent"].clone()), (json!(50), json!(150)));
    assert_eq!(config["deploymentCircuitBreaker"], json!({ "enable": true, "rollback": true }));
    assert_eq!(config["alarms"]["alarmNames"], json!(["orders-5xx"]), "the service's own stay");
    let seen = world.seen(&standing, |seen| seen.green.healthy > 0).await;
    assert!(seen.weight > Some(Weight::NONE), "users meet it as soon as it is healthy: {seen:?}");
    assert_eq!((seen.green.wanted, seen.given_up), (2, None));
    let seen = world.seen(&standing, |seen| seen.green.healthy == 2).await;
    assert!(seen.green.trouble.is_none(), "{seen:?}");
    world.perform(blue, Call::TestTraffic { on: true }).await.unwrap();
    world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    let seen = world.seen(&standing, |seen| seen.weight == Some(Weight::ALL)).await;
    assert_eq!(seen.blue.unwrap().wanted, 0);
    world.perform(blue, Call::MakePrimary).await.unwrap();
    world.perform(blue, Call::StopBlue).await.unwrap();
    assert_eq!((revision(&world).as_str(), service(&world)["runningCount"].clone()), ("2", json!(2)));
    assert_eq!((world.fake.effects("ECS.UpdateService"), world.fake.effects("ECS.StopServiceDeployment")), (1, 0));
    // The next one finds what was deployed, by its own tag.
    let next = world.preflight().await;
    assert_eq!((next.id, next.image.as_str(), next.version.as_str()), (ROLLOUT, IMAGE, "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_is_told_to_go_back_once() {
    let world = stage();
    let standing = started(&world).await;
    let blue = Some(&standing);
    world.fake.set_speed(SLOW);
    world.seen(&standing, |seen| seen.green.healthy > 0).await;
    world.once(blue, Call::SetWeight { weight: Weight::NONE }, "ECS.StopServiceDeployment").await;
    world.perform(blue, Call::StopGreen).await.unwrap();
    assert_eq!((revision(&world).as_str(), service(&world)["runningCount"].clone()), ("1", json!(2)));
    assert_eq!((world.fake.effects("ECS.UpdateService"), world.fake.effects("ECS.StopServiceDeployment")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_complete_is_replaced_by_what_stood_once() {
    let world = stage();
    let standing = started(&world).await;
    let blue = Some(&standing);
    world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    world.once(blue, Call::SetWeight { weight: Weight::NONE }, "ECS.UpdateService").await;
    let seen = world.seen(&standing, |seen| seen.weight == Some(Weight::NONE)).await;
    assert_eq!(seen.blue.unwrap().healthy, 2);
    world.perform(blue, Call::StopGreen).await.unwrap();
    assert_eq!((revision(&world).as_str(), world.fake.effects("ECS.StopServiceDeployment")), ("1", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_stood_nothing_is_left() {
    let world = stage();
    let none = json!({ "cluster": "shop", "service": "orders", "desiredCount": 0 });
    world.fake.call("ECS", "UpdateService", &none).unwrap();
    world.fake.advance(Duration::from_secs(60));
    let before = world.fake.effects("ECS.UpdateService");
    let found = world.perform(None, Call::Preflight).await.unwrap();
    assert_eq!(found["blue"], Value::Null);
    world.perform(None, Call::StartGreen).await.unwrap();
    assert_eq!(service(&world)["desiredCount"], 1);
    world.perform(None, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    world.once(None, Call::SetWeight { weight: Weight::NONE }, "ECS.UpdateService").await;
    assert_eq!(
        (service(&world)["desiredCount"].clone(), service(&world)["runningCount"].clone()),
        (json!(0), json!(0))
    );
    assert_eq!(world.fake.effects("ECS.UpdateService") - before, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ecs_takes_back_is_seen_with_its_cause() {
    for (name, cause, expected) in [
        (
            "breaker",
            Cause::Unhealthy,
            &["circuit breaker: tasks failed to start", "container `app` ended with exit code 3"][..],
        ),
        ("alarm", Cause::Alarm, &["ECS deployment alarm(s) detected", "(orders-5xx)"]),
    ] {
        let world = stage();
        if name == "breaker" {
            world.fake.break_start(IMAGE, 3);
        }
        let standing = started(&world).await;
        if name == "alarm" {
            world.fake.set_speed(SLOW);
            world.seen(&standing, |seen| seen.green.healthy > 0).await;
            world.ring();
        }
        let seen = world.seen(&standing, |seen| seen.given_up.is_some()).await;
        let given_up = seen.given_up.unwrap();
        assert_eq!(given_up.cause, cause, "{}", given_up.words);
        for words in expected {
            assert!(given_up.words.contains(words), "{words}\n{}", given_up.words);
        }
        let blue = Some(&standing);
        world.perform(blue, Call::SetWeight { weight: Weight::NONE }).await.unwrap();
        let left = world.perform(blue, Call::StopGreen).await.unwrap();
        assert_eq!(left["logs"].as_array().unwrap().is_empty(), name == "alarm", "{left:#}");
        assert_eq!(
            (revision(&world).as_str(), world.fake.effects("ECS.StopServiceDeployment")),
            ("1", 0),
            "it went by itself"
        );
        assert_eq!(world.fake.effects("ECS.UpdateService"), 1);
    }
}
