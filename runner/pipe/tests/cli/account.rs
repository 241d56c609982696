//! An account as `services/infrastructure` leaves it, in the fake: roles that jobs take with their tokens, repositories of images, and for
//! each environment a cluster, two services of each app that take turns, and rules for users and for tests.

use std::process::Command;
use std::time::Duration;

use fake_aws::{Fake, Options};
use serde_json::{Value as Json, json};

/// The shop's apps, and the paths that lead to them.
pub(crate) const APPS: [(&str, &str); 3] =
    [("products", "/api/products"), ("orders", "/api/orders"), ("frontend", "/shop")];
/// The repository whose jobs it trusts.
pub(crate) const NAME: &str = "acme/shop";
/// What names of images begin with: these are no images of the shop.
pub(crate) const PROJECT: &str = "pipe-tests";
/// Its number.
pub(crate) const NUMBER: &str = "123456789012";
/// Starts of containers and proxies on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account in one region.
pub(crate) struct Account {
    pub(crate) fake: Fake,
    /// Whether its containers are real.
    is_real: bool,
}

/// Where an environment is reached.
pub(crate) struct Place {
    /// What `terraform output -json deploy` prints.
    pub(crate) services: Json,
    /// Its address for users.
    pub(crate) users: String,
}

impl Account {
    /// One with repositories of the shop's images.
    pub(crate) fn new(options: Options) -> Self {
        let is_real = options.containers;
        let account = Self { fake: Fake::start(options).unwrap(), is_real };
        for (app, _) in APPS {
            let input = json!({ "repositoryName": format!("{PROJECT}/{app}"), "imageTagMutability": "IMMUTABLE" });
            account.call("ECR", "CreateRepository", &input);
        }
        account
    }

    pub(crate) fn call(&self, service: &str, name: &str, input: &Json) -> Json {
        self.fake.call(service, name, input).unwrap_or_else(|error| panic!("{service}.{name} {input}: {error:?}"))
    }

    /// Trusts a server: jobs of `main` for the role `push`, and those of each of these environments for its role `deploy-NAME`.
    pub(crate) fn trust(&self, server: &str, environments: &[&str]) {
        let provider = json!({ "Url": format!("http://{server}"), "ClientIDList": ["sts.amazonaws.com"] });
        let provider = self.call("IAM", "CreateOpenIDConnectProvider", &provider)["OpenIDConnectProviderArn"].clone();
        let push = ("push".to_owned(), format!("repo:{NAME}:ref:refs/heads/main"));
        let of = |name: &&str| (format!("deploy-{name}"), format!("repo:{NAME}:environment:{name}"));
        for (role, subject) in std::iter::once(push).chain(environments.iter().map(of)) {
            let trust = trust(server, &provider, &subject);
            // Below a path, as companies have them.
            let input = json!({ "RoleName": role, "Path": "/ci/", "AssumeRolePolicyDocument": trust.to_string() });
            self.call("IAM", "CreateRole", &input);
        }
    }

    /// Trusts jobs of this `sub` for a role that is there, and no others.
    pub(crate) fn trust_only(&self, server: &str, role: &str, subject: &str) {
        let provider = json!(format!("arn:aws:iam::{NUMBER}:oidc-provider/{server}"));
        let policy = trust(server, &provider, subject).to_string();
        self.call("IAM", "UpdateAssumeRolePolicy", &json!({ "RoleName": role, "PolicyDocument": policy }));
    }

    /// An environment with these apps, in which nothing runs but `stands`, an image, where there is one.
    pub(crate) fn environment(&self, name: &str, apps: &[&str], stands: Option<&str>) -> Place {
        let cluster = format!("shop-{name}");
        self.call("ECS", "CreateCluster", &json!({ "clusterName": cluster }));
        let input = json!({ "Name": cluster, "Subnets": ["subnet-1"] });
        let balancer = text(&self.call("ELBv2", "CreateLoadBalancer", &input), "/LoadBalancers/0/LoadBalancerArn");
        // Where no rule leads.
        let nobody = self.group(&format!("{cluster}-nobody"));
        let listener = |port: u16| {
            let answer = json!([{ "Type": "forward", "TargetGroupArn": nobody }]);
            let input =
                json!({ "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTP", "DefaultActions": answer });
            text(&self.call("ELBv2", "CreateListener", &input), "/Listeners/0/ListenerArn")
        };
        let listeners = [listener(80), listener(8443)];
        let addresses = listeners.each_ref().map(|listener| self.address(listener));
        let of = |(app, path): &(&str, &str)| {
            let [rule, tests] = self.app(&cluster, (app, path), &listeners, stands);
            let service = format!("{cluster}-{app}");
            let value = json!({
                "cluster": cluster, "service": service, "services": format!("{service}-a,{service}-b"), "listener-rule": rule,
                "test-listener-rule": tests, "container-name": app, "alarms": "", "url": addresses[0], "test-url": addresses[1],
                "execution-role": format!("arn:aws:iam::{NUMBER}:role/{service}-execution"),
                "task-role": format!("arn:aws:iam::{NUMBER}:role/{service}-task"), "secrets": "",
            });
            ((*app).to_owned(), value)
        };
        let services = APPS.iter().filter(|(app, _)| apps.contains(app)).map(of).collect();
        Place { services: Json::Object(services), users: addresses[0].clone() }
    }

