//! Deployments of CodeDeploy on the virtual clock.

use serde_json::{Value, json};

use crate::stage::{Stage, text};

/// Names and states of a target's events; labels, weights and states of its task sets.
type Target = (Vec<(String, String)>, Vec<(String, f64, String)>);

struct Deploys {
    stage: Stage,
}

impl Deploys {
    fn new(more: Value) -> Self {
        let stage = Stage::new();
        stage.serve(json!({ "deploymentController": { "type": "CODE_DEPLOY" } }));
        stage.seconds(20);
        stage.call("CodeDeploy", "CreateApplication", json!({ "applicationName": "shop", "computePlatform": "ECS" }));
        let mut input = json!({
            "applicationName": "shop", "deploymentGroupName": "orders", "serviceRoleArn": "arn:aws:iam::123456789012:role/cd",
            "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
            "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
            "ecsServices": [{ "clusterName": "shop", "serviceName": "orders" }],
            "autoRollbackConfiguration": { "enabled": true, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"] },
            "blueGreenDeploymentConfiguration": {
                "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 5 },
                "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0 },
            },
            "loadBalancerInfo": { "targetGroupPairInfoList": [{
                "targetGroups": [{ "name": "shop-blue" }, { "name": "shop-green" }],
                "prodTrafficRoute": { "listenerArns": [stage.listener] },
                "testTrafficRoute": { "listenerArns": [stage.test_listener] },
            }]},
        });
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        stage.call("CodeDeploy", "CreateDeploymentGroup", input);
        Self { stage }
    }

    fn input(&self, definition: &str, hooks: &Value) -> Value {
        let spec = json!({
            "version": 0.0, "Hooks": hooks,
            "Resources": [{ "TargetService": { "Type": "AWS::ECS::Service", "Properties": {
                "TaskDefinition": definition, "LoadBalancerInfo": { "ContainerName": "app", "ContainerPort": 8080 },
            }}}],
        });
        json!({
            "applicationName": "shop", "deploymentGroupName": "orders", "description": "pipe:7:1",
            "revision": { "revisionType": "AppSpecContent", "appSpecContent": { "content": spec.to_string() } },
        })
    }

    fn begin(&self, definition: &str, hooks: Value) -> String {
        text(&self.stage.call("CodeDeploy", "CreateDeployment", self.input(definition, &hooks)), "/deploymentId")
    }

    fn info(&self, id: &str) -> Value {
        self.stage.call("CodeDeploy", "GetDeployment", json!({ "deploymentId": id }))["deploymentInfo"].clone()
    }

    fn status(&self, id: &str) -> String {
        text(&self.info(id), "/status")
    }

    fn target(&self, id: &str) -> Target {
        let input = json!({ "deploymentId": id, "targetId": "shop:orders" });
        let target =
            self.stage.call("CodeDeploy", "GetDeploymentTarget", input)["deploymentTarget"]["ecsTarget"].clone();
        let events = target["lifecycleEvents"].as_array().unwrap().iter();
        let sets = target["taskSetsInfo"].as_array().unwrap().iter();
        (
            events.map(|one| (text(one, "/lifecycleEventName"), text(one, "/status"))).collect(),
            sets.map(|one| (text(one, "/taskSetLabel"), one["trafficWeight"].as_f64().unwrap(), text(one, "/status")))
                .collect(),
        )
    }

    fn event(&self, id: &str, name: &str) -> String {
        self.target(id).0.into_iter().find(|(known, _)| known == name).map(|(_, status)| status).unwrap()
    }
}

fn set(label: &str, weight: f64, status: &str) -> (String, f64, String) {
    (label.to_owned(), weight, status.to_owned())
}

#[test]
fn a_canary_shifts_waits_and_ends_the_old_tasks() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    assert_eq!(stage.health(&stage.blue), ["healthy", "healthy"]);
    let id = deploys.begin(&stage.define("app:2"), json!([]));
    assert!(id.starts_with("d-") && id.len() == 11, "{id}");
    assert_eq!(deploys.status(&id), "Created");
    let early = stage.refused("CodeDeploy", "ListDeploymentTargets", json!({ "deploymentId": id }));
    assert_eq!(early.0, "DeploymentNotStartedException");
    stage.seconds(1);
    assert_eq!(deploys.status(&id), "Queued");
    stage.seconds(1);
    assert_eq!(deploys.status(&id), "InProgress");
    assert_eq!(deploys.event(&id, "Install"), "InProgress");
    stage.seconds(10);
    // Green is up, tests and a tenth of the users reach it.
    assert_eq!(stage.weights(&stage.test_rule), (0, 100));
    assert_eq!(stage.weights(&stage.rule), (90, 10));
    assert_eq!(deploys.target(&id).1, [set("Blue", 90.0, "PRIMARY"), set("Green", 10.0, "ACTIVE")]);
    stage.seconds(4 * 60);
    assert_eq!(stage.weights(&stage.rule), (90, 10));
    stage.seconds(60);
    assert_eq!(stage.weights(&stage.rule), (0, 100));
    assert_eq!(deploys.status(&id), "Baking");
    assert_eq!(deploys.target(&id).1, [set("Blue", 0.0, "ACTIVE"), set("Green", 100.0, "PRIMARY")]);
    assert!(deploys.target(&id).0.iter().all(|(_, status)| status == "Succeeded"));
    stage.seconds(5 * 60);
    assert_eq!(deploys.status(&id), "Succeeded");
    stage.seconds(30);
    assert_eq!(stage.health(&stage.blue), Vec::<String>::new());
    assert_eq!(stage.service()["taskSets"].as_array().unwrap().len(), 1);
    assert_eq!(text(&stage.service(), "/taskDefinition"), stage.define("app:2").replace(":3", ":2"));

