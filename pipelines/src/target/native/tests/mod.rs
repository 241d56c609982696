//! The target against a fake of AWS: call by call, each with its answer lost once, and whole rollouts through the driver.

mod driven;

pub(crate) use self::driven::canary;

use std::sync::Arc;
use std::time::Duration;

use fake_aws::Options;
use rollout::{Call, Cause, Weight};
use serde_json::{Value, json};

use super::{Native, Settings};
use crate::target::Quiet;
use crate::target::live::{ACCOUNT, IMAGE, Place, Stage, definition};
use crate::target::paced::Parts;

/// A service with two tasks in a fake's mind.
fn stage() -> Stage {
    let options = Options { speed: 60.0, ..Options::default() };
    let stage = with(options, [definition("r.example/orders:1"), definition(IMAGE)]);
    stage.fake.advance(Duration::from_secs(900));
    stage
}

fn with(options: Options, both: [Value; 2]) -> Stage {
    let target = |clouds, clock: Arc<_>| {
        let target = Native::new(clouds, Arc::clone(&clock));
        Arc::new(Quiet::new(target, clock)) as Arc<_>
    };
    Stage::new(options, both, (Native::NAME, target), set)
}

fn set(place: &Place<'_>) -> Value {
    let alarms = json!({ "alarmNames": ["orders-5xx"], "enable": true, "rollback": true });
    place.call("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "orders", "taskDefinition": "orders:1", "desiredCount": 2, "launchType": "FARGATE",
            "healthCheckGracePeriodSeconds": 300,
        "deploymentConfiguration": { "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "alarms": alarms },
        "loadBalancers": [{
            "targetGroupArn": place.groups[0], "containerName": "app", "containerPort": 8080,
            "advancedConfiguration": {
                "alternateTargetGroupArn": place.groups[1], "productionListenerRule": place.rules[0],
                "testListenerRule": place.rules[1], "roleArn": "arn:aws:iam::123456789012:role/ecs",
            },
        }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    }));
    let settings = Settings {
        account: ACCOUNT.into(),
        region: "eu-central-1".into(),
        cluster: "shop".into(),
        service: "orders".into(),
        rule: place.rules[0].clone(),
        has_tests: true,
        parts: Parts::Two(100, 5),
        bake_minutes: 3,
        waits: Some(60),
        holds: None,
        container: "app".into(),
        task_definition: Value::Null,
        alarms: vec!["orders-5xx".into()],
        overrides_alarms: false,
    };
    serde_json::to_value(settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_rollout_has_each_effect_once_though_answers_are_lost() {
    let world = stage();
    let standing = world.preflight().await;
    assert_eq!((standing.id, standing.image.as_str()), (0, "r.example/orders:1"));
    let blue = Some(&standing);
    world.fake.add_fault("ECS.UpdateService", 1, fake_aws::Fault::DropResponse);
    world.once(blue, Call::StartGreen, "ECS.RegisterTaskDefinition").await;
    assert_eq!(world.fake.effects("ECS.UpdateService"), 1);
    let seen = world.seen(&standing, |seen| seen.green.healthy == 2).await;
    assert_eq!((seen.weight, seen.green.wanted, seen.blue.unwrap().healthy), (Some(Weight::NONE), 2, 2));
    world.perform(blue, Call::TestTraffic { on: true }).await.unwrap();
    assert_eq!(world.users(), (0, 100), "users wait for the pause");
    world.once(blue, Call::SetWeight { weight: Weight(100) }, "ECS.ContinueServiceDeployment").await;
    assert_eq!(world.users(), (10, 90));
    world.seen(&standing, |seen| seen.weight == Some(Weight::ALL)).await;
    world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
    world.perform(blue, Call::MakePrimary).await.unwrap();
    world.fake.advance(Duration::from_secs(300));
    world.perform(blue, Call::StopBlue).await.unwrap();
    assert_eq!(world.users(), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_is_told_once_and_what_ecs_takes_back_is_said() {
    let world = stage();
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.seen(&standing, |seen| seen.green.healthy == 2).await;
    world.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    world.once(blue, Call::SetWeight { weight: Weight::NONE }, "ECS.StopServiceDeployment").await;
    assert_eq!(world.users(), (0, 100));
    world.perform(blue, Call::StopGreen).await.unwrap();
    assert_eq!(world.fake.effects("ECS.StopServiceDeployment"), 1);

    let world = stage();
    let standing = world.preflight().await;
    let blue = Some(&standing);
    world.perform(blue, Call::StartGreen).await.unwrap();
    world.seen(&standing, |seen| seen.green.healthy == 2).await;
    world.perform(blue, Call::SetWeight { weight: Weight(100) }).await.unwrap();
    world.ring();
    let given_up = world.seen(&standing, |seen| seen.given_up.is_some()).await.given_up.unwrap();
    assert_eq!(given_up.cause, Cause::Alarm, "{}", given_up.words);
    assert!(given_up.words.contains("(orders-5xx)"), "{}", given_up.words);
    world.perform(blue, Call::SetWeight { weight: Weight::NONE }).await.unwrap();
    assert_eq!((world.users(), world.fake.effects("ECS.StopServiceDeployment")), ((0, 100), 0), "it went by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_before() {
    let world = stage();
    for (member, value, words) in [
        ("cluster", json!("none"), "none does not exist in eu-central-1"),
        ("service", json!("other"), "there is no service `other` in cluster shop"),
        ("rule", json!("arn:other"), "has no rule arn:other and second target group"),
        ("account", json!("210987654321"), "the credentials for account 210987654321 are not known"),
        ("alarms", json!(["absent"]), "there is no alarm `absent`"),
    ] {
        let error = world.refusal(|plan| plan.settings[member] = value).await;
        assert!(error.words.contains(words), "{words}\n{error}");
    }
    world.ring();
    let rings = world.refusal(|_| {}).await;
    assert!(rings.words.contains("alarms are on: orders-5xx"), "{rings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_hold_what_they_need_before_users_come_and_once_they_have() {
    for has_tests in [true, false] {
        let mut world = stage();
        world.plan.settings["holds"] = json!(60);
        world.plan.settings["has-tests"] = json!(has_tests);
        let standing = world.preflight().await;
        let blue = Some(&standing);
        world.perform(blue, Call::StartGreen).await.unwrap();
        let service = json!({ "cluster": "shop", "services": ["orders"] });
        let service = world.fake.call("ECS", "DescribeServices", &service).unwrap();
        let hooks = service["services"][0]["deploymentConfiguration"]["lifecycleHooks"].as_array().unwrap().clone();
        let stages: Vec<_> = hooks.iter().map(|hook| hook["lifecycleStages"][0].as_str().unwrap().to_owned()).collect();
        let before = if has_tests { "POST_TEST_TRAFFIC_SHIFT" } else { "POST_SCALE_UP" };
        assert_eq!(stages, [before, "POST_PRODUCTION_TRAFFIC_SHIFT"]);
        world.seen(&standing, |seen| seen.green.healthy == 2).await;
        world.perform(blue, Call::TestTraffic { on: true }).await.unwrap();
        world.fake.advance(Duration::from_secs(600));
        assert_eq!(world.users(), (0, 100), "users wait for the scripts before them");
        world.once(blue, Call::SetWeight { weight: Weight(100) }, "ECS.ContinueServiceDeployment").await;
        // From share to share it goes by itself.
        world.seen(&standing, |seen| seen.weight == Some(Weight::ALL)).await;
        world.perform(blue, Call::SetWeight { weight: Weight::ALL }).await.unwrap();
        // Far longer than ECS keeps old tasks: the scripts of users' share go on, and it could still go back.
        world.fake.advance(Duration::from_secs(1_800));
        let seen = world.seen(&standing, |_| true).await;
        assert_eq!((world.users(), seen.blue.unwrap().healthy, seen.given_up), ((100, 0), 2, None));
        world.once(blue, Call::MakePrimary, "ECS.ContinueServiceDeployment").await;
        world.fake.advance(Duration::from_secs(300));
        world.perform(blue, Call::StopBlue).await.unwrap();
        assert_eq!((world.users(), world.fake.effects("ECS.ContinueServiceDeployment")), ((100, 0), 2));
    }
}

fn service(world: &Stage) -> Value {
    let input = json!({ "cluster": "shop", "services": ["orders"] });
    world.fake.call("ECS", "DescribeServices", &input).unwrap()["services"][0].clone()
}

/// Lets the service have these hooks beside what it has.
fn set_hooks(world: &Stage, hooks: Value) {
    let mut config = service(world)["deploymentConfiguration"].clone();
    config["lifecycleHooks"] = hooks;
    let input = json!({ "cluster": "shop", "service": "orders", "deploymentConfiguration": config });
    world.fake.call("ECS", "UpdateService", &input).unwrap();
}

/// Ends the pause that the newest deployment waits at, as somebody at the console does.
fn end_pause(world: &Stage) {
    let list = json!({ "cluster": "shop", "service": "orders" });
    let call = |name: &str, input: &Value| world.fake.call("ECS", name, input).unwrap();
    let arn = call("ListServiceDeployments", &list)["serviceDeployments"][0]["serviceDeploymentArn"].clone();
    let found = call("DescribeServiceDeployments", &json!({ "serviceDeploymentArns": [arn] }));
    let hooks = found["serviceDeployments"][0]["lifecycleHookDetails"].as_array().unwrap().clone();
    let waiting: Vec<_> = hooks.iter().filter(|hook| hook["status"] == "AWAITING_ACTION").collect();
    assert_eq!(waiting.len(), 1, "{hooks:?}");
    call("ContinueServiceDeployment", &json!({ "serviceDeploymentArn": arn, "hookId": waiting[0]["hookId"] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_of_the_service_stay_and_its_pauses_are_ended_by_others() {
    let mut world = stage();
    world.fake.set_function("arn:aws:lambda:eu-central-1:123456789012:function:check", Some(true));
    let own = json!([
        { "targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"], "timeoutConfiguration": { "timeoutInMinutes": 120, "action": "ROLLBACK" } },
        {
            "hookTargetArn": "arn:aws:lambda:eu-central-1:123456789012:function:check", "roleArn": "arn:aws:iam::123456789012:role/ecs",
            "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
        },
    ]);
    set_hooks(&world, own.clone());
    for rollout in 1..=2 {
        // Another plan is another deployment.
        world.plan.version = format!("v{rollout}");
        let world = &world;
        let standing = world.preflight().await;
        let blue = Some(&standing);
        world.perform(blue, Call::StartGreen).await.unwrap();
        let hooks = service(world)["deploymentConfiguration"]["lifecycleHooks"].as_array().unwrap().clone();
        assert_eq!(hooks[..2], own.as_array().unwrap()[..], "rollout {rollout}");
        assert_eq!(
            (hooks.len(), &hooks[2]["lifecycleStages"]),
            (3, &json!(["POST_TEST_TRAFFIC_SHIFT"])),
            "one of ours"
        );
        // Nothing runs as long as nobody ends the pause, which is said.
        world.fake.advance(Duration::from_secs(600));
        let seen = world.seen(&standing, |_| true).await;
        let trouble = seen.green.trouble.unwrap_or_default();
        assert!(seen.green.healthy == 0 && trouble.contains("until somebody ends it"), "{trouble}");
        assert_eq!(world.fake.effects("ECS.ContinueServiceDeployment"), rollout - 1, "it is not ended");
        end_pause(world);
        world.seen(&standing, |seen| seen.green.healthy == 2).await;
        world.perform(blue, Call::TestTraffic { on: true }).await.unwrap();
        world.once(blue, Call::SetWeight { weight: Weight(100) }, "ECS.ContinueServiceDeployment").await;
        world.perform(blue, Call::SetWeight { weight: Weight::NONE }).await.unwrap();
        world.perform(blue, Call::StopGreen).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_would_look_as_ours_is_refused_before_anything() {
    for stage_of in ["POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT"] {
        let mut world = stage();
        set_hooks(&world, json!([{ "targetType": "PAUSE", "lifecycleStages": [stage_of] }]));
        let error = world.refusal(|_| {}).await;
        assert!(error.words.contains(&format!("has a pause of its own at {stage_of}")), "{error}");
        // Without scripts there is none of ours.
        world.plan.settings["waits"] = Value::Null;
        world.preflight().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_controller_and_another_deployment() {
    let world = stage();
    let call = |name: &str, input: Value| world.fake.call("ECS", name, &input).unwrap();
    let made = json!({
        "cluster": "shop", "serviceName": "other", "desiredCount": 0, "deploymentController": { "type": "EXTERNAL" },
    });
    call("CreateService", made);
    let other = world.refusal(|plan| plan.settings["service"] = json!("other")).await;
    assert!(other.words.contains("has the deployment controller EXTERNAL: use `strategy: weighted`"), "{other}");
    assert!(other.words.contains("a controller cannot be changed"), "{other}");
    // Somebody deploys by hand, and a newer deployment would end theirs.
    let definition = definition("r.example/orders:by-hand");
    call("RegisterTaskDefinition", definition);
    let pause = json!({ "targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"] });
    let config = json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [pause] });
    let by_hand = json!({
        "cluster": "shop", "service": "orders", "taskDefinition": "orders:2", "deploymentConfiguration": config,
    });
    call("UpdateService", by_hand);
    let busy = world.refusal(|_| {}).await;
    assert!(busy.words.contains("goes on, and a newer one would end it: wait for its end, or stop it there"), "{busy}");
    let started = world.perform(None, Call::StartGreen).await.unwrap_err();
    assert!(started.words.contains("a newer one would end it") && !started.is_transient, "{started}");
    assert_eq!(world.fake.effects("ECS.UpdateService"), 0);
}
