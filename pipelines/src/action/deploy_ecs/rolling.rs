//! `strategy: rolling` as a workflow has it: what a dry run says, what is refused, and whole deployments of real containers under load.

use super::tests::{Place, failed};
use super::traffic::{BAD, Shop, ask};

/// The service that has the users, which needs no second one.
const ROLLING: [(&str, &str); 4] = [
    ("strategy", "rolling"),
    ("service", "orders-a"),
    ("listener-rule", ""),
    ("steps", "[{ weight: 100, bake: 20s }]"),
];

pub(super) fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    ROLLING.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).chain(more).copied().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_each_call_and_makes_none() {
    let place = Place::new();
    let more = [("dry-run", "true"), ("maximum-percent", "150"), ("desired-count", "4"), ("rollback-on", "alarm")];
    let dry = place.run("v1", &with(&more)).await;
    assert!(dry.result.is_ok(), "{:?}\n{}", dry.result, dry.log);
    for part in [
        "service      orders-a in cluster shop",
        "ECS rolls    task by task: 100 % stay healthy, 150 % run at most",
        "plan hash    sha256:",
        "1. ecs:RegisterTaskDefinition family=orders image=r.example/orders@sha256:aaaa",
        "2. ecs:UpdateService cluster=shop service=orders-a taskDefinition=orders:<new> strategy=ROLLING circuitBreaker=on rollback=false \
         desiredCount=4 maximumPercent=150",
    ] {
        assert!(dry.log.contains(part), "{part}\n{}", dry.log);
    }
    let journal = place.stage.fake.journal();
    let changes =
        journal.iter().filter(|call| !call.operation.starts_with("Describe") && call.operation != "GetCallerIdentity");
    assert_eq!(changes.filter(|call| !call.operation.starts_with("List")).count(), 0, "{journal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_do_is_said_before_anything_is_done() {
    let place = Place::new();
    let hooks = "AfterAllowTestTraffic: ./smoke.sh";
    let wrong = with(&[
        ("steps", "[{ weight: 10, for: 5m }, { weight: 100 }]"),
        ("analysis", "{ metrics: [errors] }"),
        ("keep-blue", "1h"),
        ("test-url", "http://127.0.0.1:1"),
        ("services", "a,b"),
        ("hooks", hooks),
        ("maximum-percent", "90"),
    ]);
    let tried = place.run("v1", &wrong).await;
    failed(&tried, &["`maximum-percent: 90` is not a percentage from 100 to 200"]);
    let wrong: Vec<_> = wrong.into_iter().filter(|(name, _)| *name != "maximum-percent").collect();
    failed(
        &place.run("v1", &wrong).await,
        &[
            "goes task by task and holds no share",
            "`analysis` is not for `rolling`: both colours answer from one target group",
            "`keep-blue` is not for `rolling`",
            "`test-url` is not for `rolling`",
            "`services` is for strategy `weighted`, and this one is `rolling`",
            "`hooks` has AfterAllowTestTraffic, and users meet the first new task",
        ],
    );
    failed(&place.run("v1", &with(&[("service", "none")])).await, &["there is no service `none`"]);
    let changes = ["ECS.RegisterTaskDefinition", "ECS.UpdateService"];
    assert_eq!(changes.map(|call| place.stage.fake.effects(call)), [0; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_by_task_without_a_failed_request() {
    let shop = Shop::open().await;
    let (tried, answers, took) = shop.deploy(&[], &with(&[])).await;
    assert!(tried.result.is_ok(), "{:?}", tried.result);
    assert_eq!((tried.outputs["status"].as_str(), tried.outputs["final-weight"].as_str()), ("succeeded", "100"));
    assert!(tried.outputs["task-definition-arn"].ends_with(":task-definition/orders:2"), "{:?}", tried.outputs);
    let versions: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(versions, ["v1", "v2"], "no request failed: {answers:?}");
    println!("{took:?}");
    let fake = &shop.place.stage.fake;
    assert_eq!(
        ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"]
            .map(|call| fake.effects(&format!("ECS.{call}"))),
        [1, 1, 0]
    );
    // What stands keeps a tag in its repository, so that no rule removes it.
    let tags = fake.call("ECR", "DescribeImages", &serde_json::json!({ "repositoryName": "shop/orders" })).unwrap();
    assert!(tags.to_string().contains("pipe-deployed-production-1-"), "{tags}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_breaker_goes_back_and_says_why() {
    let shop = Shop::open().await;
    let crash = ["sh", "-c", "echo no DATABASE_URL; exit 3"];
    let (tried, answers, _) = shop.deploy(&crash, &with(&[])).await;
    let error = tried.result.unwrap_err().to_string();
    for part in [
        "rejected",
        "ECS deployment circuit breaker: tasks failed to start",
        "container `app` ended with exit code 3",
        "the end of the log of `app`",
        "no DATABASE_URL",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["v1"], "no user has met it: {answers:?}");
    let fake = &shop.place.stage.fake;
    assert_eq!(
        ["UpdateService", "StopServiceDeployment"].map(|call| fake.effects(&format!("ECS.{call}"))),
        [1, 0],
        "ECS went back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_goes_back() {
    let shop = Shop::open().await;
    shop.alarm("orders-a");
    let (tried, answers, _) = shop.deploy(&["sh", "-c", BAD], &with(&[("alarms", "orders-5xx")])).await;
    let error = tried.result.unwrap_err().to_string();
    assert!(error.contains("rolled-back") && error.contains("orders-5xx"), "{error}");
    assert_eq!((tried.outputs["status"].as_str(), tried.outputs["final-weight"].as_str()), ("rolled-back", "0"));
    assert!(answers.contains_key("500") && answers.contains_key("v1"), "{answers:?}");
    assert_eq!(ask(&shop.address).await.as_deref(), Ok("v1"));
    assert_eq!(shop.place.stage.fake.effects("ECS.UpdateService"), 1);
}
