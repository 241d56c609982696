//! Deployments in which ECS shifts traffic, on the virtual clock.

use serde_json::{Value, json};

use crate::stage::{Stage, text};

fn begin(config: Value) -> Stage {
    let stage = Stage::new();
    let mut whole = json!({ "bakeTimeInMinutes": 5 });
    for (key, value) in config.as_object().unwrap() {
        whole[key] = value.clone();
    }
    stage.serve(json!({
        "deploymentConfiguration": whole,
        "loadBalancers": [{
            "targetGroupArn": stage.blue, "containerName": "app", "containerPort": 8080,
            "advancedConfiguration": {
                "alternateTargetGroupArn": stage.green, "productionListenerRule": stage.rule, "testListenerRule": stage.test_rule,
                "roleArn": "arn:aws:iam::123456789012:role/ecs",
            },
        }],
    }));
    stage.seconds(20);
    assert_eq!(current(&stage, "SUCCESSFUL").len(), 1);
    stage
}

fn update(stage: &Stage, image: &str) -> String {
    let definition = stage.define(image);
    stage.call("ECS", "UpdateService", json!({ "cluster": "shop", "service": "orders", "taskDefinition": definition }));
    current(stage, "IN_PROGRESS").remove(0)
}

fn current(stage: &Stage, status: &str) -> Vec<String> {
    let input = json!({ "cluster": "shop", "service": "orders", "status": [status] });
    let all = stage.call("ECS", "ListServiceDeployments", input)["serviceDeployments"].as_array().unwrap().clone();
    all.iter().map(|one| text(one, "/serviceDeploymentArn")).collect()
}

fn describe(stage: &Stage, arn: &str) -> Value {
    let answer = stage.call("ECS", "DescribeServiceDeployments", json!({ "serviceDeploymentArns": [arn] }));
    answer["serviceDeployments"][0].clone()
}

fn state(stage: &Stage, arn: &str) -> (String, String) {
    let one = describe(stage, arn);
    (text(&one, "/status"), text(&one, "/lifecycleStage"))
}

fn pair(status: &str, stage: &str) -> (String, String) {
    (status.to_owned(), stage.to_owned())
}

#[test]
fn blue_green_with_a_pause_goes_on_when_it_is_told_to() {
    let hook = json!({ "targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"] });
    let stage = begin(json!({ "strategy": "BLUE_GREEN", "lifecycleHooks": [hook] }));
    let arn = update(&stage, "app:2");
    stage.seconds(20);
    assert_eq!(state(&stage, &arn), pair("IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT"));
    assert_eq!((stage.weights(&stage.rule), stage.weights(&stage.test_rule)), ((100, 0), (0, 100)));
    let one = describe(&stage, &arn);
    assert_eq!(text(&one, "/lifecycleHookDetails/0/status"), "AWAITING_ACTION");
    assert_eq!(one["targetServiceRevision"]["requestedTestTrafficWeight"], 100.0);
    let hook = text(&one, "/lifecycleHookDetails/0/hookId");
    let go_on = |hook: &str| json!({ "serviceDeploymentArn": arn, "hookId": hook, "action": "CONTINUE" });
    assert_eq!(stage.refused("ECS", "ContinueServiceDeployment", go_on("other")).0, "InvalidParameterException");
    stage.call("ECS", "ContinueServiceDeployment", go_on(&hook));
    assert_eq!(stage.weights(&stage.rule), (0, 100));
    assert_eq!(state(&stage, &arn), pair("IN_PROGRESS", "BAKE_TIME"));
    stage.seconds(5 * 60);
    assert_eq!(state(&stage, &arn), pair("IN_PROGRESS", "CLEAN_UP"));
    stage.seconds(15);
    assert_eq!(text(&describe(&stage, &arn), "/status"), "SUCCESSFUL");
    assert_eq!(stage.health(&stage.blue), Vec::<String>::new());
    assert_eq!(stage.health(&stage.green), ["healthy", "healthy"]);

    // The groups have changed places.
    let next = update(&stage, "app:3");
    stage.seconds(20);
    assert_eq!(stage.weights(&stage.test_rule), (100, 0));
    assert_eq!(text(&describe(&stage, &next), "/status"), "IN_PROGRESS");
}

#[test]
fn a_pause_can_go_back_and_so_does_one_that_nobody_ends() {
    let hook = json!({
        "targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
        "timeoutConfiguration": { "timeoutInMinutes": 60, "action": "ROLLBACK" },
    });
    let config = json!({ "strategy": "BLUE_GREEN", "lifecycleHooks": [hook] });
    for (told, limit) in [(true, 1), (false, 61 * 60)] {
        let stage = begin(config.clone());
        let arn = update(&stage, "app:2");
        stage.seconds(20);
        if told {
            let hook = text(&describe(&stage, &arn), "/lifecycleHookDetails/0/hookId");
            stage.call(
                "ECS",
                "ContinueServiceDeployment",
                json!({ "serviceDeploymentArn": arn, "hookId": hook, "action": "ROLLBACK" }),
            );
        }
        stage.seconds(limit);
        let one = describe(&stage, &arn);
        assert!(text(&one, "/status").starts_with("ROLLBACK_"), "{one:#}");
        assert!(!text(&one, "/rollback/reason").is_empty());
        assert_eq!((stage.weights(&stage.rule), stage.weights(&stage.test_rule)), ((100, 0), (100, 0)));
        stage.seconds(30);
        assert_eq!(text(&describe(&stage, &arn), "/status"), "ROLLBACK_SUCCESSFUL");
        assert_eq!(stage.health(&stage.green), Vec::<String>::new());
        assert_eq!(text(&stage.service(), "/taskDefinition").rsplit(':').next(), Some("1"));
    }
}

