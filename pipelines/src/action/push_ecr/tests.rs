//! What is asked of ECR before and after a push, with recorded answers, and the push itself into `docker-registry` where it is.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use engine::step::trial::Tried;

use super::super::answering::answers;
use super::super::fake_aws::{identity, with_keys};
use super::*;
use crate::push::tests::Small;
use crate::registry::tests::Program;

async fn run(answer: Vec<(&'static str, String)>, inputs: &[(&str, &str)]) -> (Tried, Receiver<String>) {
    let (endpoint, got) = answers(answer);
    let scratch = tempfile::tempdir().unwrap();
    let trial = with_keys(&endpoint, scratch.path());
    (trial.run(&PushEcr, inputs).await, got)
}

fn json(body: &str) -> (&'static str, String) {
    ("200 OK", body.to_owned())
}

fn error(code: &str) -> (&'static str, String) {
    ("400 Bad Request", format!("{{\"__type\":\"{code}\",\"message\":\"said\"}}"))
}

const REPOSITORY: &str = r#"{"repositories":[{"repositoryUri":"x/shop/orders","imageTagMutability":"IMMUTABLE"}]}"#;
const LOGIN: &str =
    r#"{"authorizationData":[{"authorizationToken":"QVdTOnBhc3M6d29yZA==","proxyEndpoint":"https://x"}]}"#;
const LEAST: [(&str, &str); 3] = [("image", "a:1"), ("repository", "shop/orders"), ("tags", "v1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_sets_rules_and_waits_for_copies() {
    let Some(registry) = Program::start() else {
        println!("SKIPPED: docker-registry is not installed");
        return;
    };
    let mut image = Small::build("pipe-push-ecr", "ecr").await;
    image.more = vec![format!("{}/shop/orders:v1", registry.host)];
    let copies = |state: &str| {
        json(&format!("{{\"replicationStatuses\":[{{\"region\":\"us-west-2\",\"status\":\"{state}\"}}]}}"))
    };
    let answer = vec![
        json(REPOSITORY),
        json(LOGIN),
        error("LifecyclePolicyNotFoundException"),
        json("{}"),
        copies("IN_PROGRESS"),
        copies("COMPLETE"),
    ];
    let inputs = [
        ("image", image.name.as_str()),
        ("repository", "shop/orders"),
        ("tags", "v1"),
        ("registry", &registry.host),
        ("replicate-to", "us-west-2"),
        ("lifecycle-keep", "10"),
        ("require-scan", "pass"),
    ];
    let (tried, got) = run(answer, &inputs).await;
    let docker = crate::docker::Docker::connect().await.unwrap();
    let left = docker.client.inspect_image(&image.name).await.unwrap().repo_tags.unwrap();
    assert_eq!(left, [image.name.clone()], "it has the names that it had");
    image.remove().await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert_eq!((tried.outputs["replicated"].as_str(), tried.outputs["pushed"].as_str()), ("us-west-2", "true"));
    let got: Vec<_> = got.try_iter().collect();
    let put = got.iter().find(|one| one.contains("PutLifecyclePolicy")).unwrap();
    assert!(put.contains("pipe-deployed-") && put.contains("imageCountMoreThan"), "{put}");
    assert_eq!(got.iter().filter(|one| one.contains("DescribeImageReplicationStatus")).count(), 2);
    assert!(!tried.log.contains("pass:word"), "{}", tried.log);
}

#[tokio::test]
async fn nothing_is_pushed_that_should_not_be() {
    for (answer, more, words) in [
        (vec![json("{}")], ("require-scan", "fail"), "the scan of the image ended with `fail`"),
        (
            vec![error("RepositoryNotFoundException")],
            ("move-tags", "false"),
            "there is no repository `shop/orders` in eu-central-1",
        ),
        (
            vec![error("AccessDeniedException")],
            ("move-tags", "false"),
            "may not do `ecr:DescribeRepositories` on shop/orders",
        ),
        (vec![error("ExpiredTokenException")], ("move-tags", "false"), "the credentials have expired"),
        (vec![json(REPOSITORY)], ("replicate-to", "mars"), "`replicate-to`: `mars` is no region"),
        (vec![json(REPOSITORY)], ("lifecycle-keep", "0"), "`lifecycle-keep: 0` is not a number from 1"),
        (vec![identity("123456789012")], ("allowed-account-ids", "210987654321"), "nothing was done"),
    ] {
        let (tried, got) = run(answer, &[&LEAST[..], &[more]].concat()).await;
        let error = tried.result.unwrap_err().to_string();
        assert!(error.contains(words), "{words}\n{error}");
        assert!(!got.try_iter().any(|one| one.contains("Put") || one.contains("Create")), "{words}");
    }
}

#[tokio::test]
async fn a_repository_is_made_where_that_is_asked_for() {
    let answer = vec![error("RepositoryNotFoundException"), json(LOGIN)];
    let inputs = [&LEAST[..], &[("create-repository", "true"), ("dry-run", "true")]].concat();
    let (tried, got) = run(answer, &inputs).await;
    assert!(tried.result.is_ok(), "{}", tried.log);
    assert!(tried.log.contains("it would create the repository shop/orders"), "{}", tried.log);
    assert!(!got.try_iter().any(|one| one.contains("CreateRepository")));
}

#[tokio::test]
async fn rules_of_others_are_left() {
    let others = json(r#"{"lifecyclePolicyText":"{\"rules\":[]}"}"#);
    let (endpoint, got) = answers(vec![others]);
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("x"),
        "AWS_REGION" => Some("eu-central-1"),
        "AWS_ENDPOINT_URL" => Some(endpoint.as_str()),
        _ => None,
    };
    let ecr = Cloud::of(None, variable).unwrap().ecr(None);
    let stands = ecr.lifecycle("shop/orders").await.unwrap().unwrap();
    assert!(!aws::is_same_policy(&stands, &aws::lifecycle_policy(10, 100, 14)));
    assert!(got.recv().unwrap().contains("GetLifecyclePolicy"));
}

/// An image that goes into the fake's own registry, whose replication never ends, and whose tags never move.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_never_come_and_tags_of_others_are_said() {
    let fake = fake_aws::Fake::start(fake_aws::Options::default()).unwrap();
    let call = |name: &str, input: serde_json::Value| fake.call("ECR", name, &input).unwrap();
    call("CreateRepository", serde_json::json!({ "repositoryName": "shop/orders", "imageTagMutability": "IMMUTABLE" }));
    let to = serde_json::json!([{ "destinations": [{ "region": "us-west-2", "registryId": "123456789012" }] }]);
    call("PutReplicationConfiguration", serde_json::json!({ "replicationConfiguration": { "rules": to } }));
    fake.hang_replication(true);
    let host = fake.endpoint().trim_start_matches("http://").to_owned();
    let (mut one, mut other) =
        (Small::build("pipe-ecr-one", "one").await, Small::build("pipe-ecr-other", "other").await);
    one.more = vec![format!("{host}/shop/orders:v1")];
    other.more = vec![format!("{host}/shop/orders:v1")];
    let scratch = tempfile::tempdir().unwrap();
    let push = async |image: &str, more: &[(&str, &str)]| {
        let mut trial = with_keys(&fake.endpoint(), scratch.path());
        trial.env.extend(fake.environment());
        let least = [("image", image), ("repository", "shop/orders"), ("tags", "v1"), ("registry", &host)];
        trial.run(&PushEcr, &[&least[..], more].concat()).await
    };
    let late = push(&one.name, &[("replicate-to", "us-west-2"), ("replication-timeout", "1s")]).await;
    // Here it has the names that it had.
    let docker = crate::docker::Docker::connect().await.unwrap();
    let left = docker.client.inspect_image(&one.name).await.unwrap().repo_tags.unwrap();
    assert_eq!(left, [one.name.clone()]);
    let error = late.result.unwrap_err().to_string();
    for part in
        ["after 1 s there is no copy in us-west-2", "The push itself is done; running the step again goes on waiting"]
    {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let taken = push(&other.name, &[]).await.result.unwrap_err().to_string();
    assert!(taken.contains("tag `v1` of") && taken.contains("which is another image: nothing was pushed"), "{taken}");
    // Not by force either: AWS keeps such tags.
    let forced = push(&other.name, &[("move-tags", "true")]).await;
    assert!(forced.result.is_err(), "{}", forced.log);
    let images = call("DescribeImages", serde_json::json!({ "repositoryName": "shop/orders" }));
    assert_eq!(images["imageDetails"].as_array().unwrap().len(), 1, "{images}");
    fake.hang_replication(false);
    fake.advance(Duration::from_secs(600));
    let again = push(&one.name, &[("replicate-to", "us-west-2"), ("replication-timeout", "10s")]).await;
    assert!(again.result.is_ok() && again.outputs["pushed"] == "false", "{:?}\n{}", again.result, again.log);
    assert_eq!(again.outputs["replicated"], "us-west-2");
    one.remove().await;
    other.remove().await;
}
