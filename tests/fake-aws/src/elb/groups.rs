//! Target groups.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::health::Target;
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, SECOND, Time};
use crate::world::World;

/// A target group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// What it was made with, with the values that AWS takes where nothing was said.
    pub(crate) settings: Value,
    /// Attributes that were set.
    attributes: Map<String, Value>,
    /// By address and port.
    pub(crate) targets: BTreeMap<(String, u16), Target>,
}

/// Members of a group's description that calls set.
const SETTINGS: [&str; 12] = [
    "Protocol",
    "ProtocolVersion",
    "Port",
    "VpcId",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
];
/// The attribute that says how long draining takes.
const DELAY: &str = "deregistration_delay.timeout_seconds";

impl Group {
    fn seconds(&self, key: &str, usual: i64) -> Time {
        self.settings.int(key).unwrap_or(usual) * SECOND
    }

    pub(crate) fn interval(&self) -> Time {
        self.seconds("HealthCheckIntervalSeconds", 30)
    }

    pub(crate) fn timeout(&self) -> Time {
        self.seconds("HealthCheckTimeoutSeconds", 5)
    }

    pub(crate) fn threshold(&self, key: &str, usual: i64) -> i64 {
        self.settings.int(key).unwrap_or(usual)
    }

    /// How long a target that leaves may finish what it has.
    pub(crate) fn delay(&self) -> Time {
        let set = self.attributes.get(DELAY).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
        set.unwrap_or(300) * SECOND
    }

    pub(crate) fn path(&self) -> &str {
        self.settings.text("HealthCheckPath").unwrap_or("/")
    }

    /// Whether a status means healthy: `200`, `200,202`, `200-299`.
    pub(crate) fn is_good(&self, status: u16) -> bool {
        let codes = self.settings.get("Matcher").and_then(|matcher| matcher.text("HttpCode")).unwrap_or("200");
        codes.split(',').any(|part| match part.trim().split_once('-') {
            Some((low, high)) => {
                low.parse::<u16>().is_ok_and(|low| low <= status)
                    && high.parse::<u16>().is_ok_and(|high| status <= high)
            }
            None => part.trim().parse() == Ok(status),
        })
    }

    /// The port that a probe goes to.
    pub(crate) fn probe_port(&self, port: u16) -> u16 {
        self.settings.text("HealthCheckPort").and_then(|text| text.parse().ok()).unwrap_or(port)
    }
}

fn not_found() -> AwsError {
    AwsError::new("TargetGroupNotFoundException", "One or more target groups not found")
}

impl World {
    pub(super) fn create_group(&mut self, input: &Value) -> Answer {
        let name = input.need("Name")?.to_owned();
        if self.elb.groups.values().any(|known| known.name == name) {
            let message = format!("A target group with the same name '{name}' exists, but with different settings");
            return refuse("DuplicateTargetGroupNameException", message);
        }
        if name.len() > 32 {
            return refuse(
                "ValidationError",
                format!("Target group name '{name}' cannot be longer than '32' characters"),
            );
        }
        let mut settings = json!({
            "Protocol": "HTTP", "ProtocolVersion": "HTTP1", "Port": 80, "VpcId": "vpc-fake", "HealthCheckProtocol": "HTTP",
            "HealthCheckPort": "traffic-port", "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 30,
            "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2,
            "Matcher": { "HttpCode": "200" },
        });
        crate::value::over(&mut settings, input, &SETTINGS);
        crate::value::over(
            &mut settings,
            &json!({ "TargetType": input.text("TargetType").unwrap_or("instance") }),
            &["TargetType"],
        );
        let id = self.ids.hex(16);
        let arn = self.arn("elasticloadbalancing", &format!("targetgroup/{name}/{id}"));
        let group = Group { name, settings, attributes: Map::new(), targets: BTreeMap::new() };
        self.elb.groups.insert(arn.clone(), group);
        Ok(json!({ "TargetGroups": [self.describe_group(&arn)] }))
    }

    pub(super) fn modify_group(&mut self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?;
        let group = self.elb.groups.get_mut(arn).ok_or_else(not_found)?;
        crate::value::over(&mut group.settings, input, &SETTINGS[4..]);
        Ok(json!({ "TargetGroups": [self.describe_group(arn)] }))
    }

    fn describe_group(&self, arn: &str) -> Value {
        let Some(group) = self.elb.groups.get(arn) else { return Value::Null };
        let mut described = group.settings.clone();
        let balancers: Vec<_> = self.balancers_of_group(arn);
        let more = json!({
            "TargetGroupArn": arn, "TargetGroupName": group.name, "HealthCheckEnabled": true, "LoadBalancerArns": balancers,
            "IpAddressType": "ipv4",
        });
        if let (Some(described), Value::Object(more)) = (described.as_object_mut(), more) {
            described.extend(more);
        }
        described
    }

    pub(super) fn describe_groups(&self, input: &Value) -> Answer {
        let (arns, names) = (input.texts("TargetGroupArns"), input.texts("Names"));
        let balancer = input.text("LoadBalancerArn");
        let wanted = |arn: &String, known: &Group| match balancer {
            Some(balancer) => self.balancers_of_group(arn).iter().any(|one| one == balancer),
            None => (arns.is_empty() && names.is_empty()) || arns.contains(arn) || names.contains(&known.name),
        };
        let found: Vec<_> = self
            .elb
            .groups
            .iter()
            .filter(|(arn, known)| wanted(arn, known))
            .map(|(arn, _)| self.describe_group(arn))
            .collect();
        if found.len() < arns.len() + names.len() {
            return Err(not_found());
        }
        Ok(json!({ "TargetGroups": found }))
    }

    pub(super) fn delete_group(&mut self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?;
        if !self.balancers_of_group(arn).is_empty() {
            let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return refuse("ResourceInUseException", message);
        }
        self.elb.groups.remove(arn);
        Ok(json!({}))
    }

    pub(super) fn modify_group_attributes(&mut self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?;
        let group = self.elb.groups.get_mut(arn).ok_or_else(not_found)?;
        for attribute in input.items("Attributes") {
            group
                .attributes
                .insert(attribute.need("Key")?.to_owned(), json!(attribute.text("Value").unwrap_or_default()));
        }
        self.group_attributes(arn)
    }

    pub(super) fn group_attributes(&self, arn: &str) -> Answer {
        let group = self.elb.groups.get(arn).ok_or_else(not_found)?;
        let mut all = Map::new();
        all.insert(DELAY.to_owned(), json!("300"));
        all.insert("stickiness.enabled".to_owned(), json!("false"));
        all.extend(group.attributes.clone());
        let all: Vec<_> = all.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "Attributes": all }))
    }

    /// The group that an ARN names.
    pub(super) fn group(&self, arn: &str) -> Result<&Group, AwsError> {
        self.elb.groups.get(arn).ok_or_else(not_found)
    }

    /// The ARN of a group by its name; CodeDeploy knows groups by names.
    pub(crate) fn group_by_name(&self, name: &str) -> Option<String> {
        self.elb.groups.iter().find(|(_, known)| known.name == name).map(|(arn, _)| arn.clone())
    }

    pub(crate) fn group_name(&self, arn: &str) -> String {
        self.elb.groups.get(arn).map_or_else(String::new, |group| group.name.clone())
    }
}
