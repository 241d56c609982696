//! Task sets and tasks: what carries a token is made once, what is deleted is drained first.

use serde_json::{Value, json};

use crate::stage::{Stage, text};

fn begin() -> Stage {
    let stage = Stage::new();
    let (code, _) = stage.refused("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "orders", "taskDefinition": "shop:1", "deploymentController": { "type": "EXTERNAL" },
    }));
    assert_eq!(code, "InvalidParameterException");
    stage.call("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "orders", "desiredCount": 4, "deploymentController": { "type": "EXTERNAL" },
    }));
    stage
}

fn input(stage: &Stage, token: &str) -> Value {
    json!({
        "cluster": "shop", "service": "orders", "taskDefinition": "shop:1", "clientToken": token, "externalId": token,
        "launchType": "FARGATE", "scale": { "value": 50.0, "unit": "PERCENT" },
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        "loadBalancers": [{ "targetGroupArn": stage.blue, "containerName": "app", "containerPort": 8080 }],
    })
}

#[test]
fn a_token_makes_one_task_set() {
    let stage = begin();
    let first = stage.call("ECS", "CreateTaskSet", input(&stage, "one"));
    let again = stage.call("ECS", "CreateTaskSet", input(&stage, "one"));
    let id = text(&first, "/taskSet/id");
    assert_eq!(text(&again, "/taskSet/id"), id);
    let mut other = input(&stage, "one");
    other["scale"]["value"] = json!(100.0);
    assert_eq!(stage.refused("ECS", "CreateTaskSet", other).0, "InvalidParameterException");
    let sets = stage.call("ECS", "DescribeTaskSets", json!({ "cluster": "shop", "service": "orders" }));
    assert_eq!(sets["taskSets"].as_array().unwrap().len(), 1);
    assert_eq!(text(&sets, "/taskSets/0/stabilityStatus"), "STABILIZING");
    stage.seconds(15);
    let sets = stage.call("ECS", "DescribeTaskSets", json!({ "cluster": "shop", "service": "orders" }));
    assert_eq!(text(&sets, "/taskSets/0/stabilityStatus"), "STEADY_STATE");
    assert_eq!(sets["taskSets"][0]["runningCount"], 2);

    stage.call(
        "ECS",
        "UpdateServicePrimaryTaskSet",
        json!({ "cluster": "shop", "service": "orders", "primaryTaskSet": id }),
    );
    let set = json!({ "cluster": "shop", "service": "orders", "taskSet": id });
    assert_eq!(stage.refused("ECS", "DeleteTaskSet", set.clone()).0, "InvalidParameterException");
    let mut scaled = set.clone();
    scaled["scale"] = json!({ "value": 100.0, "unit": "PERCENT" });
    stage.call("ECS", "UpdateTaskSet", scaled);
    stage.seconds(15);
    assert_eq!(stage.health(&stage.blue).len(), 4);
    let mut forced = set;
    forced["force"] = json!(true);
    assert_eq!(text(&stage.call("ECS", "DeleteTaskSet", forced), "/taskSet/status"), "DRAINING");
    stage.seconds(1);
    assert_eq!(stage.health(&stage.blue), ["draining"; 4]);
    stage.seconds(20);
    assert_eq!(stage.health(&stage.blue), Vec::<String>::new());
}

