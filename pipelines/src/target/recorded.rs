//! Every operation of AWS that the crate `aws` can call is called here on the fake, by whole rollouts where they do so, and what was sent
//! and answered is held against AWS's own models. One that is not called fails by its name.

use std::collections::BTreeSet;
use std::path::Path;

use aws::{Access, Arn, Cloud, LogStream, Note, RoleWish, Topic};
use fake_aws::Fake;
use rollout::{Call, Order, Outcome};
use serde_json::{Value, json};

use super::ecs::crash::{a_whole_story, by_rules};
use super::ecs::stage::Stage as Pair;
use super::live::driven::{Live, Scripts};
use super::live::{ROLLOUT, Stage};
use super::{codedeploy, native};
use crate::rollout::Subject;

/// Files of the crate with a client, and the service as the fake's journal names it.
const FILES: [(&str, &str); 14] = [
    ("balancer.rs", "ELBv2"),
    ("cloudwatch.rs", "CloudWatch"),
    ("codedeploy/facts.rs", "CodeDeploy"),
    ("codedeploy/group.rs", "CodeDeploy"),
    ("codedeploy/mod.rs", "CodeDeploy"),
    ("codedeploy/words.rs", "CodeDeploy"),
    ("ecr.rs", "ECR"),
    ("ecs.rs", "ECS"),
    ("ecs/native.rs", "ECS"),
    ("ecs/rolling.rs", "ECS"),
    ("ecs/task_sets.rs", "ECS"),
    ("identity.rs", "STS"),
    ("logs.rs", "Logs"),
    ("topic.rs", "SNS"),
];

/// Names of calls behind a mark in a text without white space.
fn called<'t>(text: &'t str, mark: &str) -> impl Iterator<Item = String> + 't {
    let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let name = move |part: &'t str| part.chars().take_while(is_word).collect::<String>();
    let parts: Vec<&str> = text.split(mark).skip(1).collect();
    parts.into_iter().map(name)
}

/// `get_caller_identity` as AWS writes it.
fn operation(call: &str) -> String {
    call.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// What the sources can call.
fn callable() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("aws/src");
    let mut all = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&folder) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
        if !entry.file_type().is_file() || name.starts_with("tests") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let text: String = text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect();
        let is_call = |call: &String| call.starts_with(|c: char| c.is_ascii_lowercase()) && call != "clone";
        let sdk = called(&text, "client.").filter(is_call).map(|call| operation(&call));
        let named = called(&text, ".call(\"").chain(called(&text, ".ask(&cloud,\""));
        let found: Vec<String> = sdk.chain(named).collect();
        let service = FILES.iter().find(|(file, _)| *file == name).map(|(_, service)| service);
        assert!(found.is_empty() || service.is_some(), "{name} calls {found:?}: name its service here");
        all.extend(found.iter().map(|call| format!("{}.{call}", service.unwrap())));
    }
    all
}

fn call(fake: &Fake, service: &str, name: &str, input: Value) -> Value {
    fake.call(service, name, &input).unwrap()
}

