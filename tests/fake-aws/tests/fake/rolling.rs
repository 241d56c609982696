//! Rolling deployments, with the circuit breaker.

use serde_json::{Value, json};

use crate::stage::{Stage, text};

fn begin(config: Value) -> Stage {
    let stage = Stage::new();
    stage.serve(json!({ "deploymentConfiguration": config }));
    stage.seconds(20);
    assert_eq!(text(&stage.service(), "/deployments/0/rolloutState"), "COMPLETED");
    stage
}

fn update(stage: &Stage, image: &str) {
    let definition = stage.define(image);
    stage.call("ECS", "UpdateService", json!({ "cluster": "shop", "service": "orders", "taskDefinition": definition }));
}

fn deployment(stage: &Stage) -> Value {
    let listed = stage.call("ECS", "ListServiceDeployments", json!({ "cluster": "shop", "service": "orders" }));
    let arn = text(&listed, "/serviceDeployments/0/serviceDeploymentArn");
    stage.call("ECS", "DescribeServiceDeployments", json!({ "serviceDeploymentArns": [arn] }))["serviceDeployments"][0]
        .clone()
}

#[test]
fn new_tasks_come_before_old_ones_go() {
    let stage = begin(json!({}));
    update(&stage, "app:2");
    stage.seconds(2);
    let service = stage.service();
    assert_eq!((service["runningCount"].clone(), service["pendingCount"].clone()), (json!(2), json!(2)));
    assert_eq!(text(&service, "/deployments/0/rolloutState"), "IN_PROGRESS");
    stage.seconds(30);
    let service = stage.service();
    assert_eq!(text(&service, "/deployments/0/rolloutState"), "COMPLETED");
    assert_eq!((service["runningCount"].clone(), service["deployments"].as_array().unwrap().len()), (json!(2), 1));
    assert_eq!(text(&deployment(&stage), "/status"), "SUCCESSFUL");
    assert_eq!(stage.health(&stage.blue), ["healthy", "healthy"]);
}

#[test]
fn without_room_for_more_old_tasks_go_first() {
    let stage = begin(json!({ "maximumPercent": 100, "minimumHealthyPercent": 50 }));
    update(&stage, "app:2");
    for _ in 0..60 {
        stage.seconds(1);
        let running = stage.service()["runningCount"].as_i64().unwrap();
        assert!((1..=2).contains(&running), "{running}");
    }
    assert_eq!(text(&stage.service(), "/deployments/0/rolloutState"), "COMPLETED");
}

#[test]
fn the_circuit_breaker_goes_back() {
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    for (image, words) in [
        ("app:gone", "CannotPullContainerError"),
        ("app:ends", "Essential container in task exited"),
        ("app:sick", "ELB health checks"),
    ] {
        let stage = begin(breaker.clone());
        stage.fake.break_pull("app:gone");
        stage.fake.break_start("app:ends", 3);
        stage.fake.break_health("app:sick");
        update(&stage, image);
        stage.seconds(120);
        let one = deployment(&stage);
        assert_eq!(text(&one, "/status"), "ROLLBACK_SUCCESSFUL", "{image}");
        assert!(text(&one, "/rollback/reason").contains("circuit breaker: tasks failed to start"));
        let service = stage.service();
        assert_eq!(text(&service, "/taskDefinition").rsplit(':').next(), Some("1"));
        assert_eq!(service["runningCount"], 2);
        let stopped = stage.call(
            "ECS",
            "ListTasks",
            json!({ "cluster": "shop", "serviceName": "orders", "desiredStatus": "STOPPED" }),
        );
        let tasks = stage.call("ECS", "DescribeTasks", json!({ "cluster": "shop", "tasks": stopped["taskArns"] }));
        let reasons: Vec<_> =
            tasks["tasks"].as_array().unwrap().iter().map(|task| text(task, "/stoppedReason")).collect();
        assert!(reasons.iter().any(|reason| reason.contains(words)), "{image}: {reasons:?}");
    }
}