    // The next one goes the other way.
    let id = deploys.begin("shop:1", json!([]));
    stage.seconds(15);
    assert_eq!(stage.weights(&stage.rule), (10, 90));
    stage.seconds(15 * 60);
    assert_eq!(deploys.status(&id), "Succeeded");
    assert_eq!(stage.weights(&stage.rule), (100, 0));
}

#[test]
fn linear_and_own_configurations_shift_as_they_say() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    let routing =
        json!({ "type": "TimeBasedLinear", "timeBasedLinear": { "linearPercentage": 30, "linearInterval": 2 } });
    let config = json!({ "deploymentConfigName": "thirds", "computePlatform": "ECS", "trafficRoutingConfig": routing });
    stage.call("CodeDeploy", "CreateDeploymentConfig", config.clone());
    assert_eq!(
        stage.refused("CodeDeploy", "CreateDeploymentConfig", config).0,
        "DeploymentConfigAlreadyExistsException"
    );
    let steps =
        json!({ "type": "TimeBasedCanary", "timeBasedCanary": { "canaryPercentage": 100, "canaryInterval": 1 } });
    let config = json!({ "deploymentConfigName": "bad", "computePlatform": "ECS", "trafficRoutingConfig": steps });
    assert_eq!(
        stage.refused("CodeDeploy", "CreateDeploymentConfig", config).0,
        "InvalidTrafficRoutingConfigurationException"
    );
    let mut input = deploys.input("shop:1", &json!([]));
    input["deploymentConfigName"] = json!("thirds");
    stage.call("CodeDeploy", "CreateDeployment", input);
    stage.seconds(15);
    for expected in [30, 60, 90, 100, 100] {
        assert_eq!(stage.weights(&stage.rule).1, expected);
        stage.seconds(120);
    }
}