/// What steps ask for that push, log in and notify.
async fn by_steps(fake: &Fake) {
    let variables = fake.environment();
    let variable = |name: &str| variables.get(name).map(String::as_str);
    let cloud = Cloud::of(None, variable).unwrap();
    let account = cloud.identity().await.unwrap().account;
    let trust =
        json!({ "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": account } }] });
    let role = json!({ "RoleName": "deploy", "AssumeRolePolicyDocument": trust.to_string() });
    let role = call(fake, "IAM", "CreateRole", role)["Role"]["Arn"].as_str().unwrap().to_owned();
    let wish = RoleWish { role, session_name: "pipe".into(), seconds: 900, ..RoleWish::default() };
    cloud.assume(&wish).await.unwrap();
    // No provider is trusted here; tests/cli/cloud.rs of `pipe` has one.
    cloud.assume_with_token(&wish, "a.b.c").await.unwrap_err();
    let ecr = cloud.ecr(None);
    ecr.create("shop/orders").await.unwrap();
    assert!(ecr.repository("shop/orders").await.unwrap().unwrap().is_immutable);
    ecr.login(&[]).await.unwrap();
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] });
    let image = json!({ "repositoryName": "shop/orders", "imageManifest": manifest.to_string(), "imageTag": "v1" });
    let digest = call(fake, "ECR", "PutImage", image)["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned();
    assert_eq!(ecr.tag("shop/orders", "v1").await.unwrap().as_deref(), Some(digest.as_str()));
    assert!(ecr.has("shop/orders", &digest).await.unwrap());
    ecr.give_tag("shop/orders", &digest, "pipe-deployed-dev-7").await.unwrap();
    assert_eq!(ecr.replicas("shop/orders", &digest).await.unwrap(), []);
    assert_eq!(ecr.lifecycle("shop/orders").await.unwrap(), None);
    let rules = aws::lifecycle_policy(10, 100, 14).to_string();
    ecr.set_lifecycle("shop/orders", &rules).await.unwrap();
    assert!(ecr.lifecycle("shop/orders").await.unwrap().is_some());
    let stream = LogStream { group: "/shop".into(), stream: "orders/app/1".into(), region: None };
    assert!(cloud.logs().last(&stream, 10).await.unwrap().is_empty());
    let topic = call(fake, "SNS", "CreateTopic", json!({ "Name": "deployments" }));
    let arn = Arn::of(topic["TopicArn"].as_str().unwrap(), "sns", "").unwrap();
    let note = Note { subject: "orders".into(), text: "v2 stands".into(), ..Note::default() };
    Topic::new(arn, &Access::of(variable, "SNS").unwrap()).publish(&note).await.unwrap();
}

/// A task set that somebody has scaled is put right.
async fn scaled(stage: Pair) -> Pair {
    let variables = stage.fake.environment();
    let ecs = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap().ecs("shop");
    let sets = ecs.services(&["orders"]).await.unwrap().remove(0).task_sets;
    ecs.scale_task_set("orders", &sets[0].id).await.unwrap();
    stage
}

/// A canary that comes to its end, and one that is stopped at its first share.
async fn by_aws(world: fn(f64) -> Stage) -> BTreeSet<String> {
    let mut compared = BTreeSet::new();
    for (aborts, outcome) in [(false, Outcome::Succeeded), (true, Outcome::RolledBack)] {
        let mut world = world(120.0);
        world.plan.settings["alarms"] = json!(["orders-5xx"]);
        let live = Live::new(world, Scripts::default());
        let mut is_told = !aborts;
        let ended = live.drive(|live| {
            if !is_told && live.view().weight.0 == 100 {
                is_told = true;
                live.shared.order(ROLLOUT, Order::Abort);
            }
            false
        });
        assert!(ended.await);
        assert_eq!(live.view().outcome, Some(outcome), "{}", live.told());
        // The next one looks through what was deployed before.
        let next = Subject { rollout: ROLLOUT + 1, ..live.world.subject(None) };
        live.world.target.perform(&Stage::order(next, Call::Preflight)).await.unwrap();
        compared.extend(live.world.fake.compared());
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_that_can_be_called_is_compared_with_awss_own_model() {
    if fake_aws::botocore().is_none() {
        return;
    }
    let callable = callable();
    assert!(callable.len() > 40 && callable.contains("STS.AssumeRoleWithWebIdentity"), "{callable:?}");
    let mut compared = BTreeSet::new();
    let stages =
        [a_whole_story(Pair::new()).await, by_rules().await, scaled(a_whole_story(Pair::with_task_sets()).await).await];
    for stage in stages {
        compared.extend(stage.fake.compared());
    }
    compared.extend(by_aws(codedeploy::canary).await);
    compared.extend(by_aws(native::canary).await);
    let fake = Fake::start(fake_aws::Options::default()).unwrap();
    by_steps(&fake).await;
    compared.extend(fake.compared());
    let missing: Vec<_> = callable.difference(&compared).collect();
    assert!(missing.is_empty(), "never called in this test, and so never compared: {missing:?}");
    println!("{} operations were called and compared", callable.len());
}
