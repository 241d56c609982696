//! CodeDeploy: what is asked, what is read, and what is found again.

use super::cloud::{cloud, json, json_error, wait};
use super::*;
use crate::{Group, NewDeployment, Routing, Status, Wait};

fn new() -> NewDeployment {
    NewDeployment {
        application: "shop".into(),
        group: "orders".into(),
        config: None,
        app_spec: "{}".into(),
        description: "[pipe:7:0a]".into(),
        alarms: vec!["orders-5xx".into()],
    }
}

#[test]
fn a_deployment_goes_back_by_itself_and_is_asked_for_once() {
    let (endpoint, got) = server(vec![json(r#"{"deploymentId":"d-1"}"#)]);
    assert_eq!(wait(cloud(&endpoint).codedeploy().create(&new())).unwrap(), "d-1");
    let got = got.recv().unwrap();
    assert_eq!(got.header("x-amz-target"), "CodeDeploy_20141006.CreateDeployment");
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["revision"]["appSpecContent"]["content"], "{}");
    let events = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"];
    assert_eq!(body["autoRollbackConfiguration"], serde_json::json!({ "enabled": true, "events": events }));
    assert_eq!(body["overrideAlarmConfiguration"]["alarms"][0]["name"], "orders-5xx");
    assert_eq!(body.get("deploymentConfigName"), None);
    let (endpoint, got) = server(vec![("500 Oh", String::new())]);
    let lost = wait(cloud(&endpoint).codedeploy().create(&new())).unwrap_err();
    assert!(lost.is_uncertain && got.try_iter().count() == 1, "{lost}");
    let message = "The Deployment Group 'orders' already has an active Deployment 'd-2'";
    let (endpoint, _got) = server(vec![json_error("DeploymentLimitExceededException", message)]);
    let busy = wait(cloud(&endpoint).codedeploy().create(&new())).unwrap_err();
    assert!(busy.words.contains("deploys something already") && busy.words.contains("'d-2'"), "{busy}");
    assert!(!busy.is_for_now);
}

#[test]
fn deployments_and_targets_are_read() {
    let info = r#"{"deploymentInfo":{"deploymentId":"d-1","status":"Stopped","description":"x","instanceTerminationWaitTimeStarted":false,
        "errorInformation":{"code":"MANUAL_STOP","message":"m"},
        "rollbackInfo":{"rollbackDeploymentId":"d-2","rollbackTriggeringDeploymentId":"d-1"}}}"#;
    let (endpoint, _got) =
        server(vec![json(info), json(&info.replace("\"deploymentId\":\"d-1\"", "\"deploymentId\":\"d-2\""))]);
    let deploys = cloud(&endpoint).codedeploy();
    let one = wait(deploys.deployment("d-1")).unwrap();
    assert_eq!((one.status, one.goes_back_by.as_deref()), (Status::Stopped, Some("d-2")));
    assert_eq!(one.error, Some(("MANUAL_STOP".to_owned(), "m".to_owned())));
    assert_eq!(wait(deploys.deployment("d-2")).unwrap().goes_back_by, None, "a rollback names itself");
    let target = r#"{"deploymentTarget":{"ecsTarget":{"lifecycleEvents":[{"lifecycleEventName":"Install","status":"Succeeded"},
        {"lifecycleEventName":"AfterInstall","status":"Failed","diagnostics":{"message":"no"}}],
        "taskSetsInfo":[{"taskSetLabel":"Green","desiredCount":2,"runningCount":1,"pendingCount":1,"status":"ACTIVE","trafficWeight":12.5,
        "targetGroup":{"name":"shop-green"}}]}}}"#;
    let (endpoint, got) =
        server(vec![json(target), json_error("DeploymentNotStartedException", "The deployment has not started")]);
    let deploys = cloud(&endpoint).codedeploy();
    let found = wait(deploys.target("d-1", "shop:orders")).unwrap().unwrap();
    assert!(found.is_done("Install") && !found.is_done("AfterInstall"));
    assert_eq!(found.events[1].failed.as_deref(), Some("no"));
    let green = found.green.unwrap();
    assert_eq!((green.weight, green.running, green.group.as_str(), green.is_primary), (125, 1, "shop-green", false));
    assert_eq!(wait(deploys.target("d-1", "shop:orders")).unwrap(), None);
    assert!(got.recv().unwrap().body.contains("shop:orders"));
}

