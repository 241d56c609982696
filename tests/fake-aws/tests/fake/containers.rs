//! Real containers behind the fake, and real requests through its balancer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fake_aws::{Fake, Options};
use serde_json::{Value, json};

use crate::stage::{MINUTE, Stage, text};
use crate::wire::ask;

/// An image that is on machines that run the tests; nothing is pulled.
const IMAGE: &str = "python:3.11-slim-bookworm";
/// Starts of containers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers with a word, or 500, and is healthy.
const SERVER: &str = "
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536
    def do_GET(self):
        bad = self.path != '/health' and os.environ.get('FAIL')
        body = os.environ['WORD'].encode()
        self.send_response(500 if bad else 200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(('', 8080), Handler).serve_forever()
";

fn docker(arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("docker").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn is_here(test: &str) -> bool {
    let here = docker(&["image", "inspect", IMAGE]).is_some();
    if !here {
        eprintln!("fake-aws {test}: SKIPPED, Docker or the image {IMAGE} is not here");
    }
    here
}

fn options() -> Options {
    Options { containers: true, speed: 10.0, ..Options::default() }
}

impl Stage {
    fn define_server(&self, word: &str, fails: bool) -> String {
        let mut environment = vec![json!({ "name": "WORD", "value": word })];
        if fails {
            environment.push(json!({ "name": "FAIL", "value": "1" }));
        }
        self.define_with(json!({
            "name": "app", "image": IMAGE, "essential": true, "portMappings": [{ "containerPort": 8080 }],
            "command": ["python3", "-c", SERVER], "environment": environment,
        }))
    }

    fn address(&self, listener: &str) -> SocketAddr {
        self.fake.wait_for(PATIENCE, |fake| fake.listener_address(listener)).unwrap()
    }

    /// Sends requests; how often each word was answered, 5xx as `500`.
    fn requests(&self, listener: &str, count: usize) -> BTreeMap<String, usize> {
        let address = self.address(listener).to_string();
        let mut words = BTreeMap::new();
        for _ in 0..count {
            let (status, body) = ask(&address, "GET", "/", &[], b"").unwrap();
            let word = if status == 200 { String::from_utf8(body).unwrap() } else { status.to_string() };
            *words.entry(word).or_default() += 1;
        }
        words
    }

    /// Waits until a listener answers with this word and no other.
    fn until_all(&self, listener: &str, word: &str) {
        let all: BTreeMap<_, _> = [(word.to_owned(), 4)].into();
        let found = self.fake.wait_for(PATIENCE, |_| (self.requests(listener, 4) == all).then_some(()));
        assert!(found.is_some(), "{:?}", self.requests(listener, 4));
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let found = self.fake.wait_for(PATIENCE, |_| holds().then_some(()));
        assert!(found.is_some(), "{what}: {:#}", self.service());
    }
}

fn group(stage: &Stage, more: Value) {
    stage.call("CodeDeploy", "CreateApplication", json!({ "applicationName": "shop", "computePlatform": "ECS" }));
    let mut input = json!({
        "applicationName": "shop", "deploymentGroupName": "orders", "serviceRoleArn": "arn:aws:iam::123456789012:role/cd",
        "deploymentConfigName": "CodeDeployDefault.ECSCanary10Percent5Minutes",
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "ecsServices": [{ "clusterName": "shop", "serviceName": "orders" }],
        "autoRollbackConfiguration": { "enabled": true, "events": ["DEPLOYMENT_STOP_ON_ALARM"] },
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 1 },
            "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT" },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [{
            "targetGroups": [{ "name": "shop-blue" }, { "name": "shop-green" }],
            "prodTrafficRoute": { "listenerArns": [stage.listener] },
        }]},
    });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    stage.call("CodeDeploy", "CreateDeploymentGroup", input);
}

