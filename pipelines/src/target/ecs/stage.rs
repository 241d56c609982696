//! A stage for tests: a cluster with two services behind a listener, of which the first has all users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use fake_aws::{Fake, Options};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What stands at first.
pub(crate) const STANDS: &str = "r.example/orders:1";
/// What comes.
pub(crate) const IMAGE: &str =
    "r.example/orders@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What a story stands on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) fake: Arc<Fake>,
    /// The listener that users come to.
    pub(crate) listener: String,
}

/// A task definition with one container.
pub(crate) fn definition(image: &str) -> Value {
    json!({
        "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": image, "portMappings": [{ "containerPort": 8080 }] }],
    })
}

impl Stage {
    /// Whose clock runs at a speed, and whose first service runs this definition.
    pub(crate) fn of(options: Options, stands: &Value) -> Self {
        let fake = Fake::start(options).unwrap();
        let call = |service: &str, name: &str, input: Value| fake.call(service, name, &input).unwrap();
        call("ECS", "CreateCluster", json!({ "clusterName": "shop" }));
        call("ECS", "RegisterTaskDefinition", stands.clone());
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
        let groups = [group("orders-a"), group("orders-b")];
        let balancer = call("ELBv2", "CreateLoadBalancer", json!({ "Name": "shop", "Subnets": ["subnet-1"] }));
        let balancer = text(&balancer, "/LoadBalancers/0/LoadBalancerArn");
        let forward = json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [
            { "TargetGroupArn": groups[0], "Weight": 100 }, { "TargetGroupArn": groups[1], "Weight": 0 },
        ] } }]);
        let input = json!({ "LoadBalancerArn": balancer, "Port": 80, "Protocol": "HTTP", "DefaultActions": forward });
        let listener = text(&call("ELBv2", "CreateListener", input), "/Listeners/0/ListenerArn");
        for (name, group, tasks) in [("orders-a", &groups[0], 2), ("orders-b", &groups[1], 0)] {
            call(
                "ECS",
                "CreateService",
                json!({
                    "cluster": "shop", "serviceName": name, "taskDefinition": "orders:1", "desiredCount": tasks,
                    "launchType": "FARGATE",
                    "loadBalancers": [{ "targetGroupArn": group, "containerName": "app", "containerPort": 8080 }],
                    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
                }),
            );
        }
        Self { fake: Arc::new(fake), listener }
    }

    /// In the fake's mind alone, on a fast clock; what stands is healthy.
    pub(crate) fn new() -> Self {
        let stage = Self::of(Options { speed: 60.0, ..Options::default() }, &definition(STANDS));
        stage.fake.advance(Duration::from_secs(300));
        stage
    }

    /// The fake's time.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        clock(&self.fake)
    }
}

/// The time of a fake.
pub(crate) fn clock(fake: &Arc<Fake>) -> Arc<dyn Clock> {
    Arc::new(FakeTime(Arc::clone(fake)))
}

/// A text in a value.
#[track_caller]
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}")).to_owned()
}

/// The virtual clock, which runs.
#[derive(Debug)]
struct FakeTime(Arc<Fake>);

#[async_trait]
impl Clock for FakeTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.now()).unwrap()
    }

    async fn wait_until(&self, at: Timestamp) {
        loop {
            let left = at.duration_since(self.now());
            if left.is_negative() || left.is_zero() {
                return;
            }
            tokio::time::sleep(Duration::try_from(left).unwrap().div_f64(self.0.speed()).max(Duration::from_millis(1)))
                .await;
        }
    }
}
