//! A stage for tests: a cluster with two services, or two places for task sets, behind a listener; the first has all users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::clock::Clock;
use fake_aws::{Fake, Options};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Turns;

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
    /// ARNs of its two target groups.
    pub(crate) groups: [String; 2],
    /// Who takes turns.
    pub(crate) turns: Turns,
}

/// A task definition with one container.
pub(crate) fn definition(image: &str) -> Value {
    json!({
        "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": image, "portMappings": [{ "containerPort": 8080 }] }],
    })
}

/// What is in a target group.
fn balanced(group: &str) -> Value {
    json!({
        "cluster": "shop", "taskDefinition": "orders:1", "launchType": "FARGATE",
        "loadBalancers": [{ "targetGroupArn": group, "containerName": "app", "containerPort": 8080 }],
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    })
}

impl Stage {
    /// Without services.
    fn bare(options: Options, stands: &Value, turns: Turns) -> Self {
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
        Self { fake: Arc::new(fake), listener, groups, turns }
    }

    /// Whose clock runs at a speed, and whose first service runs this definition.
    pub(crate) fn of(options: Options, stands: &Value) -> Self {
        let stage = Self::bare(options, stands, Turns::Services { services: ["orders-a".into(), "orders-b".into()] });
        for (name, group, tasks) in [("orders-a", &stage.groups[0], 2), ("orders-b", &stage.groups[1], 0)] {
            let mut service = balanced(group);
            service["serviceName"] = json!(name);
            service["desiredCount"] = json!(tasks);
            stage.fake.call("ECS", "CreateService", &service).unwrap();
        }
        stage
    }

    /// The same with one service whose task sets take turns; the first one runs this definition.
    pub(crate) fn of_task_sets(options: Options, stands: &Value) -> Self {
        let turns = Turns::TaskSets { task_sets_of: "orders".into(), target_groups: Default::default() };
        let mut stage = Self::bare(options, stands, turns);
        let mut groups = stage.groups.clone();
        groups.sort();
        stage.turns = Turns::TaskSets { task_sets_of: "orders".into(), target_groups: groups };
        let service = json!({
            "cluster": "shop", "serviceName": "orders", "desiredCount": 2, "deploymentController": { "type": "EXTERNAL" },
        });
        stage.fake.call("ECS", "CreateService", &service).unwrap();
        let set = stage.task_set(&stage.groups[0]);
        let primary = json!({ "cluster": "shop", "service": "orders", "primaryTaskSet": set });
        stage.fake.call("ECS", "UpdateServicePrimaryTaskSet", &primary).unwrap();
        stage
    }

    /// Somebody makes a task set in a group; its id.
    pub(crate) fn task_set(&self, group: &str) -> String {
        let mut set = balanced(group);
        set["service"] = json!("orders");
        set["scale"] = json!({ "value": 100.0, "unit": "PERCENT" });
        set["tags"] = json!([{ "key": "team", "value": "shop" }]);
        text(&self.fake.call("ECS", "CreateTaskSet", &set).unwrap(), "/taskSet/id")
    }

    /// Task sets in the fake's mind alone; what stands is healthy.
    pub(crate) fn with_task_sets() -> Self {
        let stage = Self::of_task_sets(Options { speed: 60.0, ..Options::default() }, &definition(STANDS));
        stage.fake.advance(Duration::from_secs(300));
        stage
    }

    /// In the fake's mind alone, on a fast clock; what stands is healthy.
    pub(crate) fn new() -> Self {
        let stage = Self::of(Options { speed: 60.0, ..Options::default() }, &definition(STANDS));
        stage.fake.advance(Duration::from_secs(300));
        stage
    }

    /// `Some` once what stands has all of its tasks, and ECS calls it whole.
    pub(crate) fn is_complete(&self, fake: &Fake) -> Option<()> {
        let service = match &self.turns {
            Turns::Services { services: [first, _] } => first,
            Turns::TaskSets { task_sets_of, target_groups: _ } => task_sets_of,
        };
        let asked = json!({ "cluster": "shop", "services": [service] });
        let described = fake.call("ECS", "DescribeServices", &asked).unwrap()["services"][0].clone();
        let (sets, deployments) = (&described["taskSets"], &described["deployments"]);
        let is_whole = sets[0]["stabilityStatus"] == "STEADY_STATE" || deployments[0]["rolloutState"] == "COMPLETED";
        is_whole.then_some(())
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