#[test]
fn without_rollback_it_stops_there() {
    let stage = begin(json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": false } }));
    stage.fake.break_pull("app:gone");
    update(&stage, "app:gone");
    stage.seconds(120);
    assert_eq!(text(&deployment(&stage), "/status"), "STOPPED");
    let failed = stage.service()["deployments"].as_array().unwrap().iter().any(|one| one["rolloutState"] == "FAILED");
    assert!(failed, "{:#}", stage.service());
    assert_eq!(stage.service()["runningCount"], 2, "the old tasks serve on");
}

#[test]
fn a_task_that_lacks_its_secret_says_so() {
    let stage = Stage::new();
    let definition = stage.define_with(json!({ "name": "app", "image": "app:1" }));
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db";
    let refused = stage.refused("ECS", "RegisterTaskDefinition", json!({
        "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": "app:1", "secrets": [{ "name": "DB", "valueFrom": secret }] }],
    }));
    assert_eq!(refused.0, "ClientException", "{definition}");
    let answer = stage.call("ECS", "RegisterTaskDefinition", json!({
        "family": "job", "memory": "64",
        "containerDefinitions": [{ "name": "app", "image": "app:1", "secrets": [{ "name": "DB", "valueFrom": secret }] }],
    }));
    let task = stage.call(
        "ECS",
        "RunTask",
        json!({ "cluster": "shop", "taskDefinition": text(&answer, "/taskDefinition/taskDefinitionArn") }),
    );
    stage.seconds(3);
    let described =
        stage.call("ECS", "DescribeTasks", json!({ "cluster": "shop", "tasks": [text(&task, "/tasks/0/taskArn")] }));
    assert_eq!(text(&described, "/tasks/0/stopCode"), "TaskFailedToStart");
    assert!(text(&described, "/tasks/0/stoppedReason").starts_with("ResourceInitializationError"), "{described:#}");
}

fn alarm(stage: &Stage) {
    stage.call("CloudWatch", "PutMetricAlarm", json!({
        "AlarmName": "errors", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 2, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
    }));
}

fn ring(stage: &Stage) {
    let state = json!({ "AlarmName": "errors", "StateValue": "ALARM", "StateReason": "a test" });
    stage.call("CloudWatch", "SetAlarmState", state);
}

fn with_alarm() -> Stage {
    let stage = Stage::new();
    alarm(&stage);
    let alarms = json!({ "alarmNames": ["errors"], "enable": true, "rollback": true });
    stage.serve(json!({ "deploymentConfiguration": { "alarms": alarms } }));
    stage.seconds(200);
    assert_eq!(text(&stage.service(), "/deployments/0/rolloutState"), "COMPLETED");
    stage
}

#[test]
fn an_alarm_goes_back_also_when_all_tasks_are_there() {
    let stage = with_alarm();
    update(&stage, "app:2");
    stage.seconds(60);
    let service = stage.service();
    assert_eq!(
        (text(&service, "/deployments/0/rolloutState"), service["runningCount"].clone()),
        ("IN_PROGRESS".into(), json!(2))
    );
    assert_eq!(
        service["deployments"].as_array().unwrap().len(),
        2,
        "the old one is kept for the way back: {service:#}"
    );
    ring(&stage);
    stage.seconds(60);
    let one = deployment(&stage);
    assert_eq!(
        (text(&one, "/status"), one["alarms"]["triggeredAlarmNames"].clone()),
        ("ROLLBACK_SUCCESSFUL".into(), json!(["errors"]))
    );
    assert_eq!(text(&stage.service(), "/taskDefinition").rsplit(':').next(), Some("1"));
}

#[test]
fn a_deployment_that_begins_under_an_alarm_does_not_hear_it() {
    let stage = with_alarm();
    ring(&stage);
    update(&stage, "app:2");
    stage.seconds(50);
    assert_eq!(text(&deployment(&stage), "/status"), "SUCCESSFUL", "it may be what mends it");
}

#[test]
fn it_goes_back_to_what_completed_last_and_not_to_what_never_did() {
    let stage = begin(json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } }));
    stage.fake.break_pull("app:gone");
    stage.fake.break_pull("app:gone-too");
    update(&stage, "app:gone");
    stage.seconds(1);
    update(&stage, "app:gone-too");
    stage.seconds(120);
    assert_eq!(text(&deployment(&stage), "/status"), "ROLLBACK_SUCCESSFUL");
    let service = stage.service();
    assert_eq!(
        (text(&service, "/taskDefinition").rsplit(':').next(), service["runningCount"].clone()),
        (Some("1"), json!(2))
    );
}
