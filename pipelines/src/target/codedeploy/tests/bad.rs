//! What cannot be done is said before anything is changed.

use std::sync::Arc;

use fake_aws::Fault;
use jiff::SignedDuration;
use rollout::plan::{Deed, Hook};
use rollout::{Call, Stage as At};
use serde_json::{Value, json};

use super::world::stage;
use crate::target::live::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_do_not_fit() {
    let world = stage(json!({}));
    for (member, value, words) in [
        ("cluster", json!("none"), "none does not exist in eu-central-1"),
        ("service", json!("other"), "there is no service `other` in cluster shop"),
        ("application", json!("other"), "there is no CodeDeploy application `other`"),
        ("group", json!("other"), "application shop has no deployment group `other`"),
        ("config", json!("other"), "other does not exist in eu-central-1"),
        ("config", json!("CodeDeployDefault.ECSAllAtOnce"), "shifts users otherwise (all at once)"),
        ("account", json!("210987654321"), "the credentials for account 210987654321 are not known"),
        ("alarms", json!(["absent"]), "there is no alarm `absent`"),
    ] {
        let error = world.refusal(|plan| plan.settings[member] = value).await;
        assert!(error.words.contains(words), "{words}\n{error}");
    }
    let tag = world.refusal(|plan| plan.image = "r.example/orders:1".to_owned()).await;
    assert!(tag.words.contains("is named by a tag"), "{tag}");
    let long = world.refusal(|plan| plan.keep_blue = SignedDuration::from_hours(2)).await;
    assert!(long.words.contains("ends the old tasks 60 min after") && long.words.contains("122 min"), "{long}");
    world.fake.add_fault("CodeDeploy.GetDeploymentGroup", 1, Fault::AccessDenied);
    let denied = world.refusal(|_| {}).await;
    assert!(denied.words.contains("may not do `codedeploy:GetDeploymentGroup`") && !denied.is_transient, "{denied}");
    world.ring();
    let rings = world.refusal(|plan| plan.settings["alarms"] = json!(["orders-5xx"])).await;
    assert!(rings.words.contains("alarms are on: orders-5xx"), "{rings}");
    assert_eq!(world.fake.journal().iter().filter(|call| call.operation.starts_with("Create")).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_does_not_wait_takes_no_scripts_before_users() {
    let config = json!({ "blueGreenDeploymentConfiguration": {
        "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 60 },
        "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT" },
    }});
    let world = stage(config);
    let hook = |stage| Hook { stage, deed: Deed::Script("true".to_owned()) };
    let refused = world.refusal(|plan| plan.hooks = vec![hook(At::AfterAllowTestTraffic)]).await;
    assert!(refused.words.contains("`hooks` has AfterAllowTestTraffic"), "{refused}");
    assert!(refused.words.contains("`STOP_DEPLOYMENT`"), "{refused}");
    let mut subject = world.subject(None);
    Arc::make_mut(&mut subject.plan).hooks = vec![hook(At::BeforeInstall), hook(At::AfterAllowTraffic)];
    world.target.perform(&Stage::order(subject, Call::Preflight)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_controller_and_another_deployment() {
    let world = stage(json!({}));
    let call = |service: &str, name: &str, input: Value| world.fake.call(service, name, &input).unwrap();
    call(
        "ECS",
        "CreateService",
        json!({
            "cluster": "shop", "serviceName": "plain", "taskDefinition": "orders:1", "desiredCount": 0, "launchType": "FARGATE",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        }),
    );
    let other = world.refusal(|plan| plan.settings["service"] = json!("plain")).await;
    assert!(other.words.contains("has the deployment controller ECS: use `strategy: ecs-native`"), "{other}");
    let spec = super::super::AppSpec::of_container("app", 8080).with("orders:1");
    call(
        "CodeDeploy",
        "CreateDeployment",
        json!({
            "applicationName": "shop", "deploymentGroupName": "orders", "description": "by hand",
            "revision": { "revisionType": "AppSpecContent", "appSpecContent": { "content": spec } },
        }),
    );
    let busy = world.refusal(|_| {}).await;
    assert!(busy.words.contains("(by hand) of group orders goes on, and CodeDeploy takes one at a time"), "{busy}");
    let started = world.perform(None, Call::StartGreen).await.unwrap_err();
    assert!(started.words.contains("(by hand)") && !started.is_transient, "{started}");
}
