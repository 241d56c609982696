//! Real containers, real requests, the whole action: an image goes into the fake's registry and from there to users, or back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws::Cloud;
use engine::step::trial::Tried;
use fake_aws::Options;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use workflow::secret::Secret;

use super::tests::Place;
use crate::docker::Docker;
use crate::push::Push;
use crate::registry::Login;
use crate::target::ecs::stage::{Stage, text};
use crate::target::local::tests::world::image;

/// Seconds of the virtual clock in a real one.
const SPEED: f64 = 10.0;
/// Starts of containers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Users at a time.
const USERS: usize = 4;
/// Answers 500 to users and is healthy.
pub(super) const BAD: &str = "busybox mkdir -p /tmp/w/cgi-bin; echo well > /tmp/w/health; \
    printf '#!/bin/sh\\nprintf \"Status: 500 Bad\\\\r\\\\n\\\\r\\\\n\"\\n' > /tmp/w/cgi-bin/version; \
    busybox chmod 755 /tmp/w/cgi-bin/version; exec httpd -f -p 8080 -h /tmp/w";

fn definition(image: &str, version: &str, command: &[&str]) -> Value {
    let mut container = json!({
        "name": "app", "image": image, "portMappings": [{ "containerPort": 8080 }],
        "environment": [{ "name": "VERSION", "value": version }],
        "logConfiguration": { "logDriver": "awslogs", "options": {
            "awslogs-group": "/shop", "awslogs-stream-prefix": "orders", "awslogs-region": "eu-central-1",
        } },
    });
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    json!({
        "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/ecs", "containerDefinitions": [container],
    })
}

/// Two services of containers, the first of which serves; the image is in the registry too.
pub(super) struct Shop {
    pub(super) place: Place,
    /// By its digest.
    pub(super) image: String,
    pub(super) address: String,
}

impl Shop {
    pub(super) async fn open() -> Self {
        Self::on(Stage::of).await
    }