    /// Where requests to a listener go; nowhere, where nothing is real.
    fn address(&self, listener: &str) -> String {
        if !self.is_real {
            return "http://127.0.0.1:9".to_owned();
        }
        let found = self.fake.wait_for(PATIENCE, |fake| fake.listener_address(listener));
        format!("http://{}", found.expect("the listener carries requests"))
    }

    /// A target group.
    fn group(&self, name: &str) -> String {
        let input = json!({
            "Name": name, "Protocol": "HTTP", "Port": 8080, "TargetType": "ip", "VpcId": "vpc-1", "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3,
        });
        let arn = text(&self.call("ELBv2", "CreateTargetGroup", &input), "/TargetGroups/0/TargetGroupArn");
        let delay = json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "10" }]);
        let input = json!({ "TargetGroupArn": arn, "Attributes": delay });
        self.call("ELBv2", "ModifyTargetGroupAttributes", &input);
        arn
    }

    /// Two services of an app and its two rules.
    fn app(
        &self,
        cluster: &str,
        (app, path): (&str, &str),
        listeners: &[String; 2],
        stands: Option<&str>,
    ) -> [String; 2] {
        let full = format!("{cluster}-{app}");
        let groups = ["a", "b"].map(|slot| self.group(&format!("{full}-{slot}")));
        let priority = APPS.iter().position(|(name, _)| *name == app).unwrap_or(0) * 10 + 100;
        let rule = |listener: &str, weights: [u16; 2]| {
            let forward = json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [
                { "TargetGroupArn": groups[0], "Weight": weights[0] }, { "TargetGroupArn": groups[1], "Weight": weights[1] },
            ] } }]);
            let input = json!({
                "ListenerArn": listener, "Priority": priority, "Actions": forward,
                "Conditions": [{ "Field": "path-pattern", "PathPatternConfig": { "Values": [format!("{path}/*")] } }],
            });
            text(&self.call("ELBv2", "CreateRule", &input), "/Rules/0/RuleArn")
        };
        let rules = [rule(&listeners[0], [100, 0]), rule(&listeners[1], [0, 100])];
        let definition = json!({
            "family": full, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [{
                "name": app, "image": stands.unwrap_or("public.ecr.aws/docker/library/busybox:1.37"),
                "environment": [{ "name": "NAME", "value": app }], "portMappings": [{ "containerPort": 8080 }],
            }],
        });
        self.call("ECS", "RegisterTaskDefinition", &definition);
        for (slot, group) in ["a", "b"].into_iter().zip(&groups) {
            let tasks = u8::from(slot == "a" && stands.is_some());
            let input = json!({
                "cluster": cluster, "serviceName": format!("{full}-{slot}"), "taskDefinition": full, "desiredCount": tasks,
                "launchType": "FARGATE",
                "loadBalancers": [{ "targetGroupArn": group, "containerName": app, "containerPort": 8080 }],
                "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
            });
            self.call("ECS", "CreateService", &input);
        }
        rules
    }

    /// Shares of the groups `a` and `b` of a rule.
    pub(crate) fn weights(&self, rule: &str) -> [i64; 2] {
        let answer = self.call("ELBv2", "DescribeRules", &json!({ "RuleArns": [rule] }));
        let tuples = answer["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"].as_array().unwrap();
        ["-a/", "-b/"].map(|slot| {
            let found = tuples.iter().find(|tuple| tuple["TargetGroupArn"].as_str().unwrap().contains(slot));
            found.and_then(|tuple| tuple["Weight"].as_i64()).unwrap_or(0)
        })
    }
}

/// A policy that lets jobs with this `sub` take its role.
pub(crate) fn trust(server: &str, provider: &Json, subject: &str) -> Json {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": { "Federated": provider },
        "Condition": { "StringEquals": { format!("{server}:aud"): "sts.amazonaws.com", format!("{server}:sub"): subject } },
    }]})
}

/// What an address answers.
pub(crate) fn ask(url: &str) -> String {
    let output = Command::new("curl").args(["-fsS", "--max-time", "10", url]).output().unwrap();
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A text in a value.
#[track_caller]
pub(crate) fn text(value: &Json, pointer: &str) -> String {
    value.pointer(pointer).and_then(Json::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}")).to_owned()
}
