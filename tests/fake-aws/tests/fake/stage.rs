//! A stage for stories: a cluster, a balancer with two groups, and task definitions.

use std::time::Duration;

use fake_aws::{Fake, Options};
use serde_json::{Value, json};

/// What a story stands on.
pub(crate) struct Stage {
    pub(crate) fake: Fake,
    pub(crate) blue: String,
    pub(crate) green: String,
    pub(crate) listener: String,
    pub(crate) test_listener: String,
    /// The listeners' own rules.
    pub(crate) rule: String,
    pub(crate) test_rule: String,
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

impl Stage {
    /// In a world without containers, whose clock stands.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let fake = Fake::start(options).unwrap();
        let call = |service: &str, operation: &str, input: Value| fake.call(service, operation, &input).unwrap();
        call("ECS", "CreateCluster", json!({ "clusterName": "shop" }));
        let group = |name: &str| {
            let input = json!({
                "Name": name, "Protocol": "HTTP", "Port": 8080, "TargetType": "ip", "VpcId": "vpc-1", "HealthCheckPath": "/health",
                "HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
            });
            let arn = text(&call("ELBv2", "CreateTargetGroup", input), "/TargetGroups/0/TargetGroupArn");
            let attributes = json!([{ "Key": "deregistration_delay.timeout_seconds", "Value": "10" }]);
            call("ELBv2", "ModifyTargetGroupAttributes", json!({ "TargetGroupArn": arn, "Attributes": attributes }));
            arn
        };
        let (blue, green) = (group("shop-blue"), group("shop-green"));
        let balancer = call("ELBv2", "CreateLoadBalancer", json!({ "Name": "shop", "Subnets": ["subnet-1"] }));
        let balancer = text(&balancer, "/LoadBalancers/0/LoadBalancerArn");
        let listener = |port: u16, group: &str| {
            let input = json!({
                "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTP",
                "DefaultActions": [{ "Type": "forward", "TargetGroupArn": group }],
            });
            text(&call("ELBv2", "CreateListener", input), "/Listeners/0/ListenerArn")
        };
        let (listener, test_listener) = (listener(80, &blue), listener(8443, &blue));
        let rule = |listener: &str| {
            text(&call("ELBv2", "DescribeRules", json!({ "ListenerArn": listener })), "/Rules/0/RuleArn")
        };
        let (rule, test_rule) = (rule(&listener), rule(&test_listener));
        let stage = Self { fake, blue, green, listener, test_listener, rule, test_rule };
        stage.define("app:1");
        stage
    }

    pub(crate) fn call(&self, service: &str, operation: &str, input: Value) -> Value {
        match self.fake.call(service, operation, &input) {
            Ok(answer) => answer,
            Err((code, message)) => panic!("{service}.{operation} {input}: {code}: {message}"),
        }
    }

    /// A refusal's code and message.
    pub(crate) fn refused(&self, service: &str, operation: &str, input: Value) -> (String, String) {
        self.fake.call(service, operation, &input).unwrap_err()
    }

    /// Registers a definition of the image; gives its ARN.
    pub(crate) fn define(&self, image: &str) -> String {
        self.define_with(json!({
            "name": "app", "image": image, "essential": true, "portMappings": [{ "containerPort": 8080, "protocol": "tcp" }],
        }))
    }

    pub(crate) fn define_with(&self, container: Value) -> String {
        let answer = self.call("ECS", "RegisterTaskDefinition", json!({
            "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
            "containerDefinitions": [container],
        }));
        text(&answer, "/taskDefinition/taskDefinitionArn")
    }

    /// Makes the service `orders` with two tasks of the first definition, and waits until it is steady.
    pub(crate) fn serve(&self, more: Value) {
        let mut input = json!({
            "cluster": "shop", "serviceName": "orders", "taskDefinition": "shop:1", "desiredCount": 2, "launchType": "FARGATE",
            "loadBalancers": [{ "targetGroupArn": self.blue, "containerName": "app", "containerPort": 8080 }],
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        });
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        self.call("ECS", "CreateService", input);
    }

    /// Puts the clock forward by seconds.
    pub(crate) fn seconds(&self, seconds: u64) {
        self.fake.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn service(&self) -> Value {
        self.call("ECS", "DescribeServices", json!({ "cluster": "shop", "services": ["orders"] }))["services"][0]
            .clone()
    }

    /// Weights of blue and green on a listener's own rule.
    pub(crate) fn weights(&self, rule: &str) -> (i64, i64) {
        let answer = self.call("ELBv2", "DescribeRules", json!({ "RuleArns": [rule] }));
        let tuples = answer["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"].as_array().unwrap().clone();
        let of = |group: &str| {
            let found = tuples.iter().find(|tuple| tuple["TargetGroupArn"] == group);
            found.map_or(0, |tuple| tuple["Weight"].as_i64().unwrap())
        };
        (of(&self.blue), of(&self.green))
    }

    /// States of a group's targets, in order.
    pub(crate) fn health(&self, group: &str) -> Vec<String> {
        let answer = self.call("ELBv2", "DescribeTargetHealth", json!({ "TargetGroupArn": group }));
        let all = answer["TargetHealthDescriptions"].as_array().unwrap().clone();
        let mut states: Vec<_> = all.iter().map(|one| text(one, "/TargetHealth/State")).collect();
        states.sort();
        states
    }
}

/// A text in a value.
#[track_caller]
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}")).to_owned()
}
