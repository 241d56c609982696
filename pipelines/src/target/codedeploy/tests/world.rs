//! A service of CodeDeploy behind a fake of AWS.

use std::sync::Arc;
use std::time::Duration;

use fake_aws::Options;
use serde_json::{Value, json};

use super::super::{AppSpec, CodeDeployed, Settings};
use crate::target::Quiet;
use crate::target::live::{ACCOUNT, IMAGE, Place, Stage, definition};
use crate::target::paced::Parts;

const GROUP: &str = "orders";

/// A service with two tasks in a fake's mind, and a group that waits before users come; `more` is of the group.
pub(super) fn stage(more: Value) -> Stage {
    let options = Options { speed: 60.0, ..Options::default() };
    let stage = with(options, more, [definition("r.example/orders:1"), definition(IMAGE)]);
    stage.fake.advance(Duration::from_secs(300));
    stage
}

/// With what stands and what is deployed.
pub(super) fn with(options: Options, more: Value, both: [Value; 2]) -> Stage {
    let target = |clouds, clock: Arc<_>| {
        let target = CodeDeployed::new(clouds, Arc::clone(&clock));
        Arc::new(Quiet::new(target, clock)) as Arc<_>
    };
    Stage::new(options, both, (CodeDeployed::NAME, target), |place| set(place, &more))
}

fn set(place: &Place<'_>, more: &Value) -> Value {
    place.call("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "orders", "taskDefinition": "orders:1", "desiredCount": 2, "launchType": "FARGATE",
            "healthCheckGracePeriodSeconds": 300,
        "deploymentController": { "type": "CODE_DEPLOY" },
        "loadBalancers": [{ "targetGroupArn": place.groups[0], "containerName": "app", "containerPort": 8080 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    }));
    place.call("CodeDeploy", "CreateApplication", json!({ "applicationName": "shop", "computePlatform": "ECS" }));
    let mut input = json!({
        "applicationName": "shop", "deploymentGroupName": GROUP, "serviceRoleArn": "arn:aws:iam::123456789012:role/cd",
        "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "ecsServices": [{ "clusterName": "shop", "serviceName": "orders" }],
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 60 },
            "deploymentReadyOption": { "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30 },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [{
            "targetGroups": [{ "name": "shop-blue" }, { "name": "shop-green" }],
            "prodTrafficRoute": { "listenerArns": [place.listeners[0]] },
            "testTrafficRoute": { "listenerArns": [place.listeners[1]] },
        }]},
    });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    place.call("CodeDeploy", "CreateDeploymentGroup", input);
    let settings = Settings {
        account: ACCOUNT.into(),
        region: "eu-central-1".into(),
        cluster: "shop".into(),
        service: "orders".into(),
        application: "shop".into(),
        group: GROUP.into(),
        config: None,
        parts: Parts::Two(100, 5),
        container: "app".into(),
        task_definition: Value::Null,
        app_spec: AppSpec::of_container("app", 8080).json().clone(),
        description: String::new(),
        alarms: Vec::new(),
        overrides_alarms: false,
    };
    serde_json::to_value(settings).unwrap()
}

/// The newest deployment that has our mark.
pub(super) fn deployment(stage: &Stage) -> Value {
    let input = json!({ "applicationName": "shop", "deploymentGroupName": GROUP });
    let all = stage.fake.call("CodeDeploy", "ListDeployments", &input).unwrap();
    let described = |id: &Value| {
        stage.fake.call("CodeDeploy", "GetDeployment", &json!({ "deploymentId": id })).unwrap()["deploymentInfo"]
            .clone()
    };
    let mut infos = all["deployments"].as_array().unwrap().iter().map(described);
    infos.find(|info| info["description"].as_str().is_some_and(|text| text.contains("[pipe:"))).unwrap()
}
