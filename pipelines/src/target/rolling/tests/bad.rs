//! What cannot be done is said before anything is changed, and what somebody else does meanwhile is noticed.

use fake_aws::Fault;
use rollout::{Call, Cause, Weight};
use serde_json::json;

use super::{SLOW, revision, service, stage, started};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_before() {
    let world = stage();
    for (member, value, words) in [
        ("cluster", json!("none"), "none does not exist in eu-central-1"),
        ("service", json!("other"), "there is no service `other` in cluster shop"),
        ("account", json!("210987654321"), "the credentials for account 210987654321 are not known"),
        ("alarms", json!(["absent"]), "there is no alarm `absent`"),
        ("maximum-percent", json!(149), "of which 50 % have to stay healthy"),
    ] {
        let error = world
            .refusal(|plan| {
                if member == "maximum-percent" {
                    plan.settings["tasks"] = json!(1);
                }
                plan.settings[member] = value;
            })
            .await;
        assert!(error.words.contains(words), "{words}\n{error}");
    }
    let tag = world.refusal(|plan| plan.image = "r.example/orders:1".to_owned()).await;
    assert!(tag.words.contains("is named by a tag"), "{tag}");
    world.fake.add_fault("ECS.DescribeServices", 1, Fault::AccessDenied);
    let denied = world.refusal(|_| {}).await;
    assert!(denied.words.contains("may not do `ecs:DescribeServices`") && !denied.is_transient, "{denied}");
    world.ring();
    let rings = world.refusal(|_| {}).await;
    assert!(rings.words.contains("alarms are on: orders-5xx"), "{rings}");
    assert_eq!(world.fake.effects("ECS.RegisterTaskDefinition") + world.fake.effects("ECS.UpdateService"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_controller_and_another_deployment() {
    let world = stage();
    let plain = json!({
        "cluster": "shop", "serviceName": "outside", "desiredCount": 0, "deploymentController": { "type": "EXTERNAL" },
    });
    world.fake.call("ECS", "CreateService", &plain).unwrap();
    let other = world.refusal(|plan| plan.settings["service"] = json!("outside")).await;
    assert!(other.words.contains("has the deployment controller EXTERNAL: use `strategy: weighted`"), "{other}");
    let by_hand = json!({ "cluster": "shop", "service": "orders", "forceNewDeployment": true });
    world.fake.call("ECS", "UpdateService", &by_hand).unwrap();
    let busy = world.refusal(|_| {}).await;
    assert!(busy.words.contains("of service orders goes on, and a newer one would end it"), "{busy}");
    let started = world.perform(None, Call::StartGreen).await.unwrap_err();
    assert!(started.words.contains("goes on") && !started.is_transient, "{started}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_deploys_meanwhile() {
    let world = stage();
    let standing = started(&world).await;
    world.fake.set_speed(SLOW);
    world.seen(&standing, |seen| seen.green.healthy > 0).await;
    let mut theirs = crate::target::live::definition("r.example/orders:3");
    theirs["tags"] = json!([]);
    world.fake.call("ECS", "RegisterTaskDefinition", &theirs).unwrap();
    let by_hand = json!({ "cluster": "shop", "service": "orders", "taskDefinition": "orders:3" });
    world.fake.call("ECS", "UpdateService", &by_hand).unwrap();
    eprintln!(
        "{:#}",
        world.fake.call("ECS", "ListServiceDeployments", &json!({ "cluster": "shop", "service": "orders" })).unwrap()
    );
    let given_up = world.seen(&standing, |seen| seen.given_up.is_some()).await.given_up.unwrap();
    assert_eq!(given_up.cause, Cause::Call);
    assert!(given_up.words.contains("which somebody else has begun"), "{}", given_up.words);
    // What they deployed is not touched.
    let back = world.perform(Some(&standing), Call::SetWeight { weight: Weight::NONE }).await.unwrap_err();
    assert!(back.words.contains("somebody else has deployed it") && !back.is_transient, "{back}");
    assert_eq!((revision(&world).as_str(), service(&world)["desiredCount"].clone()), ("3", json!(2)));
}

/// Where the plan goes back for no failure, ECS is told not to either, and a person decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_go_back_stops_there() {
    let mut world = stage();
    world.plan.irreversible = Some("a column is gone".to_owned());
    world.fake.break_start(crate::target::live::IMAGE, 3);
    let standing = started(&world).await;
    let breaker = service(&world)["deploymentConfiguration"]["deploymentCircuitBreaker"].clone();
    assert_eq!(breaker, json!({ "enable": true, "rollback": false }));
    let seen = world.seen(&standing, |seen| seen.green.failed > 0).await;
    assert_eq!(seen.given_up, None);
    let trouble = seen.green.trouble.unwrap();
    assert!(trouble.contains("circuit breaker") && trouble.contains("exit code 3"), "{trouble}");
    let stopped = world.perform(Some(&standing), Call::SetWeight { weight: Weight::ALL }).await.unwrap_err();
    assert!(stopped.words.contains("was stopped: ECS deployment circuit breaker"), "{stopped}");
    // A person says so: what stood is deployed anew.
    world.once(Some(&standing), Call::SetWeight { weight: Weight::NONE }, "ECS.UpdateService").await;
    assert_eq!(revision(&world), "1");
}