#[test]
fn a_group_is_read() {
    let body = r#"{"deploymentGroupInfo":{"computePlatform":"ECS","deploymentConfigName":"c","ecsServices":[{"clusterName":"shop",
        "serviceName":"orders"}],"blueGreenDeploymentConfiguration":{"terminateBlueInstancesOnDeploymentSuccess":{"action":"TERMINATE",
        "terminationWaitTimeInMinutes":60},"deploymentReadyOption":{"actionOnTimeout":"STOP_DEPLOYMENT","waitTimeInMinutes":30}},
        "alarmConfiguration":{"enabled":true,"alarms":[{"name":"5xx"}]},"loadBalancerInfo":{"targetGroupPairInfoList":[{"targetGroups":
        [{"name":"a"},{"name":"b"}],"prodTrafficRoute":{"listenerArns":["l"]},"testTrafficRoute":{"listenerArns":["t"]}}]}}}"#;
    let server_platform = r#"{"deploymentGroupInfo":{"computePlatform":"Lambda"}}"#;
    let (endpoint, _got) = server(vec![json(body), json(server_platform)]);
    let deploys = cloud(&endpoint).codedeploy();
    let expected = Group {
        cluster: "shop".into(),
        service: "orders".into(),
        config: "c".into(),
        waits: Some(30),
        keeps: Some(60),
        target_groups: vec!["a".into(), "b".into()],
        listener: "l".into(),
        has_test_listener: true,
        alarms: vec!["5xx".into()],
    };
    assert_eq!(wait(deploys.group("shop", "orders")).unwrap(), expected);
    let other = wait(deploys.group("shop", "orders")).unwrap_err();
    assert!(other.words.contains("deploys to Lambda"), "{other}");
}

#[test]
fn configurations_have_names_that_say_what_they_do() {
    let routing = Routing::Canary { percent: 20, minutes: 7 };
    let missing = json_error("DeploymentConfigDoesNotExistException", "none");
    let (endpoint, got) = server(vec![missing, json(r#"{"deploymentConfigId":"1"}"#)]);
    assert_eq!(wait(cloud(&endpoint).codedeploy().config_for(routing)).unwrap(), "pipe-canary-20-percent-7-minutes");
    let made: serde_json::Value = serde_json::from_str(&got.try_iter().last().unwrap().body).unwrap();
    assert_eq!(
        made["trafficRoutingConfig"]["timeBasedCanary"],
        serde_json::json!({ "canaryPercentage": 20, "canaryInterval": 7 })
    );
    let (endpoint, got) = server(vec![]);
    let known = Routing::Linear { percent: 10, minutes: 3 };
    let name = wait(cloud(&endpoint).codedeploy().config_for(known)).unwrap();
    assert_eq!(name, "CodeDeployDefault.ECSLinear10PercentEvery3Minutes");
    assert_eq!(got.try_iter().count(), 0, "AWS has it");
}

#[test]
fn what_waits_is_told_to_go_on() {
    let (endpoint, got) = server(vec![json("{}"), json("{}"), json(r#"{"status":"Pending"}"#)]);
    let deploys = cloud(&endpoint).codedeploy();
    wait(deploys.go_on("d-1", Wait::Ready)).unwrap();
    wait(deploys.go_on("d-1", Wait::Termination)).unwrap();
    wait(deploys.stop("d-1")).unwrap();
    let bodies: Vec<String> = got.try_iter().map(|one| one.body).collect();
    assert!(bodies[0].contains("READY_WAIT") && bodies[1].contains("TERMINATION_WAIT"), "{bodies:?}");
    assert!(bodies[2].contains("\"autoRollbackEnabled\":true"), "{bodies:?}");
}
