//! Elastic Load Balancing v2: balancers, and what their operations are. Groups and their targets' health, listeners with rules,
//! and what the data plane has to do lie beside this.

pub(crate) mod groups;
mod health;
pub(crate) mod listeners;
mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time, stamp};
use crate::world::World;

pub(crate) use groups::Group;
pub(crate) use health::{Health, Probe, ProbeResult};
pub(crate) use listeners::{Listener, Rule};
pub(crate) use table::{ColourWish, ListenerWish};

/// What balances.
#[derive(Debug, Default)]
pub(crate) struct Elb {
    balancers: BTreeMap<String, Balancer>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) rules: BTreeMap<String, Rule>,
}

#[derive(Debug)]
struct Balancer {
    name: String,
    created: Time,
    input: Value,
}

impl World {
    /// Answers ELBv2.
    pub(crate) fn elb(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "CreateLoadBalancer" => self.create_balancer(input),
            "DescribeLoadBalancers" => self.describe_balancers(input),
            "DeleteLoadBalancer" => self.delete_balancer(input),
            "CreateTargetGroup" => self.create_group(input),
            "ModifyTargetGroup" => self.modify_group(input),
            "DescribeTargetGroups" => self.describe_groups(input),
            "DeleteTargetGroup" => self.delete_group(input),
            "ModifyTargetGroupAttributes" => self.modify_group_attributes(input),
            "DescribeTargetGroupAttributes" => self.group_attributes(input.need("TargetGroupArn")?),
            "RegisterTargets" => self.register_targets(input),
            "DeregisterTargets" => self.deregister_targets(input),
            "DescribeTargetHealth" => self.target_health(input),
            "CreateListener" => self.create_listener(input),
            "ModifyListener" => self.modify_listener(input),
            "DescribeListeners" => self.describe_listeners(input),
            "DeleteListener" => self.delete_listener(input),
            "CreateRule" => self.create_rule(input),
            "ModifyRule" => self.modify_rule(input),
            "DescribeRules" => self.describe_rules(input),
            "DeleteRule" => self.delete_rule(input),
            "AddTags" | "RemoveTags" => Ok(json!({})),
            "DescribeTags" => {
                let none = |arn: &String| json!({ "ResourceArn": arn, "Tags": [] });
                Ok(json!({ "TagDescriptions": input.texts("ResourceArns").iter().map(none).collect::<Vec<_>>() }))
            }
            other => Err(AwsError::unknown("ELBv2", other)),
        }
    }

    fn create_balancer(&mut self, input: &Value) -> Answer {
        let name = input.need("Name")?.to_owned();
        if self.elb.balancers.values().any(|known| known.name == name) {
            return refuse(
                "DuplicateLoadBalancerNameException",
                format!("A load balancer with the same name '{name}' exists"),
            );
        }
        let id = self.ids.hex(16);
        let arn = self.arn("elasticloadbalancing", &format!("loadbalancer/app/{name}/{id}"));
        let balancer = Balancer { name, created: self.now, input: input.clone() };
        let described = describe(&arn, &balancer);
        self.elb.balancers.insert(arn, balancer);
        Ok(json!({ "LoadBalancers": [described] }))
    }

    fn describe_balancers(&self, input: &Value) -> Answer {
        let (arns, names) = (input.texts("LoadBalancerArns"), input.texts("Names"));
        let wanted = |arn: &String, known: &Balancer| {
            (arns.is_empty() && names.is_empty()) || arns.contains(arn) || names.contains(&known.name)
        };
        let found: Vec<_> = self.elb.balancers.iter().filter(|(arn, known)| wanted(arn, known)).collect();
        if found.len() < arns.len() + names.len() {
            return refuse("LoadBalancerNotFoundException", "One or more load balancers not found");
        }
        let all: Vec<_> = found.into_iter().map(|(arn, known)| describe(arn, known)).collect();
        Ok(json!({ "LoadBalancers": all }))
    }

    fn delete_balancer(&mut self, input: &Value) -> Answer {
        let arn = input.need("LoadBalancerArn")?;
        self.elb.balancers.remove(arn);
        let listeners: Vec<_> =
            self.elb.listeners.iter().filter(|(_, known)| known.balancer == arn).map(|(arn, _)| arn.clone()).collect();
        for listener in listeners {
            self.delete_listener(&json!({ "ListenerArn": listener }))?;
        }
        Ok(json!({}))
    }

    pub(super) fn balancer_exists(&self, arn: &str) -> Result<(), AwsError> {
        if self.elb.balancers.contains_key(arn) {
            return Ok(());
        }
        refuse("LoadBalancerNotFoundException", format!("Load balancer '{arn}' not found"))
    }
}

fn describe(arn: &str, balancer: &Balancer) -> Value {
    let input = &balancer.input;
    let zones = input.texts("Subnets").into_iter().map(|subnet| json!({ "SubnetId": subnet, "ZoneName": "zone-a" }));
    json!({
        "LoadBalancerArn": arn, "LoadBalancerName": balancer.name, "DNSName": format!("{}.elb.localhost", balancer.name),
        "CanonicalHostedZoneId": "ZFAKE0000000", "CreatedTime": stamp(balancer.created),
        "Scheme": input.text("Scheme").unwrap_or("internet-facing"), "VpcId": "vpc-fake",
        "State": { "Code": "active" }, "Type": input.text("Type").unwrap_or("application"),
        "AvailabilityZones": zones.collect::<Vec<_>>(), "SecurityGroups": input.texts("SecurityGroups"),
        "IpAddressType": "ipv4",
    })
}
