//! Listeners and their rules. The rule that stands for a listener's own actions is there from the beginning, as with AWS.

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::Input as _;
use crate::world::World;

/// A listener.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) balancer: String,
    pub(crate) port: i64,
    protocol: String,
    /// The ARN of its own rule, where its actions are.
    pub(crate) default_rule: String,
}

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) listener: String,
    /// `None` for the one that applies when no other does.
    pub(crate) priority: Option<i64>,
    pub(crate) conditions: Vec<Value>,
    pub(crate) actions: Vec<Value>,
}

impl Rule {
    /// Where it forwards: groups with weights.
    pub(crate) fn forwards(&self) -> Vec<(String, i64)> {
        let forward = self.actions.iter().find(|action| action.text("Type") == Some("forward"));
        let groups = forward.and_then(|action| action.get("ForwardConfig")).map(|config| config.items("TargetGroups"));
        let pair = |tuple: &Value| Some((tuple.text("TargetGroupArn")?.to_owned(), tuple.int("Weight").unwrap_or(1)));
        groups.unwrap_or_default().iter().filter_map(pair).collect()
    }
}

fn forward(groups: &[(String, i64)]) -> Value {
    let tuples: Vec<_> =
        groups.iter().map(|(arn, weight)| json!({ "TargetGroupArn": arn, "Weight": weight })).collect();
    let single = match groups {
        [(arn, _)] => json!(arn),
        _ => Value::Null,
    };
    json!({ "Type": "forward", "TargetGroupArn": single, "ForwardConfig": {
        "TargetGroups": tuples, "TargetGroupStickinessConfig": { "Enabled": false },
    }})
}

impl World {
    /// Actions in the form in which AWS gives them back: a forward to one group is said both ways.
    fn actions(&self, given: &[Value]) -> Result<Vec<Value>, AwsError> {
        let mut actions = Vec::new();
        for action in given {
            if action.need("Type")? != "forward" {
                actions.push(action.clone());
                continue;
            }
            let tuples = action.get("ForwardConfig").map(|config| config.items("TargetGroups")).unwrap_or_default();
            let mut groups = Vec::new();
            for tuple in tuples {
                let weight = tuple.int("Weight").unwrap_or(1);
                if !(0..=999).contains(&weight) {
                    let message = format!("Target group weight '{weight}' must be between 0 and 999");
                    return refuse("ValidationError", message);
                }
                groups.push((tuple.need("TargetGroupArn")?.to_owned(), weight));
            }
            if groups.is_empty() {
                groups.push((action.need("TargetGroupArn")?.to_owned(), 1));
            }
            if groups.len() > 5 {
                return refuse("TooManyTargetGroupsException", "A forward action can have at most 5 target groups");
            }
            for (arn, _) in &groups {
                if !self.elb.groups.contains_key(arn) {
                    return refuse("TargetGroupNotFoundException", format!("Target group '{arn}' not found"));
                }
            }
            actions.push(forward(&groups));
        }
        if actions.is_empty() {
            return refuse("ValidationError", "A listener or rule needs an action");
        }
        Ok(actions)
    }

    pub(super) fn create_listener(&mut self, input: &Value) -> Answer {
        let balancer = input.need("LoadBalancerArn")?.to_owned();
        self.balancer_exists(&balancer)?;
        let port = input.int("Port").unwrap_or(80);
        if self.elb.listeners.values().any(|known| known.balancer == balancer && known.port == port) {
            return refuse(
                "DuplicateListenerException",
                "A listener already exists on this port for this load balancer",
            );
        }
        let actions = self.actions(input.items("DefaultActions"))?;
        let tail = balancer.split_once(":loadbalancer/").map_or("", |(_, tail)| tail).to_owned();
        let (id, rule_id) = (self.ids.hex(16), self.ids.hex(16));
        let arn = self.arn("elasticloadbalancing", &format!("listener/{tail}/{id}"));
        let rule = self.arn("elasticloadbalancing", &format!("listener-rule/{tail}/{id}/{rule_id}"));
        let protocol = input.text("Protocol").unwrap_or("HTTP").to_owned();
        self.elb.listeners.insert(arn.clone(), Listener { balancer, port, protocol, default_rule: rule.clone() });
        self.elb.rules.insert(rule, Rule { listener: arn.clone(), priority: None, conditions: Vec::new(), actions });
        Ok(json!({ "Listeners": [self.describe_listener(&arn)?] }))
    }

