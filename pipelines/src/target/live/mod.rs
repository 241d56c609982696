//! For tests of targets whose service AWS itself deploys: a stage at a fake of AWS, real containers behind it, users who ask all
//! the time, and whole rollouts through the driver.

pub(super) mod driven;

use std::sync::Arc;
use std::time::Duration;

use aws::Cloud;
use engine::clock::Clock;
use fake_aws::{Fake, Fault, Options};
use jiff::SignedDuration;
use rollout::plan::{Analysis, Metric, OnActive, Plan, Revision, RollbackOn};
use rollout::{Call, Observation};
use serde_json::{Value, json};

use super::Clouds;
use super::ecs::stage::clock;
use super::paced::Parts;
use crate::rollout::{CallError, CallOrder, Subject, Target};

pub(super) const ROLLOUT: u64 = 7;
pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const IMAGE: &str =
    "r.example/orders@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Makes the target with these keys and this time.
type Makes = fn(Clouds, Arc<dyn Clock>) -> Arc<dyn Target>;

/// A cluster, two target groups, and listeners for users and tests.
pub(crate) struct Stage {
    pub(super) fake: Arc<Fake>,
    pub(super) target: Arc<dyn Target>,
    renewed: Makes,
    /// What is asked for.
    pub(super) plan: Plan,
    pub(super) listener: String,
}

/// Where things are, while the stage is set.
pub(super) struct Place<'a> {
    pub(super) fake: &'a Fake,
    pub(super) groups: [String; 2],
    pub(super) listeners: [String; 2],
    pub(super) rules: [String; 2],
}

impl Place<'_> {
    pub(super) fn call(&self, service: &str, name: &str, input: Value) -> Value {
        self.fake.call(service, name, &input).unwrap()
    }
}

pub(super) fn definition(image: &str) -> Value {
    json!({
        "family": "orders", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": image, "portMappings": [{ "containerPort": 8080 }] }],
    })
}

pub(super) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}")).to_owned()
}

fn place(fake: &Fake) -> Place<'_> {
    let call = |service: &str, name: &str, input: Value| fake.call(service, name, &input).unwrap();
    call("ECS", "CreateCluster", json!({ "clusterName": "shop" }));
    let group = |name: &str| {
        let input = json!({
            "Name": name, "Protocol": "HTTP", "Port": 8080, "TargetType": "ip", "VpcId": "vpc-1", "HealthCheckPath": "/health",
            "HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2,
        });
        text(&call("ELBv2", "CreateTargetGroup", input), "/TargetGroups/0/TargetGroupArn")
    };
    let groups = [group("shop-blue"), group("shop-green")];
    let balancer = call("ELBv2", "CreateLoadBalancer", json!({ "Name": "shop", "Subnets": ["subnet-1"] }));
    let balancer = text(&balancer, "/LoadBalancers/0/LoadBalancerArn");
    let listener = |port: u16| {
        let forward = json!([{ "Type": "forward", "TargetGroupArn": groups[0] }]);
        let input = json!({ "LoadBalancerArn": balancer, "Port": port, "Protocol": "HTTP", "DefaultActions": forward });
        text(&call("ELBv2", "CreateListener", input), "/Listeners/0/ListenerArn")
    };
    let listeners = [listener(80), listener(8443)];
    let rule = |arn: &String| text(&call("ELBv2", "DescribeRules", json!({ "ListenerArn": arn })), "/Rules/0/RuleArn");
    call(
        "CloudWatch",
        "PutMetricAlarm",
        json!({
            "AlarmName": "orders-5xx", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        }),
    );
    Place { fake, groups, rules: [rule(&listeners[0]), rule(&listeners[1])], listeners }
}

