//! The action with `strategy: codedeploy` and `ecs-native`: what a dry run says, what comes out, what is refused.
//! Which steps `pipe check` refuses, and where, is `tests/cases/mistakes/action-strategy.yml`.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::SystemClock;
use engine::step::trial::Tried;
use fake_aws::Options;
use serde_json::{Value, json};

use super::tests::{Place, failed};
use crate::target::ecs::stage::{STANDS, Stage, definition, text};

/// Changes of AWS's state that a deployment would make.
const CHANGES: [&str; 6] = [
    "ECS.RegisterTaskDefinition",
    "ECS.UpdateService",
    "CodeDeploy.CreateDeployment",
    "CodeDeploy.CreateDeploymentConfig",
    "CodeDeploy.ContinueDeployment",
    "ELBv2.ModifyRule",
];

/// A cluster with a service that CodeDeploy deploys and one that ECS shifts, `by-codedeploy` and `by-ecs`.
pub(super) fn place() -> Place {
    // AWS's clock is fast; rollouts ask once a second of everybody's, so they go by that.
    Place::by(stage(), Arc::new(SystemClock))
}

/// The same, where minutes pass as fast for rollouts as they do for AWS.
pub(in crate::action) fn fast_place() -> Place {
    Place::on(stage())
}

fn stage() -> Stage {
    let stage = Stage::of(Options { speed: 60.0, ..Options::default() }, &definition(STANDS));
    let call = |service: &str, name: &str, input: Value| stage.fake.call(service, name, &input).unwrap();
    let balancer = text(&call("ELBv2", "DescribeLoadBalancers", json!({})), "/LoadBalancers/0/LoadBalancerArn");
    let group = |name: String| {
        let input = json!({
            "Name": name, "Protocol": "HTTP", "Port": 8080, "TargetType": "ip", "VpcId": "vpc-1", "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
        });
        text(&call("ELBv2", "CreateTargetGroup", input), "/TargetGroups/0/TargetGroupArn")
    };
    for (at, name) in ["by-codedeploy", "by-ecs"].into_iter().enumerate() {
        let groups = ["blue", "green"].map(|colour| group(format!("{name}-{colour}")));
        let listeners = [8000, 9000].map(|port| {
            let forward = json!([{ "Type": "forward", "TargetGroupArn": groups[0] }]);
            let input = json!({ "LoadBalancerArn": balancer, "Port": port + at, "Protocol": "HTTP", "DefaultActions": forward });
            text(&call("ELBv2", "CreateListener", input), "/Listeners/0/ListenerArn")
        });
        let rules = listeners
            .each_ref()
            .map(|arn| text(&call("ELBv2", "DescribeRules", json!({ "ListenerArn": arn })), "/Rules/0/RuleArn"));
        let mut service = json!({
            "cluster": "shop", "serviceName": name, "taskDefinition": "orders:1", "desiredCount": 2, "launchType": "FARGATE",
            "healthCheckGracePeriodSeconds": 300,
            "loadBalancers": [{ "targetGroupArn": groups[0], "containerName": "app", "containerPort": 8080 }],
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        });
        if name == "by-ecs" {
            service["deploymentConfiguration"] = json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0 });
            service["loadBalancers"][0]["advancedConfiguration"] = json!({
                "alternateTargetGroupArn": groups[1], "productionListenerRule": rules[0], "testListenerRule": rules[1],
                "roleArn": "arn:aws:iam::123456789012:role/ecs",
            });
        } else {
            service["deploymentController"] = json!({ "type": "CODE_DEPLOY" });
        }
        call("ECS", "CreateService", service);
        if name == "by-codedeploy" {
            deployment_group(&stage, name, &listeners);
        }
    }
    stage.fake.advance(Duration::from_secs(600));
    stage
}

/// Application and group by the names that nobody has to write.
fn deployment_group(stage: &Stage, service: &str, listeners: &[String; 2]) {
    let application = format!("AppECS-shop-{service}");
    let call = |name: &str, input: &Value| stage.fake.call("CodeDeploy", name, input).unwrap();
    call("CreateApplication", &json!({ "applicationName": application, "computePlatform": "ECS" }));
    let pair = json!({
        "targetGroups": [{ "name": format!("{service}-blue") }, { "name": format!("{service}-green") }],
        "prodTrafficRoute": { "listenerArns": [listeners[0]] }, "testTrafficRoute": { "listenerArns": [listeners[1]] },
    });
    let input = json!({
        "applicationName": application, "deploymentGroupName": format!("DgpECS-shop-{service}"),
        "serviceRoleArn": "arn:aws:iam::123456789012:role/cd",
        "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "ecsServices": [{ "clusterName": "shop", "serviceName": service }],
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 30 },
            "deploymentReadyOption": { "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30 },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [pair] },
    });
    call("CreateDeploymentGroup", &input);
}

pub(super) async fn run(place: &Place, step: &str, service: &str, given: &[(&str, &str)]) -> Tried {
    let strategy = if service == "by-ecs" { "ecs-native" } else { "codedeploy" };
    let mut inputs = vec![("service", service), ("strategy", strategy), ("listener-rule", ""), ("steps", "")];
    inputs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    inputs.extend(given);
    place.run(step, &inputs).await
}