    pub(super) fn modify_listener(&mut self, input: &Value) -> Answer {
        let arn = input.need("ListenerArn")?;
        let rule = self.listener(arn)?.default_rule.clone();
        if !input.items("DefaultActions").is_empty() {
            let actions = self.actions(input.items("DefaultActions"))?;
            if let Some(rule) = self.elb.rules.get_mut(&rule) {
                rule.actions = actions;
            }
        }
        if let (Some(port), Some(listener)) = (input.int("Port"), self.elb.listeners.get_mut(arn)) {
            listener.port = port;
        }
        Ok(json!({ "Listeners": [self.describe_listener(arn)?] }))
    }

    pub(crate) fn listener(&self, arn: &str) -> Result<&Listener, AwsError> {
        let missing = || AwsError::new("ListenerNotFoundException", format!("Listener '{arn}' not found"));
        self.elb.listeners.get(arn).ok_or_else(missing)
    }

    fn describe_listener(&self, arn: &str) -> Answer {
        let listener = self.listener(arn)?;
        let actions = self.elb.rules.get(&listener.default_rule).map(|rule| rule.actions.clone());
        Ok(json!({
            "ListenerArn": arn, "LoadBalancerArn": listener.balancer, "Port": listener.port, "Protocol": listener.protocol,
            "DefaultActions": actions,
        }))
    }

    pub(super) fn describe_listeners(&self, input: &Value) -> Answer {
        let arns = input.texts("ListenerArns");
        if let Some(arn) = arns.iter().find(|arn| !self.elb.listeners.contains_key(*arn)) {
            return refuse("ListenerNotFoundException", format!("One or more listeners not found: {arn}"));
        }
        let balancer = input.text("LoadBalancerArn");
        let wanted = |arn: &String, known: &Listener| {
            if arns.is_empty() { balancer.is_none_or(|one| one == known.balancer) } else { arns.contains(arn) }
        };
        let found = self.elb.listeners.iter().filter(|(arn, known)| wanted(arn, known));
        let all: Result<Vec<_>, _> = found.map(|(arn, _)| self.describe_listener(arn)).collect();
        Ok(json!({ "Listeners": all? }))
    }

    pub(super) fn delete_listener(&mut self, input: &Value) -> Answer {
        let arn = input.need("ListenerArn")?;
        self.listener(arn)?;
        self.elb.listeners.remove(arn);
        self.elb.rules.retain(|_, rule| rule.listener != arn);
        Ok(json!({}))
    }

    pub(super) fn create_rule(&mut self, input: &Value) -> Answer {
        let listener = input.need("ListenerArn")?.to_owned();
        self.listener(&listener)?;
        let priority = input.int("Priority").ok_or_else(|| AwsError::new("ValidationError", "Priority is missing"))?;
        if self.elb.rules.values().any(|rule| rule.listener == listener && rule.priority == Some(priority)) {
            return refuse("PriorityInUseException", format!("Priority '{priority}' is currently in use"));
        }
        let actions = self.actions(input.items("Actions"))?;
        let id = self.ids.hex(16);
        let arn = format!("{}/{id}", listener.replacen(":listener/", ":listener-rule/", 1));
        let conditions = input.items("Conditions").to_vec();
        self.elb.rules.insert(arn.clone(), Rule { listener, priority: Some(priority), conditions, actions });
        Ok(json!({ "Rules": [self.describe_rule(&arn)?] }))
    }

    pub(super) fn modify_rule(&mut self, input: &Value) -> Answer {
        let arn = input.need("RuleArn")?;
        let is_default = self.rule(arn)?.priority.is_none();
        if is_default {
            return refuse("OperationNotPermittedException", format!("Default rule '{arn}' cannot be modified"));
        }
        let given = input.items("Actions");
        let actions = if given.is_empty() { None } else { Some(self.actions(given)?) };
        if let Some(rule) = self.elb.rules.get_mut(arn) {
            rule.actions = actions.unwrap_or_else(|| rule.actions.clone());
            if !input.items("Conditions").is_empty() {
                rule.conditions = input.items("Conditions").to_vec();
            }
        }
        Ok(json!({ "Rules": [self.describe_rule(arn)?] }))
    }