#[test]
fn canary_and_linear_shift_as_they_say() {
    let canary =
        json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 2.5, "canaryBakeTimeInMinutes": 10 } });
    let stage = begin(canary);
    update(&stage, "app:2");
    stage.seconds(20);
    assert_eq!(stage.weights(&stage.rule), (975, 25));
    stage.seconds(10 * 60);
    assert_eq!(stage.weights(&stage.rule), (0, 100));

    let stage = begin(
        json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 40.0, "stepBakeTimeInMinutes": 2 } }),
    );
    let arn = update(&stage, "app:2");
    stage.seconds(20);
    for expected in [40, 80, 100] {
        assert_eq!(stage.weights(&stage.rule).1, expected);
        stage.seconds(120);
    }
    assert_eq!(state(&stage, &arn).1, "BAKE_TIME");
}

#[test]
fn stopping_goes_back_and_an_alarm_does_too() {
    let stage = begin(json!({ "strategy": "CANARY" }));
    let arn = update(&stage, "app:2");
    stage.seconds(20);
    assert_eq!(stage.weights(&stage.rule), (95, 5));
    stage.call("ECS", "StopServiceDeployment", json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" }));
    assert_eq!(stage.weights(&stage.rule), (100, 0));
    let again = json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" });
    assert_eq!(stage.refused("ECS", "StopServiceDeployment", again).0, "ConflictException");

    let alarms = json!({ "alarmNames": ["bad"], "enable": true, "rollback": true });
    let stage = begin(json!({ "strategy": "CANARY", "alarms": alarms }));
    stage.call(
        "CloudWatch",
        "PutMetricAlarm",
        json!({
            "AlarmName": "bad", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
        }),
    );
    let arn = update(&stage, "app:2");
    stage.seconds(20);
    stage.call(
        "CloudWatch",
        "SetAlarmState",
        json!({ "AlarmName": "bad", "StateValue": "ALARM", "StateReason": "a test" }),
    );
    stage.seconds(1);
    let one = describe(&stage, &arn);
    assert_eq!(one["alarms"], json!({ "status": "TRIGGERED", "alarmNames": ["bad"], "triggeredAlarmNames": ["bad"] }));
    assert_eq!(stage.weights(&stage.rule), (100, 0));
}

#[test]
fn configurations_that_aws_refuses_are_refused() {
    let stage = begin(json!({ "strategy": "BLUE_GREEN" }));
    for (config, words) in [
        (
            json!({ "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"] }] }),
            "PAUSE lifecycle hooks",
        ),
        (
            json!({ "lifecycleHooks": [{ "targetType": "AWS_LAMBDA", "lifecycleStages": ["POST_SCALE_UP"] }] }),
            "hookTargetArn and roleArn",
        ),
        (json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 0.0 } }), "canaryPercent"),
        (json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 2.0 } }), "stepPercent"),
    ] {
        let input = json!({ "cluster": "shop", "service": "orders", "deploymentConfiguration": config });
        let (code, message) = stage.refused("ECS", "UpdateService", input);
        assert_eq!(code, "InvalidParameterException");
        assert!(message.contains(words), "{message}");
    }
}

/// As AWS documents it for canaries and linear deployments: these stages come with every share.
#[test]
fn hooks_of_a_shift_are_called_for_each_share() {
    let of = |stages: &[&str]| json!({ "hookTargetArn": "arn:aws:lambda:eu-central-1:123456789012:function:check", "roleArn": "arn:aws:iam::123456789012:role/ecs", "lifecycleStages": stages });
    let pause = json!({ "targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"] });
    let hooks =
        json!([of(&["POST_TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"]), pause]);
    let canary = json!({ "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5 });
    let stage = begin(json!({ "strategy": "CANARY", "canaryConfiguration": canary, "lifecycleHooks": hooks }));
    stage.fake.set_function("check", Some(true));
    let arn = update(&stage, "app:2");
    for (weights, minutes) in [((100, 0), 0), ((90, 10), 5)] {
        stage.seconds(20 + minutes * 60);
        assert_eq!(stage.weights(&stage.rule), weights, "the pause is before each share");
        let one = describe(&stage, &arn);
        let waits =
            one["lifecycleHookDetails"].as_array().unwrap().iter().find(|hook| hook["status"] == "AWAITING_ACTION");
        let hook = text(waits.unwrap(), "/hookId");
        stage.call(
            "ECS",
            "ContinueServiceDeployment",
            json!({ "serviceDeploymentArn": arn, "hookId": hook, "action": "CONTINUE" }),
        );
    }
    assert_eq!(stage.weights(&stage.rule), (0, 100));
    let called: Vec<String> =
        stage.fake.function_calls().iter().map(|call| text(&call["event"], "/lifecycleStage")).collect();
    let shift = "PRODUCTION_TRAFFIC_SHIFT";
    assert_eq!(called, ["POST_TEST_TRAFFIC_SHIFT", shift, shift, "POST_PRODUCTION_TRAFFIC_SHIFT"]);
}