const CANARY: &str = "- { weight: 20, for: 7m }\n- { weight: 100, bake: 5m }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_each_call_and_makes_none() {
    let place = place();
    let appspec = "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: x\n\
                   \x20       LoadBalancerInfo: { ContainerName: app, ContainerPort: 8080 }\n";
    std::fs::write(place.workspace().join("appspec.yaml"), appspec).unwrap();
    let given = [("dry-run", "true"), ("steps", CANARY), ("codedeploy-appspec", "appspec.yaml")];
    let dry = run(&place, "v1", "by-codedeploy", &given).await;
    assert!(dry.result.is_ok(), "{:?}\n{}", dry.result, dry.log);
    for part in [
        "CodeDeploy   group DgpECS-shop-by-codedeploy of AppECS-shop-by-codedeploy: 20 %",
        "gate         before the first user, 30 min at most",
        "plan hash    sha256:",
        "1. ecs:RegisterTaskDefinition family=orders image=r.example/orders@sha256:aaaa",
        "2. codedeploy:CreateDeploymentConfig name=pipe-canary-20-percent-7-minutes",
        "3. codedeploy:CreateDeployment application=AppECS-shop-by-codedeploy group=DgpECS-shop-by-codedeploy",
        "4. codedeploy:ContinueDeployment wait=READY_WAIT",
        "5. codedeploy:ContinueDeployment wait=TERMINATION_WAIT (after 25m)",
    ] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    let given = [("dry-run", "true"), ("keep-blue", "10m"), ("hooks", "AfterInstall: ./smoke.sh")];
    let dry = run(&place, "v1", "by-ecs", &given).await;
    assert!(dry.result.is_ok(), "{:?}\n{}", dry.result, dry.log);
    for part in [
        "service      by-ecs in cluster shop",
        "2. ecs:UpdateService cluster=shop service=by-ecs taskDefinition=orders:<new>",
        "bake 15 min)",
        "3. ecs:ContinueServiceDeployment action=CONTINUE (before the first user)",
    ] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    assert_eq!(CHANGES.map(|call| place.stage.fake.effects(call)), [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_out_is_what_aws_made() {
    let place = place();
    let given = [("steps", "- { weight: 100, bake: 1s }"), ("tick", "1s")];
    let (by_codedeploy, by_ecs) = tokio::join!(
        run(&place, "codedeploy", "by-codedeploy", &given),
        run(
            &place,
            "native",
            "by-ecs",
            &[("steps", "- { weight: 100, bake: 1s }"), ("tick", "1s"), ("keep-blue", "1m")]
        )
    );
    for tried in [&by_codedeploy, &by_ecs] {
        assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
        let out = |name: &str| tried.outputs[name].as_str();
        assert_eq!((out("status"), out("final-weight"), out("color")), ("succeeded", "100", "green"));
        assert_eq!(out("previous-image"), STANDS);
        assert!(out("task-definition-arn").contains(":task-definition/orders:"), "{:?}", tried.outputs);
    }
    let id = &by_codedeploy.outputs["codedeploy-deployment-id"];
    let found = place.stage.fake.call("CodeDeploy", "GetDeployment", &json!({ "deploymentId": id })).unwrap();
    let description = text(&found, "/deploymentInfo/description");
    let number = &by_codedeploy.outputs["deployment-id"];
    assert!(id.starts_with("d-") && description.contains(&format!("[pipe:{number}-")), "{description}");
    assert!(!by_ecs.outputs.contains_key("codedeploy-deployment-id"), "{:?}", by_ecs.outputs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_lacks_is_said_before_anything_is_done() {
    let place = place();
    std::fs::write(place.workspace().join("appspec.yaml"), "version: 0.0\nResources: [{ TargetService: {} }]\n")
        .unwrap();
    let codedeploy = async |given: &[(&str, &str)], parts: &[&str]| {
        failed(&run(&place, "v1", "by-codedeploy", given).await, parts);
    };
    let named = "Resources[0].TargetService.Properties.LoadBalancerInfo.ContainerName: missing";
    codedeploy(&[("codedeploy-appspec", "appspec.yaml")], &["appspec.yaml: ", named]).await;
    codedeploy(&[("codedeploy-appspec", "none.yaml")], &["`codedeploy-appspec: none.yaml` cannot be read"]).await;
    codedeploy(&[("codedeploy-application", "other")], &["other"]).await;
    codedeploy(&[("codedeploy-deployment-group", "other")], &["other"]).await;
    codedeploy(&[("codedeploy-deployment-config", "Mine")], &["Mine"]).await;
    codedeploy(&[("desired-count", "2")], &["`desired-count` is not for `codedeploy`"]).await;
    codedeploy(
        &[("listener-rule", place.stage.listener.as_str())],
        &["`listener-rule` is for strategy `weighted`, and this one is `codedeploy`"],
    )
    .await;
    codedeploy(&[("steps", CANARY), ("codedeploy-deployment-config", "Mine")], &["say the same: write one of them"])
        .await;
    codedeploy(&[("keep-blue", "2h")], &["ends the old tasks 30 min", "terminationWaitTimeInMinutes"]).await;
    let native = async |given: &[(&str, &str)], parts: &[&str]| {
        failed(&run(&place, "v1", "by-ecs", given).await, parts);
    };
    native(&[("keep-blue", "24h")], &["`bake` and `keep-blue` together are 1445 min", "1440 min at most"]).await;
    native(&[("codedeploy-application", "x")], &["is for strategy `codedeploy`, and this one is `ecs-native`"]).await;
    native(&[("service", "orders-a")], &["orders-a has no `alternateTargetGroupArn`", "`strategy: rolling`"]).await;
    native(&[("service", "none")], &["there is no service `none` in eu-central-1"]).await;
    let three = "- { weight: 10 }\n- { weight: 50 }\n- { weight: 100 }";
    codedeploy(
        &[("steps", three)],
        &["CodeDeploy shifts in two or in equal parts: 10/50/100 needs `strategy: weighted`"],
    )
    .await;
    assert_eq!(CHANGES.map(|call| place.stage.fake.effects(call)), [0; 6]);
}