    pub(crate) fn rule(&self, arn: &str) -> Result<&Rule, AwsError> {
        let missing = || AwsError::new("RuleNotFoundException", format!("Rule '{arn}' not found"));
        self.elb.rules.get(arn).ok_or_else(missing)
    }

    fn describe_rule(&self, arn: &str) -> Answer {
        let rule = self.rule(arn)?;
        Ok(json!({
            "RuleArn": arn, "Priority": rule.priority.map_or_else(|| "default".to_owned(), |number| number.to_string()),
            "Conditions": rule.conditions, "Actions": rule.actions, "IsDefault": rule.priority.is_none(),
        }))
    }

    pub(super) fn describe_rules(&self, input: &Value) -> Answer {
        let arns = input.texts("RuleArns");
        if let Some(arn) = arns.iter().find(|arn| !self.elb.rules.contains_key(*arn)) {
            return refuse("RuleNotFoundException", format!("One or more rules not found: {arn}"));
        }
        if let Some(listener) = input.text("ListenerArn") {
            self.listener(listener)?;
        }
        let wanted = |arn: &String, rule: &Rule| {
            if arns.is_empty() { input.text("ListenerArn") == Some(&rule.listener) } else { arns.contains(arn) }
        };
        let mut found: Vec<_> = self.elb.rules.iter().filter(|(arn, rule)| wanted(arn, rule)).collect();
        found.sort_by_key(|(_, rule)| rule.priority.unwrap_or(i64::MAX));
        let all: Result<Vec<_>, _> = found.into_iter().map(|(arn, _)| self.describe_rule(arn)).collect();
        Ok(json!({ "Rules": all? }))
    }

    pub(super) fn delete_rule(&mut self, input: &Value) -> Answer {
        let arn = input.need("RuleArn")?;
        if self.rule(arn)?.priority.is_none() {
            return refuse("OperationNotPermittedException", format!("Default rule '{arn}' cannot be deleted"));
        }
        self.elb.rules.remove(arn);
        Ok(json!({}))
    }

    /// Sets where a rule forwards; ECS and CodeDeploy do this on behalf of their services.
    pub(crate) fn set_forward(&mut self, rule: &str, groups: &[(String, i64)]) {
        if let Some(rule) = self.elb.rules.get_mut(rule) {
            rule.actions = vec![forward(groups)];
        }
    }

    /// Rules of a listener that forward to one of these groups; its own rule, if none does.
    pub(crate) fn rules_to(&self, listener: &str, groups: &[String]) -> Vec<String> {
        let own = |rule: &Rule| rule.listener == listener;
        let found: Vec<_> = self
            .elb
            .rules
            .iter()
            .filter(|(_, rule)| own(rule) && rule.forwards().iter().any(|(arn, _)| groups.contains(arn)))
            .map(|(arn, _)| arn.clone())
            .collect();
        let default = || self.elb.listeners.get(listener).map(|known| known.default_rule.clone());
        if found.is_empty() { default().into_iter().collect() } else { found }
    }

    /// Whether a listener or rule knows the group, with whatever weight.
    pub(crate) fn is_used(&self, group: &str) -> bool {
        self.elb.rules.values().any(|rule| rule.forwards().iter().any(|(arn, _)| arn == group))
    }

    pub(crate) fn balancers_of_group(&self, group: &str) -> Vec<String> {
        let rules = self.elb.rules.values().filter(|rule| rule.forwards().iter().any(|(arn, _)| arn == group));
        let mut all: Vec<_> =
            rules.filter_map(|rule| Some(self.elb.listeners.get(&rule.listener)?.balancer.clone())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// How many percent of a listener's requests a group gets, by the first of its rules that knows it.
    pub(crate) fn weight_of(&self, listener: &str, group: &str) -> f64 {
        let rules = self.elb.rules.values().filter(|rule| rule.listener == listener).map(Rule::forwards);
        let Some(forwards) = rules.into_iter().find(|all| all.iter().any(|(arn, _)| arn == group)) else { return 0.0 };
        let total: i64 = forwards.iter().map(|(_, weight)| weight).sum();
        let own: i64 = forwards.iter().filter(|(arn, _)| arn == group).map(|(_, weight)| weight).sum();
        #[expect(clippy::cast_precision_loss, reason = "weights are below a thousand")]
        if total == 0 { 0.0 } else { own as f64 * 100.0 / total as f64 }
    }
}