#[test]
fn one_deployment_at_a_time_and_refusals_have_their_names() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    let good = deploys.input("shop:1", &json!([]));
    for (key, value, code) in [
        ("applicationName", json!("other"), "ApplicationDoesNotExistException"),
        ("deploymentGroupName", json!("other"), "DeploymentGroupDoesNotExistException"),
        ("deploymentGroupName", Value::Null, "DeploymentGroupNameRequiredException"),
        ("revision", Value::Null, "RevisionRequiredException"),
        (
            "revision",
            json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": "a: [" } }),
            "InvalidRevisionException",
        ),
        ("deploymentConfigName", json!("none"), "DeploymentConfigDoesNotExistException"),
        ("description", json!("x".repeat(513)), "DescriptionTooLongException"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert_eq!(stage.refused("CodeDeploy", "CreateDeployment", bad).0, code);
    }
    let id = deploys.begin("shop:1", json!([]));
    let (code, message) = stage.refused("CodeDeploy", "CreateDeployment", good);
    assert_eq!(code, "DeploymentLimitExceededException");
    assert!(message.contains(&id), "{message}");
    let missing = json!({ "deploymentId": "d-NONE00000" });
    assert_eq!(stage.refused("CodeDeploy", "GetDeployment", missing).0, "DeploymentDoesNotExistException");
    let wait = json!({ "deploymentId": id, "deploymentWaitType": "READY_WAIT" });
    assert_eq!(stage.refused("CodeDeploy", "ContinueDeployment", wait).0, "DeploymentIsNotInReadyStateException");
    let wait = json!({ "deploymentId": id, "deploymentWaitType": "TERMINATION_WAIT" });
    assert_eq!(stage.refused("CodeDeploy", "ContinueDeployment", wait).0, "InvalidDeploymentStatusException");
    let update = json!({ "cluster": "shop", "service": "orders", "taskDefinition": "shop:1" });
    let (code, message) = stage.refused("ECS", "UpdateService", update);
    assert_eq!(code, "InvalidParameterException");
    assert!(
        message.contains("Unable to update task definition on services with a CODE_DEPLOY deployment controller"),
        "{message}"
    );
    let listed = stage.call("CodeDeploy", "ListDeployments", json!({
        "applicationName": "shop", "deploymentGroupName": "orders", "includeOnlyStatuses": ["Created", "Queued", "InProgress"],
    }));
    assert_eq!(listed["deployments"], json!([id]));
}

#[test]
fn stopping_goes_back_by_a_deployment_of_its_own() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    let id = deploys.begin(&stage.define("app:2"), json!([]));
    stage.seconds(15);
    assert_eq!(stage.weights(&stage.rule), (90, 10));
    let stop = stage.call("CodeDeploy", "StopDeployment", json!({ "deploymentId": id, "autoRollbackEnabled": true }));
    assert_eq!(text(&stop, "/status"), "Pending");
    assert_eq!(deploys.status(&id), "InProgress", "it stops at the next moment");
    stage.seconds(1);
    let info = deploys.info(&id);
    assert_eq!(
        (text(&info, "/status"), text(&info, "/errorInformation/code")),
        ("Stopped".to_owned(), "MANUAL_STOP".to_owned())
    );
    let back = text(&info, "/rollbackInfo/rollbackDeploymentId");
    assert_eq!(text(&info, "/rollbackInfo/rollbackTriggeringDeploymentId"), id);
    let of_back = deploys.info(&back);
    assert_eq!(text(&of_back, "/creator"), "codeDeployRollback");
    assert_eq!(text(&of_back, "/rollbackInfo/rollbackTriggeringDeploymentId"), id);
    let busy = stage.refused("CodeDeploy", "CreateDeployment", deploys.input("shop:1", &json!([])));
    assert!(busy.1.contains(&back), "{busy:?}");
    stage.seconds(3);
    assert_eq!(deploys.status(&back), "Succeeded");
    assert_eq!((stage.weights(&stage.rule), stage.weights(&stage.test_rule)), ((100, 0), (100, 0)));
    stage.seconds(20);
    assert_eq!(stage.health(&stage.green), Vec::<String>::new());
    assert_eq!(stage.health(&stage.blue), ["healthy", "healthy"]);
    let again = stage.refused("CodeDeploy", "StopDeployment", json!({ "deploymentId": id }));
    assert_eq!(again.0, "DeploymentAlreadyCompletedException");
}

#[test]
fn without_a_rollback_a_stopped_deployment_leaves_what_there_is() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    let id = deploys.begin(&stage.define("app:2"), json!([]));
    stage.seconds(15);
    stage.call("CodeDeploy", "StopDeployment", json!({ "deploymentId": id, "autoRollbackEnabled": false }));
    stage.seconds(60);
    assert_eq!(deploys.info(&id).get("rollbackInfo"), None);
    assert_eq!(stage.weights(&stage.rule), (90, 10));
}