fn deploy(stage: &Stage, definition: &str) -> String {
    let spec = json!({ "version": 0.0, "Resources": [{ "TargetService": { "Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": definition, "LoadBalancerInfo": { "ContainerName": "app", "ContainerPort": 8080 },
    }}}]});
    let revision = json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": spec.to_string() } });
    let input = json!({ "applicationName": "shop", "deploymentGroupName": "orders", "revision": revision });
    text(&stage.call("CodeDeploy", "CreateDeployment", input), "/deploymentId")
}

fn info(stage: &Stage, id: &str) -> Value {
    stage.call("CodeDeploy", "GetDeployment", json!({ "deploymentId": id }))["deploymentInfo"].clone()
}

fn mine(fake: &Fake) -> Vec<String> {
    let port = fake.endpoint().rsplit(':').next().unwrap().to_owned();
    let name = format!("pipe-fake-{}-{port}-", std::process::id());
    let all = docker(&["ps", "-a", "--format", "{{.Names}}"]).unwrap();
    let networks = docker(&["network", "ls", "--format", "{{.Name}}"]).unwrap();
    all.lines().chain(networks.lines()).filter(|one| one.starts_with(&name)).map(str::to_owned).collect()
}

/// A metric's sum over everything so far.
fn sum(stage: &Stage, name: &str, group: &str) -> f64 {
    let balancer = text(&stage.call("ELBv2", "DescribeLoadBalancers", json!({})), "/LoadBalancers/0/LoadBalancerArn");
    let tail = |arn: &str, cut: &str| arn.split_once(cut).unwrap().1.to_owned();
    let now = stage.fake.now() / 1_000;
    let answer = stage.call("CloudWatch", "GetMetricStatistics", json!({
        "Namespace": "AWS/ApplicationELB", "MetricName": name, "StartTime": now - 3_600, "EndTime": now + 60, "Period": 60,
        "Statistics": ["Sum"], "Dimensions": [
            { "Name": "LoadBalancer", "Value": tail(&balancer, ":loadbalancer/") },
            { "Name": "TargetGroup", "Value": tail(group, ":123456789012:") },
        ],
    }));
    answer["Datapoints"].as_array().unwrap().iter().map(|point| point["Sum"].as_f64().unwrap()).sum()
}

#[test]
fn a_canary_shifts_real_requests_and_nothing_is_left() {
    if !is_here("canary") {
        return;
    }
    let stage = Stage::with(options());
    let blue = stage.define_server("blue", false);
    stage.serve(json!({ "deploymentController": { "type": "CODE_DEPLOY" }, "taskDefinition": blue }));
    group(&stage, json!({}));
    stage.until_all(&stage.listener, "blue");
    assert!(mine(&stage.fake).len() >= 3, "two tasks and a network: {:?}", mine(&stage.fake));

    let id = deploy(&stage, &stage.define_server("green", false));
    stage.until("a tenth goes to green", || stage.weights(&stage.rule) == (90, 10));
    // The table of the proxy follows; from then on shares are exact, but for one request where a target comes meanwhile.
    stage.until("green answers", || stage.requests(&stage.listener, 10).contains_key("green"));
    let split = stage.requests(&stage.listener, 1_000);
    assert!(split["blue"] + split["green"] == 1_000 && split["green"].abs_diff(100) <= 1, "{split:?}");
    stage.fake.advance(5 * MINUTE);
    stage.until("all goes to green", || stage.weights(&stage.rule) == (0, 100));
    stage.until_all(&stage.listener, "green");
    stage.until("requests are counted", || sum(&stage, "RequestCount", &stage.green) >= 104.0);
    assert!(sum(&stage, "HTTPCode_Target_2XX_Count", &stage.blue) >= 900.0);
    stage.fake.advance(2 * MINUTE);
    stage.until("it succeeds", || text(&info(&stage, &id), "/status") == "Succeeded");
    stage.fake.advance(MINUTE);
    stage.until("blue's tasks end", || stage.health(&stage.blue).is_empty() && mine(&stage.fake).len() == 3);

    let port = stage.fake.endpoint().rsplit(':').next().unwrap().to_owned();
    let Stage { fake, .. } = stage;
    assert_eq!(fake.stop(), Ok(()));
    let left = docker(&["ps", "-a", "--format", "{{.Names}}"]).unwrap();
    assert!(!left.contains(&format!("pipe-fake-{}-{port}-", std::process::id())), "{left}");
}