#[test]
fn what_a_task_set_cannot_be_is_refused_and_makes_none() {
    let stage = begin();
    for (member, value, words) in [
        ("networkConfiguration", Value::Null, "Network Configuration must be provided"),
        ("capacityProviderStrategy", json!([{ "capacityProvider": "FARGATE_SPOT" }]), "both launchType and"),
        ("clientToken", json!("t".repeat(37)), "36 ASCII characters"),
        ("scale", json!({ "value": 101.0, "unit": "PERCENT" }), "between 0 and 100"),
    ] {
        let mut wrong = input(&stage, "one");
        wrong[member] = value;
        let (code, message) = stage.refused("ECS", "CreateTaskSet", wrong);
        assert!(code == "InvalidParameterException" && message.contains(words), "{member}: {code}: {message}");
    }
    for (operation, member) in
        [("UpdateTaskSet", "taskSet"), ("DeleteTaskSet", "taskSet"), ("UpdateServicePrimaryTaskSet", "primaryTaskSet")]
    {
        let mut none = json!({ "cluster": "shop", "service": "orders", "scale": { "value": 1.0, "unit": "PERCENT" } });
        none[member] = json!("ecs-svc/1");
        assert_eq!(stage.refused("ECS", operation, none).0, "TaskSetNotFoundException");
    }
    stage.call("ECS", "CreateService", json!({
        "cluster": "shop", "serviceName": "plain", "taskDefinition": "shop:1", "desiredCount": 0, "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    }));
    let mut of_ecs = input(&stage, "one");
    of_ecs["service"] = json!("plain");
    assert!(stage.refused("ECS", "CreateTaskSet", of_ecs).1.contains("EXTERNAL deployment controller"));
    let sets = stage.call("ECS", "DescribeTaskSets", json!({ "cluster": "shop", "service": "orders" }));
    assert_eq!(sets["taskSets"], json!([]));
}

#[test]
fn one_of_the_task_sets_is_primary_and_another_one_ends_beside_it() {
    let stage = begin();
    let made = |token: &str, more: Value| {
        let mut input = input(&stage, token);
        input["scale"]["value"] = json!(100.0);
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&stage.call("ECS", "CreateTaskSet", input), "/taskSet/id")
    };
    let blue = made("blue", json!({ "tags": [{ "key": "team", "value": "shop" }], "platformVersion": "1.4.0" }));
    let group = json!([{ "targetGroupArn": stage.green, "containerName": "app", "containerPort": 8080 }]);
    let green = made("green", json!({ "loadBalancers": group }));
    let primary = |id: &str| {
        let input = json!({ "cluster": "shop", "service": "orders", "primaryTaskSet": id });
        stage.call("ECS", "UpdateServicePrimaryTaskSet", input)
    };
    let all = |include: Value| {
        let input = json!({ "cluster": "shop", "service": "orders", "taskSets": [blue, green], "include": include });
        stage.call("ECS", "DescribeTaskSets", input)["taskSets"].as_array().unwrap().clone()
    };
    primary(&blue);
    assert_eq!(all(json!([]))[0]["tags"], json!([]), "tags are shown to those who ask for them");
    let told = all(json!(["TAGS"]));
    assert_eq!((&told[0]["tags"][0]["value"], &told[0]["platformVersion"]), (&json!("shop"), &json!("1.4.0")));
    primary(&green);
    let statuses: Vec<Value> = all(json!([])).iter().map(|set| set["status"].clone()).collect();
    assert_eq!(statuses, ["ACTIVE", "PRIMARY"], "there is one");
    stage.seconds(15);
    let gone = json!({ "cluster": "shop", "service": "orders", "taskSet": blue, "force": true });
    stage.call("ECS", "DeleteTaskSet", gone);
    let service = stage.service();
    assert_eq!(service["taskSets"].as_array().unwrap().len(), 2, "it is seen while it drains");
    stage.seconds(400);
    let service = stage.service();
    let sets = service["taskSets"].as_array().unwrap();
    assert_eq!((sets.len(), text(&service, "/taskSets/0/id")), (1, green));
}

#[test]
fn tokens_of_tasks_and_services_hold_too() {
    let stage = Stage::new();
    let run = json!({
        "cluster": "shop", "taskDefinition": "shop:1", "clientToken": "t", "count": 2,
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    let (first, again) = (stage.call("ECS", "RunTask", run.clone()), stage.call("ECS", "RunTask", run.clone()));
    assert_eq!(first["tasks"][0]["taskArn"], again["tasks"][0]["taskArn"]);
    let mut other = run.clone();
    other["count"] = json!(1);
    assert_eq!(stage.refused("ECS", "RunTask", other).0, "ConflictException");
    let tasks = stage.call("ECS", "ListTasks", json!({ "cluster": "shop" }));
    assert_eq!(tasks["taskArns"].as_array().unwrap().len(), 2);
    let mut bare = run;
    bare.as_object_mut().unwrap().remove("networkConfiguration");
    bare["clientToken"] = json!("u");
    assert_eq!(stage.refused("ECS", "RunTask", bare).0, "InvalidParameterException");
    stage.seconds(5);
    let described = stage.call("ECS", "DescribeTasks", json!({ "cluster": "shop", "tasks": tasks["taskArns"] }));
    assert_eq!(text(&described, "/tasks/0/lastStatus"), "RUNNING");
    assert!(text(&described, "/tasks/0/attachments/0/details/0/value").starts_with("10.0."));
    stage.serve(json!({ "clientToken": "s" }));
    stage.serve(json!({ "clientToken": "s" }));
    let different =
        json!({ "cluster": "shop", "serviceName": "orders", "taskDefinition": "shop:1", "desiredCount": 1 });
    let (code, message) = stage.refused("ECS", "CreateService", different);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InvalidParameterException", "Creation of service was not idempotent.")
    );
}

#[test]
fn definitions_are_checked_at_registration() {
    let stage = Stage::new();
    let container = json!({ "name": "app", "image": "app:1" });
    for (input, words) in [
        (json!({ "family": "f" }), "Container list cannot be empty"),
        (json!({ "family": "f", "memory": "64", "containerDefinitions": [{ "name": "app" }] }), "Container.image"),
        (json!({ "family": "f", "containerDefinitions": [container] }), "At least one of 'memory'"),
        (json!({ "family": "f", "memory": "64", "containerDefinitions": [container, container] }), "must be unique"),
        (
            json!({ "family": "f", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "4096", "containerDefinitions": [container] }),
            "No Fargate configuration",
        ),
    ] {
        let (code, message) = stage.refused("ECS", "RegisterTaskDefinition", input);
        assert_eq!(code, "ClientException");
        assert!(message.contains(words), "{message}");
    }
    let missing = stage.refused("ECS", "DescribeServices", json!({ "cluster": "none", "services": ["x"] }));
    assert_eq!(missing.0, "ClusterNotFoundException");
}
