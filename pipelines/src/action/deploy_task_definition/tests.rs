//! The action as a workflow of GitHub's calls it, on the fake of AWS.

use engine::step::trial::Tried;
use serde_json::json;

use super::super::deploy_ecs::tests::{Place, failed};
use super::*;
use crate::target::ecs::stage::{IMAGE, definition};

async fn run(place: &Place, given: &[(&str, &str)]) -> Tried {
    let mut inputs = vec![("task-definition", "taskdef.json"), ("cluster", "shop"), ("service", "orders-a")];
    inputs.retain(|(name, _)| !given.iter().any(|(other, _)| other == name));
    inputs.extend(given);
    let mut trial = place.trial("deploy");
    trial.run.environment = None;
    trial.run(&DeployTaskDefinition { deploys: place.action.clone() }, &inputs).await
}

fn effects(place: &Place, calls: &[&str]) -> Vec<usize> {
    calls.iter().map(|call| place.stage.fake.effects(call)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_ecs_is_deployed_task_by_task() {
    let place = Place::new();
    let more = [
        ("force-new-deployment", "true"),
        ("wait-for-minutes", "30"),
        ("wait-max-delay-seconds", "15"),
        ("desired-count", "3"),
    ];
    let tried = run(&place, &more).await;
    assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    assert!(tried.outputs["task-definition-arn"].ends_with(":task-definition/orders:2"), "{:?}", tried.outputs);
    assert!(tried.log.contains("It waits for the end, also without `wait-for-service-stability`"), "{}", tried.log);
    assert_eq!(effects(&place, &["ECS.RegisterTaskDefinition", "ECS.UpdateService"]), [1, 1]);
    let service = json!({ "cluster": "shop", "services": ["orders-a"] });
    let service = place.stage.fake.call("ECS", "DescribeServices", &service).unwrap()["services"][0].clone();
    assert_eq!(
        (service["taskDefinition"].as_str(), service["desiredCount"].as_i64()),
        (tried.outputs.get("task-definition-arn").map(String::as_str), Some(3))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_service_it_is_only_registered() {
    let place = Place::new();
    let tried = run(&place, &[("service", "")]).await;
    assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    assert!(tried.outputs["task-definition-arn"].ends_with(":task-definition/orders:2"), "{:?}", tried.outputs);
    assert_eq!(effects(&place, &["ECS.RegisterTaskDefinition", "ECS.UpdateService"]), [1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let place = Place::new();
    let tried = run(
        &place,
        &[
            ("run-task", "true"),
            ("propagate-tags", "SERVICE"),
            ("enable-ecs-managed-tags", "true"),
            ("service-managed-ebs-volume", "{}"),
            ("wait-for-minutes", "361"),
            ("desired-count", "many"),
            ("force-new-deployment", "yes"),
        ],
    );
    failed(
        &tried.await,
        &[
            "`run-task` cannot be honoured: a stand-alone task is no deployment",
            "`propagate-tags` cannot be honoured: how tasks are tagged",
            "`enable-ecs-managed-tags` cannot be honoured",
            "`service-managed-ebs-volume` cannot be honoured: volumes of a service",
            "`wait-for-minutes: 361` is not a number from 1 to 360",
            "`desired-count: many` is not a number from 1 to 5000",
            "`force-new-deployment` must be `true` or `false`",
        ],
    );
    failed(&run(&place, &[("service", "none")]).await, &["there is no service `none` in cluster shop"]);
    let external = json!({
        "cluster": "shop", "serviceName": "outside", "desiredCount": 0, "deploymentController": { "type": "EXTERNAL" },
    });
    place.stage.fake.call("ECS", "CreateService", &external).unwrap();
    failed(&run(&place, &[("service", "outside")]).await, &["has the deployment controller EXTERNAL"]);
    let tag = definition("ghcr.io/acme/orders:2").to_string();
    std::fs::write(place.workspace().join("tag.json"), tag).unwrap();
    failed(
        &run(&place, &[("task-definition", "tag.json")]).await,
        &["ghcr.io/acme/orders:2 is named by a tag", "not ECR"],
    );
    let absent = definition("123456789012.dkr.ecr.eu-central-1.amazonaws.com/orders:2").to_string();
    std::fs::write(place.workspace().join("absent.json"), absent).unwrap();
    let absent = run(&place, &[("task-definition", "absent.json")]).await;
    assert!(absent.result.is_err(), "{}", absent.log);
    assert_eq!(effects(&place, &["ECS.RegisterTaskDefinition", "ECS.UpdateService"]), [0, 0]);
}

#[test]
fn a_worker_without_a_port_is_deployed_too() {
    let mut json = definition(IMAGE);
    json["containerDefinitions"][0].as_object_mut().unwrap().remove("portMappings");
    let of = |json: &serde_json::Value| serving(&TaskDefinition::of(json.clone()).unwrap());
    assert_eq!(of(&json).as_deref(), Some("app"));
    json["containerDefinitions"] = json!([
        { "name": "log", "image": IMAGE }, { "name": "app", "image": IMAGE, "portMappings": [{ "containerPort": 8080 }] },
    ]);
    assert_eq!(of(&json).as_deref(), Some("app"));
}