impl Stage {
    /// Sets it: `set` makes the service with what stands, and gives the target's settings of what comes.
    pub(super) fn new(
        options: Options,
        [stands, comes]: [Value; 2],
        (name, target): (&str, Makes),
        set: impl FnOnce(&Place<'_>) -> Value,
    ) -> Self {
        let fake = Arc::new(Fake::start(options).unwrap());
        fake.call("ECS", "RegisterTaskDefinition", &stands).unwrap();
        let place = place(&fake);
        let mut settings = set(&place);
        settings["task-definition"] = comes;
        let listener = place.listeners[0].clone();
        Self { target: target(keys(&fake), clock(&fake)), renewed: target, plan: plan(name, settings), listener, fake }
    }

    /// As a process that has just begun: with keys, and without memory.
    pub(super) fn forget(&mut self) {
        self.target = (self.renewed)(keys(&self.fake), clock(&self.fake));
    }

    pub(super) fn subject(&self, blue: Option<Revision>) -> Subject {
        let green = Revision { id: ROLLOUT, image: IMAGE.into(), version: "v2".into(), commit: "1a38bd2".into() };
        Subject { rollout: ROLLOUT, token: 1, plan: Arc::new(self.plan.clone()), blue, green }
    }

    pub(super) fn order(subject: Subject, call: Call) -> CallOrder {
        CallOrder { subject, effect: 1, call }
    }

    pub(super) async fn perform(&self, blue: Option<&Revision>, call: Call) -> Result<Value, CallError> {
        self.target.perform(&Self::order(self.subject(blue.cloned()), call)).await
    }

    /// What stands, after a look whether it can be done.
    pub(super) async fn preflight(&self) -> Revision {
        let found = self.perform(None, Call::Preflight).await.unwrap();
        let found: rollout::fact::Found = serde_json::from_value(found).unwrap();
        found.blue.unwrap()
    }

    /// Why a plan that was changed like this cannot be done.
    pub(super) async fn refusal(&self, change: impl FnOnce(&mut Plan)) -> CallError {
        let mut subject = self.subject(None);
        change(Arc::make_mut(&mut subject.plan));
        self.target.perform(&Self::order(subject, Call::Preflight)).await.unwrap_err()
    }

    /// With the answer of an operation lost: the call is tried again as the driver does, and has one effect.
    pub(super) async fn once(&self, blue: Option<&Revision>, call: Call, operation: &str) -> Value {
        let before = self.fake.effects(operation);
        self.fake.add_fault(operation, 1, Fault::DropResponse);
        let order = Self::order(self.subject(blue.cloned()), call.clone());
        let mut tried = self.target.perform(&order).await;
        for _ in 0..3 {
            match &tried {
                Err(error) if error.is_transient => {
                    tried = match self.target.look_up(&order).await {
                        Ok(Some(found)) => Ok(found),
                        Ok(None) => self.target.perform(&order).await,
                        Err(error) => Err(error),
                    };
                }
                Ok(_) | Err(_) => break,
            }
        }
        let done = tried.unwrap_or_else(|error| panic!("{call:?}: {error}"));
        assert_eq!(self.fake.effects(operation) - before, 1, "{operation} for {call:?}");
        self.fake.clear_faults();
        done
    }

    /// Looks until something is so; the fake's clock runs sixty times as fast.
    pub(super) async fn seen(&self, blue: &Revision, is_so: impl Fn(&Observation) -> bool) -> Observation {
        let subject = self.subject(Some(blue.clone()));
        for _ in 0..400 {
            let before = self.fake.journal().len();
            let seen = self.target.observe(&subject).await.unwrap();
            let asked: Vec<String> = self.fake.journal().drain(before..).map(|call| call.operation).collect();
            let place = asked.iter().position(|operation| operation == "DescribeAlarms");
            assert!(place.is_none_or(|place| place == 0), "who set it off is seen after it: {asked:?}");
            if is_so(&seen) {
                return seen;
            }
            self.fake.advance(Duration::from_secs(5));
        }
        panic!("{:#?}", self.target.observe(&subject).await);
    }

    pub(super) fn ring(&self) {
        let alarm = json!({ "AlarmName": "orders-5xx", "StateValue": "ALARM", "StateReason": "a test" });
        self.fake.call("CloudWatch", "SetAlarmState", &alarm).unwrap();
    }

    /// Green's and blue's weights on the users' listener.
    pub(super) fn users(&self) -> (i64, i64) {
        let answer = self.fake.call("ELBv2", "DescribeRules", &json!({ "ListenerArn": self.listener })).unwrap();
        let action = &answer["Rules"][0]["Actions"][0];
        let tuples = action["ForwardConfig"]["TargetGroups"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| {
            let found = tuples.iter().find(|one| one["TargetGroupArn"].as_str().unwrap().contains(name));
            found.map_or(0, |one| one["Weight"].as_i64().unwrap())
        };
        (of("shop-green"), of("shop-blue"))
    }
}

fn keys(fake: &Fake) -> Clouds {
    let variables = fake.environment();
    let cloud = Cloud::of(None, |name| variables.get(name).map(String::as_str)).unwrap();
    let clouds = Clouds::default();
    clouds.hold(ACCOUNT, &cloud);
    clouds
}

fn plan(target: &str, settings: Value) -> Plan {
    Plan {
        environment: "production".to_owned(),
        service: "orders".to_owned(),
        repository: "acme/shop".to_owned(),
        commit: "1a38bd2".to_owned(),
        image: IMAGE.to_owned(),
        version: "v2".to_owned(),
        target: target.to_owned(),
        settings,
        schedule: Parts::Two(100, 5).schedule(SignedDuration::from_mins(2), false),
        analysis: Analysis { metrics: vec![Metric::Errors], ..Analysis::default() },
        rollback_on: RollbackOn::ALL,
        on_active: OnActive::Wait,
        hooks: Vec::new(),
        start_timeout: SignedDuration::from_mins(2),
        timeout: SignedDuration::from_hours(2),
        keep_blue: SignedDuration::from_mins(1),
        tick: SignedDuration::from_secs(1),
        irreversible: None,
        rollback_of: None,
        reuse: None,
    }
}