    /// On the stage that this makes.
    pub(super) async fn on(set: fn(Options, &Value) -> Stage) -> Self {
        let options = Options { speed: SPEED, containers: true, ..Options::default() };
        let stage = set(options, &definition(image(), "v1", &[]));
        stage.fake.call("ECR", "CreateRepository", &json!({ "repositoryName": "shop/orders" })).unwrap();
        let variables = stage.fake.environment();
        let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
        let key = cloud.ecr(None).login(&[]).await.unwrap().remove(0);
        let host = stage.fake.endpoint().trim_start_matches("http://").to_owned();
        let push = Push {
            image: image().to_owned(),
            must_be: None,
            host: host.clone(),
            repository: "shop/orders".to_owned(),
            tags: vec!["v2".to_owned()],
            may_move: false,
            login: Some(Login { user: key.user, password: Secret::new(&*key.password) }),
            keeps_name: true,
        };
        let pushed = push.run(&Docker::connect().await.unwrap(), |_| {}).await.unwrap();
        let address = stage.fake.wait_for(PATIENCE, |fake| fake.listener_address(&stage.listener)).unwrap().to_string();
        // The first one answers before its last task is healthy, and nothing else is deployed until then.
        stage.fake.wait_for(PATIENCE, |fake| stage.is_complete(fake)).expect("the first version is not complete");
        let shop = Self { place: Place::on(stage), image: format!("{host}/shop/orders@{}", pushed.digest), address };
        let until = Instant::now() + PATIENCE;
        while ask(&shop.address).await.as_deref() != Ok("v1") {
            assert!(Instant::now() < until, "the first version does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        shop
    }

    /// Deploys while users come; what they were answered, how often.
    pub(super) async fn deploy(
        &self,
        command: &[&str],
        given: &[(&str, &str)],
    ) -> (Tried, BTreeMap<String, usize>, Duration) {
        self.deploy_as("v2", command, given).await
    }

    /// As this version, by a step of its own.
    pub(super) async fn deploy_as(
        &self,
        version: &str,
        command: &[&str],
        given: &[(&str, &str)],
    ) -> (Tried, BTreeMap<String, usize>, Duration) {
        let file = definition(&self.image, version, command).to_string();
        std::fs::write(self.place.workspace().join("taskdef.json"), file).unwrap();
        let over = CancellationToken::new();
        let users = (0..USERS).map(|_| {
            let (over, address) = (over.clone(), self.address.clone());
            tokio::spawn(async move {
                let mut answers = BTreeMap::<String, usize>::new();
                while !over.is_cancelled() {
                    let answer = ask(&address).await.unwrap_or_else(|error| error);
                    *answers.entry(answer).or_default() += 1;
                    // As many as a person's browser would; the machine has other work.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answers
            })
        });
        let users: Vec<_> = users.collect();
        let begun = Instant::now();
        let tried = self.place.run(version, given).await;
        let took = begun.elapsed();
        over.cancel();
        let mut answers = BTreeMap::<String, usize>::new();
        for user in users {
            for (answer, count) in user.await.unwrap() {
                *answers.entry(answer).or_default() += count;
            }
        }
        println!(
            "{}\nstatus {:?} in {took:?}; users were answered {answers:?}",
            tried.log,
            tried.outputs.get("status")
        );
        (tried, answers, took)
    }

    pub(super) fn alarm(&self, group: &str) {
        let call = |service: &str, name: &str, input: &Value| self.place.stage.fake.call(service, name, input).unwrap();
        let groups = call("ELBv2", "DescribeTargetGroups", &json!({ "Names": [group] }));
        let group = text(&groups, "/TargetGroups/0/TargetGroupArn");
        let balancers = call("ELBv2", "DescribeLoadBalancers", &json!({}));
        let balancer = text(&balancers, "/LoadBalancers/0/LoadBalancerArn");
        let alarm = json!({
            "AlarmName": "orders-5xx", "Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count",
            "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
            "Dimensions": [
                { "Name": "TargetGroup", "Value": group.splitn(6, ':').nth(5).unwrap() },
                { "Name": "LoadBalancer", "Value": balancer.split_once(":loadbalancer/").unwrap().1 },
            ],
        });
        call("CloudWatch", "PutMetricAlarm", &alarm);
    }
}

/// One request: the body of a 200, else the status, or why there was none.
pub(super) async fn ask(address: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed: {:?}", error.kind());
    let mut stream = tokio::net::TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("GET /cgi-bin/version HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(failed)?;
    let status = answer.split(' ').nth(1).unwrap_or("nothing").to_owned();
    if status != "200" {
        return Err(status);
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    // In chunks, or not: a version is one word.
    let is_version = |word: &&str| word.starts_with('v');
    Ok(body.split_whitespace().find(is_version).unwrap_or("no version").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_fifty_all_without_a_failed_request() {
    goes_to_the_end(&Shop::open().await, "").await;
}

pub(super) async fn goes_to_the_end(shop: &Shop, services: &str) {
    let steps = "- { weight: 10, for: 30s, analyse: true }\n- { weight: 50, for: 30s }\n- { weight: 100, bake: 30s }";
    let analysis = "{ min-requests: 5, inconclusive: promote }";
    let given = [("steps", steps), ("analysis", analysis), ("services", services)];
    let (tried, answers, took) = shop.deploy(&[], &given).await;
    assert!(tried.result.is_ok(), "{:?}", tried.result);
    assert_eq!((tried.outputs["status"].as_str(), tried.outputs["final-weight"].as_str()), ("succeeded", "100"));
    assert!(tried.outputs["task-definition-arn"].ends_with(":task-definition/orders:2"), "{:?}", tried.outputs);
    let versions: Vec<&str> = answers.keys().map(String::as_str).collect();
    assert_eq!(versions, ["v1", "v2"], "no request failed: {answers:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    // What stands keeps a tag in its repository, so that no rule removes it.
    let tags =
        shop.place.stage.fake.call("ECR", "DescribeImages", &json!({ "repositoryName": "shop/orders" })).unwrap();
    assert!(tags.to_string().contains("pipe-deployed-production-1-"), "{tags}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_go_back_by_analysis() {
    goes_back_by_analysis(&Shop::open().await, "").await;
}

pub(super) async fn goes_back_by_analysis(shop: &Shop, services: &str) {
    let steps = "- { weight: 50, for: 10m, analyse: true }\n- { weight: 100 }";
    let (tried, answers, _) = shop.deploy(&["sh", "-c", BAD], &[("steps", steps), ("services", services)]).await;
    let error = tried.result.unwrap_err().to_string();
    assert!(error.contains("rolled-back"), "{error}");
    assert_eq!((tried.outputs["status"].as_str(), tried.outputs["final-weight"].as_str()), ("rolled-back", "0"));
    assert!(answers.contains_key("500"), "{answers:?}");
    assert_eq!(ask(&shop.address).await.as_deref(), Ok("v1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_goes_back() {
    goes_back_by_alarm(&Shop::open().await, "").await;
}

pub(super) async fn goes_back_by_alarm(shop: &Shop, services: &str) {
    shop.alarm("orders-b");
    let given = [
        ("steps", "- { weight: 50, for: 10m }\n- { weight: 100 }"),
        ("alarms", "orders-5xx"),
        ("rollback-on", "failure,alarm"),
        ("services", services),
    ];
    let (tried, _, _) = shop.deploy(&["sh", "-c", BAD], &given).await;
    let error = tried.result.unwrap_err().to_string();
    assert!(error.contains("rolled-back") && error.contains("the alarm is on: orders-5xx"), "{error}");
    assert_eq!(ask(&shop.address).await.as_deref(), Ok("v1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_start_is_told_with_the_end_of_its_log() {
    does_not_start(&Shop::open().await, "").await;
}

pub(super) async fn does_not_start(shop: &Shop, services: &str) {
    let crash = ["sh", "-c", "echo no DATABASE_URL; exit 3"];
    let (tried, answers, _) = shop.deploy(&crash, &[("start-period", "3m"), ("services", services)]).await;
    let error = tried.result.unwrap_err().to_string();
    for part in ["rejected", "container `app` ended with exit code 3", "the end of the log of `app`", "no DATABASE_URL"]
    {
        assert!(error.contains(part), "{part}\n{error}");
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["v1"], "no user has seen it: {answers:?}");
}
