//! Going back on ECS from another run, in a process that was begun after the deployment: by the keys of the step that asks.

use engine::step::trial::Tried;
use serde_json::json;

use super::tests::{Place, failed};
use super::{paced, rolling};
use crate::target::ecs::stage::Stage;

const IMAGES: [&str; 2] = [
    "r.example/orders@sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "r.example/orders@sha256:2222222222222222222222222222222222222222222222222222222222222222",
];
const STEPS: &str = "- { weight: 100, bake: 1s }";

/// Two deployments, a process that is begun anew, and the way back.
async fn story(place: Place, service: &str, deploy: impl AsyncFn(&Place, &str, &str) -> Tried) -> Place {
    for image in IMAGES {
        let tried = deploy(&place, image, image).await;
        assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    }
    let place = place.anew().await;
    if service == "by-codedeploy" {
        // By then CodeDeploy has ended the old tasks; before it, stopping the deployment would do.
        place.stage.fake.advance(std::time::Duration::from_secs(3600));
    }
    let nobody = place.back("without keys", service, false).await;
    failed(
        &nobody,
        &[
            "the credentials for account 123456789012 are not known to this process",
            "`pipe/rollback` runs behind `pipe/aws-credentials`",
            "What was tried: the step had no role that a token of its job could take again; `pipe` may not use the machine's own keys",
        ],
    );
    let back = place.back("with keys", service, true).await;
    assert!(back.result.is_ok(), "{:?}\n{}", back.result, back.log);
    let out = |name: &str| back.outputs[name].as_str();
    assert_eq!((out("status"), out("image"), out("deployment-id")), ("succeeded", IMAGES[0], "3"));
    place
}

/// The image of the tasks that run in a service.
fn runs(place: &Place, service: &str) -> String {
    let call =
        |service: &str, name: &str, input: serde_json::Value| place.stage.fake.call(service, name, &input).unwrap();
    let tasks = call("ECS", "ListTasks", json!({ "cluster": "shop", "serviceName": service }))["taskArns"].clone();
    let found = call("ECS", "DescribeTasks", json!({ "cluster": "shop", "tasks": tasks }));
    let all = found["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["containers"][0]["image"].as_str().unwrap().to_owned());
    let mut all: Vec<String> = all.collect();
    all.dedup();
    all.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weighted_goes_back() {
    let deploy =
        async |place: &Place, step: &str, image: &str| place.run(step, &[("image", image), ("steps", STEPS)]).await;
    let place = story(Place::new(), "orders", deploy).await;
    // The first deployment came to `b`, the second to `a`: `b` has the users again.
    assert_eq!(runs(&place, "orders-b"), IMAGES[0]);
}

/// The first of the images has the users, in the group that it first came to.
fn has_users_again(place: &Place, [registered, made]: [usize; 2]) {
    let call = |name: &str, input: serde_json::Value| place.stage.fake.call("ECS", name, &input).unwrap();
    let sets = call("DescribeTaskSets", json!({ "cluster": "shop", "service": "orders" }));
    let serves = sets["taskSets"].as_array().unwrap().iter().find(|set| set["status"] == "PRIMARY").unwrap();
    assert_eq!(serves["loadBalancers"][0]["targetGroupArn"], place.stage.groups[1].as_str());
    let definition = call("DescribeTaskDefinition", json!({ "taskDefinition": serves["taskDefinition"] }));
    assert_eq!(definition["taskDefinition"]["containerDefinitions"][0]["image"], IMAGES[0]);
    let calls = ["ECS.RegisterTaskDefinition", "ECS.CreateTaskSet", "ECS.UpdateServicePrimaryTaskSet"];
    assert_eq!(calls.map(|call| place.stage.fake.effects(call)), [registered, made, 3]);
}

async fn deploy_task_set(place: &Place, image: &str, keep: &str) -> Tried {
    let given = [("image", image), ("steps", STEPS), ("services", "orders"), ("keep-blue", keep)];
    place.run(image, &given).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_set_that_is_kept_has_the_users_again() {
    let deploy = async |place: &Place, _: &str, image: &str| deploy_task_set(place, image, "1h").await;
    let place = story(Place::on(Stage::with_task_sets()), "orders", deploy).await;
    has_users_again(&place, [2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_set_that_was_ended_is_made_again() {
    let place = Place::on(Stage::with_task_sets());
    for image in IMAGES {
        let tried = deploy_task_set(&place, image, "0s").await;
        assert!(tried.result.is_ok(), "{:?}\n{}", tried.result, tried.log);
    }
    let back = place.back("back", "orders", true).await;
    assert!(back.result.is_ok(), "{:?}\n{}", back.result, back.log);
    assert_eq!(back.outputs["image"], IMAGES[0]);
    has_users_again(&place, [3, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codedeploy_goes_back() {
    let deploy = async |place: &Place, step: &str, image: &str| {
        paced::run(
            place,
            step,
            "by-codedeploy",
            &[("image", image), ("steps", STEPS), ("tick", "1s"), ("keep-blue", "1m")],
        )
        .await
    };
    let place = story(paced::place(), "by-codedeploy", deploy).await;
    assert!(runs(&place, "by-codedeploy").contains(IMAGES[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ecs_native_goes_back() {
    let deploy = async |place: &Place, step: &str, image: &str| {
        let given = [("image", image), ("steps", STEPS), ("tick", "1s"), ("keep-blue", "1m")];
        paced::run(place, step, "by-ecs", &given).await
    };
    let place = story(paced::place(), "by-ecs", deploy).await;
    assert!(runs(&place, "by-ecs").contains(IMAGES[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_goes_back() {
    let deploy = async |place: &Place, step: &str, image: &str| {
        place.run(step, &rolling::with(&[("image", image), ("steps", STEPS), ("tick", "1s")])).await
    };
    let place = story(paced::place(), "orders-a", deploy).await;
    assert_eq!(runs(&place, "orders-a"), IMAGES[0]);
    // Its way back rolls too: one deployment each time.
    assert_eq!(place.stage.fake.effects("ECS.UpdateService"), 3);
}