#[test]
fn errors_of_the_new_tasks_ring_an_alarm_that_goes_back() {
    if !is_here("alarm") {
        return;
    }
    let stage = Stage::with(options());
    let blue = stage.define_server("blue", false);
    stage.serve(json!({ "deploymentController": { "type": "CODE_DEPLOY" }, "taskDefinition": blue }));
    group(&stage, json!({ "alarmConfiguration": { "enabled": true, "alarms": [{ "name": "green-5xx" }] } }));
    let balancer = text(&stage.call("ELBv2", "DescribeLoadBalancers", json!({})), "/LoadBalancers/0/LoadBalancerArn");
    stage.call("CloudWatch", "PutMetricAlarm", json!({
        "AlarmName": "green-5xx", "Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count", "Statistic": "Sum",
        "Period": 60, "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Dimensions": [
            { "Name": "TargetGroup", "Value": stage.green.split_once(":123456789012:").unwrap().1 },
            { "Name": "LoadBalancer", "Value": balancer.split_once(":loadbalancer/").unwrap().1 },
        ],
    }));
    stage.until_all(&stage.listener, "blue");
    let id = deploy(&stage, &stage.define_server("green", true));
    stage.until("a tenth goes to green", || stage.weights(&stage.rule) == (90, 10));
    stage.until("the alarm rings", || {
        stage.requests(&stage.listener, 20);
        text(&info(&stage, &id), "/status") == "Failed"
    });
    let failed = info(&stage, &id);
    assert_eq!(text(&failed, "/errorInformation/code"), "ALARM_ACTIVE", "{failed:#}");
    assert!(text(&failed, "/errorInformation/message").contains("green-5xx"));
    stage.until("all goes to blue", || stage.weights(&stage.rule) == (100, 0));
    stage.until_all(&stage.listener, "blue");
}

#[test]
fn what_a_task_fails_by_is_told() {
    if !is_here("failures") {
        return;
    }
    let stage = Stage::with(options());
    let run = |container: Value, platform: Value| {
        let answer = stage.call(
            "ECS",
            "RegisterTaskDefinition",
            json!({
                "family": "job", "memory": "64", "containerDefinitions": [container], "runtimePlatform": platform,
            }),
        );
        let definition = text(&answer, "/taskDefinition/taskDefinitionArn");
        let task = stage.call("ECS", "RunTask", json!({ "cluster": "shop", "taskDefinition": definition }));
        let arn = text(&task, "/tasks/0/taskArn");
        let stopped = stage.fake.wait_for(PATIENCE, |_| {
            let described =
                stage.call("ECS", "DescribeTasks", json!({ "cluster": "shop", "tasks": [arn] }))["tasks"][0].clone();
            (described["lastStatus"] == "STOPPED").then_some(described)
        });
        (arn, stopped.unwrap())
    };
    let (_, gone) = run(json!({ "name": "app", "image": "nowhere.invalid/app:1" }), Value::Null);
    assert!(text(&gone, "/stoppedReason").starts_with("CannotPullContainerError"), "{gone:#}");
    assert_eq!(text(&gone, "/stopCode"), "TaskFailedToStart");
    let (_, other) = run(json!({ "name": "app", "image": IMAGE }), json!({ "cpuArchitecture": "ARM64" }));
    assert!(text(&other, "/stoppedReason").contains("matching platform 'linux/arm64'"), "{other:#}");
    let (arn, ended) = run(
        json!({ "name": "app", "image": IMAGE, "command": ["sh", "-c", "echo out of beans; exit 7"] }),
        Value::Null,
    );
    assert_eq!(
        (ended["containers"][0]["exitCode"].clone(), text(&ended, "/stopCode")),
        (json!(7), "EssentialContainerExited".to_owned())
    );
    assert_eq!(stage.fake.task_log(&arn).unwrap(), ["out of beans"]);
    let (_, command) = run(json!({ "name": "app", "image": IMAGE, "entryPoint": ["/no/such/file"] }), Value::Null);
    assert!(text(&command, "/stoppedReason").starts_with("CannotStartContainerError"), "{command:#}");
}