#[test]
fn the_gate_before_traffic_waits_for_somebody() {
    let ready = json!({ "blueGreenDeploymentConfiguration": {
        "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 60 },
        "deploymentReadyOption": { "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30 },
    }});
    let deploys = Deploys::new(ready.clone());
    let stage = &deploys.stage;
    let id = deploys.begin(&stage.define("app:2"), json!([]));
    stage.seconds(15);
    assert_eq!(deploys.status(&id), "Ready");
    assert_eq!((stage.weights(&stage.rule), stage.weights(&stage.test_rule)), ((100, 0), (0, 100)));
    stage.call("CodeDeploy", "ContinueDeployment", json!({ "deploymentId": id, "deploymentWaitType": "READY_WAIT" }));
    stage.seconds(1);
    assert_eq!(stage.weights(&stage.rule), (90, 10));
    stage.seconds(301);
    assert_eq!(deploys.status(&id), "Baking");
    assert_eq!(deploys.info(&id)["instanceTerminationWaitTimeStarted"], true);
    // Nobody has to wait the hour for the old tasks.
    stage.call(
        "CodeDeploy",
        "ContinueDeployment",
        json!({ "deploymentId": id, "deploymentWaitType": "TERMINATION_WAIT" }),
    );
    stage.seconds(1);
    assert_eq!(deploys.status(&id), "Succeeded");

    let deploys = Deploys::new(ready);
    let id = deploys.begin(&deploys.stage.define("app:2"), json!([]));
    deploys.stage.seconds(31 * 60);
    assert_eq!(deploys.status(&id), "Stopped", "nobody came");
}

#[test]
fn functions_at_hooks_decide() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    stage.fake.set_function("smoke", Some(true));
    stage.fake.set_function("slow", None);
    let hooks = json!([{ "AfterAllowTestTraffic": "smoke" }, { "AfterAllowTraffic": "arn:aws:lambda:eu-central-1:123456789012:function:slow" }]);
    let id = deploys.begin(&stage.define("app:2"), hooks);
    stage.seconds(400);
    assert_eq!(deploys.event(&id, "AfterAllowTestTraffic"), "Succeeded");
    assert_eq!(deploys.event(&id, "AfterAllowTraffic"), "InProgress");
    let calls = stage.fake.function_calls();
    assert_eq!(calls.iter().map(|call| text(call, "/function")).collect::<Vec<_>>(), ["smoke", "slow"]);
    let execution = text(&calls[1], "/event/LifecycleEventHookExecutionId");
    let answer = |execution: &str, status: &str| json!({ "deploymentId": id, "lifecycleEventHookExecutionId": execution, "status": status });
    let put = "PutLifecycleEventHookExecutionStatus";
    assert_eq!(
        stage.refused("CodeDeploy", put, answer("x", "Succeeded")).0,
        "InvalidLifecycleEventHookExecutionIdException"
    );
    assert_eq!(
        stage.refused("CodeDeploy", put, answer(&execution, "Skipped")).0,
        "InvalidLifecycleEventHookExecutionStatusException"
    );
    stage.call("CodeDeploy", put, answer(&execution, "Failed"));
    stage.seconds(1);
    let info = deploys.info(&id);
    assert_eq!(
        (text(&info, "/status"), text(&info, "/errorInformation/code")),
        ("Failed".to_owned(), "HOOK_EXECUTION_FAILURE".to_owned())
    );
    assert_eq!(deploys.event(&id, "AfterAllowTraffic"), "Failed");
    stage.seconds(5);
    assert_eq!(stage.weights(&stage.rule), (100, 0), "the group rolls back");
    assert_eq!(text(&stage.service(), "/taskDefinition").rsplit(':').next(), Some("1"));
}

#[test]
fn an_alarm_ends_a_deployment() {
    let alarms = json!({ "enabled": true, "alarms": [{ "name": "orders-5xx" }] });
    let deploys = Deploys::new(json!({ "alarmConfiguration": alarms }));
    let stage = &deploys.stage;
    stage.call("CloudWatch", "PutMetricAlarm", json!({
        "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    }));
    let id = deploys.begin(&stage.define("app:2"), json!([]));
    stage.seconds(60);
    assert_eq!(deploys.status(&id), "InProgress");
    stage.call(
        "CloudWatch",
        "PutMetricData",
        json!({ "Namespace": "Shop", "MetricData": [{ "MetricName": "Errors", "Value": 6.0 }] }),
    );
    stage.seconds(1);
    let info = deploys.info(&id);
    assert_eq!(
        (text(&info, "/status"), text(&info, "/errorInformation/code")),
        ("Failed".to_owned(), "ALARM_ACTIVE".to_owned())
    );
    stage.seconds(5);
    assert_eq!(stage.weights(&stage.rule), (100, 0));
}

#[test]
fn tasks_that_never_become_healthy_time_out_after_an_hour() {
    let deploys = Deploys::new(json!({}));
    let stage = &deploys.stage;
    stage.fake.break_health("app:sick");
    let id = deploys.begin(&stage.define("app:sick"), json!([]));
    stage.seconds(59 * 60);
    assert_eq!(deploys.status(&id), "InProgress");
    stage.seconds(90);
    let info = deploys.info(&id);
    assert_eq!(
        (text(&info, "/status"), text(&info, "/errorInformation/code")),
        ("Failed".to_owned(), "TIMEOUT".to_owned())
    );
    stage.seconds(5);
    assert_eq!(stage.weights(&stage.rule), (100, 0));
}