#[test]
fn what_a_killed_process_left_is_removed_at_the_next_start() {
    if !is_here("leftovers") {
        return;
    }
    let mut killed = std::process::Command::new(env!("CARGO_BIN_EXE_fake-aws"))
        .args(["--containers"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe stays open: a process whose output nobody takes would end by itself, in order.
    let out = std::io::BufReader::new(killed.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(out).map(Result::unwrap);
    let told: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(told.iter().any(|line| line.starts_with("AWS_ENDPOINT_URL=http://127.0.0.1:")), "{told:?}");
    let name = format!("pipe-fake-{}-", killed.id());
    let networks = || docker(&["network", "ls", "--format", "{{.Name}}"]).unwrap();
    assert!(networks().contains(&name));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(networks().contains(&name), "nobody had the time to remove it");
    let fake = Fake::start(options()).unwrap();
    assert!(!networks().contains(&name));
    drop(fake);
}

#[test]
fn docker_pushes_to_the_registry_and_tasks_are_pulled_from_it_by_digest() {
    if !is_here("push") {
        return;
    }
    let stage = Stage::with(options());
    stage.call(
        "ECR",
        "CreateRepository",
        json!({ "repositoryName": "shop/orders", "imageTagMutability": "IMMUTABLE" }),
    );
    let token = stage.call("ECR", "GetAuthorizationToken", json!({}));
    let decoded = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        text(&token, "/authorizationData/0/authorizationToken"),
    );
    let password = String::from_utf8(decoded.unwrap()).unwrap().replacen("AWS:", "", 1);
    let host = stage.fake.endpoint().replacen("http://", "", 1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello"), "hello").unwrap();
    let (archive, config) = (folder.path().join("image.tar"), folder.path().join("config"));
    let tar =
        std::process::Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(folder.path()).arg("hello").status();
    assert!(tar.unwrap().success());
    let (archive, config) = (archive.to_str().unwrap(), config.to_str().unwrap());
    let image = format!("{host}/shop/orders:v1");
    docker(&["import", archive, &image]).unwrap();
    assert!(docker(&["--config", config, "push", &image]).is_none(), "nobody pushes without a token");
    docker(&["--config", config, "login", "--username", "AWS", "--password", &password, &host]).unwrap();
    docker(&["--config", config, "push", &image]).unwrap();
    docker(&["rmi", &image]).unwrap();
    let images = stage.call("ECR", "DescribeImages", json!({ "repositoryName": "shop/orders" }));
    let digest = text(&images, "/imageDetails/0/imageDigest");
    assert_eq!(images["imageDetails"][0]["imageTags"], json!(["v1"]));
    let answer = stage.call("ECS", "RegisterTaskDefinition", json!({
        "family": "job", "memory": "64",
        "containerDefinitions": [{ "name": "app", "image": format!("{host}/shop/orders@{digest}"), "entryPoint": ["/hello"] }],
    }));
    let task = stage.call(
        "ECS",
        "RunTask",
        json!({ "cluster": "shop", "taskDefinition": text(&answer, "/taskDefinition/taskDefinitionArn") }),
    );
    let stopped = stage.fake.wait_for(PATIENCE, |_| {
        let input = json!({ "cluster": "shop", "tasks": [text(&task, "/tasks/0/taskArn")] });
        let described = stage.call("ECS", "DescribeTasks", input)["tasks"][0].clone();
        (described["lastStatus"] == "STOPPED").then_some(described)
    });
    // It was pulled: what fails is that a file with a greeting is no program.
    let stopped = stopped.unwrap();
    assert!(text(&stopped, "/stoppedReason").starts_with("CannotStartContainerError"), "{stopped:#}");
    docker(&["rmi", "--force", &format!("{host}/shop/orders@{digest}")]).unwrap();
}
