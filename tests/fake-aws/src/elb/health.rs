//! Targets: registered, probed, healthy or not, draining. Whether one is healthy follows from probes alone.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html>

use serde_json::{Value, json};

use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, Time};
use crate::world::{Misbehaviour, World};

/// What is known of a target's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Initial,
    Healthy,
    Unhealthy,
    /// Leaves at this time.
    Draining(Time),
}

/// A target.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) health: Health,
    /// Probes in a row that went the same way: good ones count up, bad ones down.
    row: i64,
    next_probe: Time,
    /// Of the last bad probe.
    why: Option<(&'static str, String)>,
}

/// A probe that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) group: String,
    pub(crate) address: String,
    /// The target's port.
    pub(crate) port: u16,
    /// Where the probe goes.
    pub(crate) probe_port: u16,
    pub(crate) path: String,
    pub(crate) timeout: Time,
}

/// How a probe went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    /// Answered with this status.
    Status(u16),
    /// Nobody answered in time.
    TimedOut,
    /// Nobody is there.
    Refused,
}

impl World {
    pub(super) fn register_targets(&mut self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?.to_owned();
        let usual = self.group(&arn)?.settings.int("Port").unwrap_or(80);
        for target in input.items("Targets") {
            let port = port(target.int("Port").unwrap_or(usual))?;
            self.register(&arn, target.need("Id")?, port);
        }
        Ok(json!({}))
    }

    /// Registers a target; one that drains comes back.
    pub(crate) fn register(&mut self, group: &str, address: &str, port: u16) {
        let now = self.now;
        let Some(group) = self.elb.groups.get_mut(group) else { return };
        let target = Target { health: Health::Initial, row: 0, next_probe: now, why: None };
        let known = group.targets.entry((address.to_owned(), port)).or_insert_with(|| target.clone());
        if matches!(known.health, Health::Draining(_)) {
            *known = target;
        }
    }

    pub(super) fn deregister_targets(&mut self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?.to_owned();
        self.group(&arn)?;
        for target in input.items("Targets") {
            let (address, wanted) = (target.need("Id")?, target.int("Port"));
            self.deregister(&arn, address, wanted.and_then(|port| u16::try_from(port).ok()));
        }
        Ok(json!({}))
    }

    /// Begins to drain a target. Gives when it will have left.
    pub(crate) fn deregister(&mut self, group: &str, address: &str, port: Option<u16>) -> Option<Time> {
        let now = self.now;
        let group_is_used = self.is_used(group);
        let group = self.elb.groups.get_mut(group)?;
        let until = if group_is_used { now + group.delay() } else { now };
        let mut left = None;
        for ((known, known_port), target) in &mut group.targets {
            if known == address
                && port.is_none_or(|port| port == *known_port)
                && !matches!(target.health, Health::Draining(_))
            {
                target.health = Health::Draining(until);
                left = Some(until);
            }
        }
        left
    }

    /// Targets whose time to drain is over are gone.
    pub(crate) fn tick_targets(&mut self) {
        let now = self.now;
        for group in self.elb.groups.values_mut() {
            group.targets.retain(|_, target| !matches!(target.health, Health::Draining(until) if until <= now));
        }
    }

    /// Probes that are due; each is handed out once. Groups that no listener knows are not probed.
    pub(crate) fn due_probes(&mut self) -> Vec<Probe> {
        let now = self.now;
        let used: Vec<_> = self.elb.groups.keys().filter(|arn| self.is_used(arn)).cloned().collect();
        let mut due = Vec::new();
        for arn in used {
            let Some(group) = self.elb.groups.get_mut(&arn) else { continue };
            let (interval, timeout, path) = (group.interval(), group.timeout(), group.path().to_owned());
            let ports: Vec<_> = group.targets.keys().map(|(_, port)| group.probe_port(*port)).collect();
            for (((address, port), target), probe_port) in group.targets.iter_mut().zip(ports) {
                if target.next_probe <= now {
                    target.next_probe = now + interval;
                    let (group, address, path) = (arn.clone(), address.clone(), path.clone());
                    due.push(Probe { group, address, port: *port, probe_port, path, timeout });
                }
            }
        }
        due
    }

    /// Takes a probe's result in.
    pub(crate) fn probed(&mut self, probe: &Probe, result: ProbeResult) {
        let Some(group) = self.elb.groups.get_mut(&probe.group) else { return };
        let is_good = matches!(result, ProbeResult::Status(status) if group.is_good(status));
        let (healthy, unhealthy) =
            (group.threshold("HealthyThresholdCount", 5), group.threshold("UnhealthyThresholdCount", 2));
        let Some(target) = group.targets.get_mut(&(probe.address.clone(), probe.port)) else { return };
        if matches!(target.health, Health::Draining(_)) {
            return;
        }
        target.row = if is_good { target.row.max(0) + 1 } else { target.row.min(0) - 1 };
        target.why = match result {
            _ if is_good => None,
            ProbeResult::Status(status) => {
                Some(("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{status}]")))
            }
            ProbeResult::TimedOut => Some(("Target.Timeout", "Request timed out".to_owned())),
            ProbeResult::Refused => Some(("Target.FailedHealthChecks", "Health checks failed".to_owned())),
        };
        // The first good probe is enough for a target that is new; one that was unhealthy has to earn it.
        let needed = if target.health == Health::Initial { 1 } else { healthy };
        if target.row >= needed {
            target.health = Health::Healthy;
        } else if target.row <= -unhealthy {
            target.health = Health::Unhealthy;
        }
    }

    /// In a world without containers a probe meets what the target's image was told to be.
    pub(crate) fn simulate_probes(&mut self) {
        for probe in self.due_probes() {
            let image = self.image_at(&probe.address);
            let how = image.as_deref().and_then(|image| self.misbehaviour(image));
            let result = match (&image, how) {
                // What ends by itself has not come so far as to answer.
                (None, _) | (Some(_), Some(Misbehaviour::Exits(_))) => ProbeResult::TimedOut,
                (Some(_), Some(Misbehaviour::Unhealthy)) => ProbeResult::Status(503),
                (Some(_), _) => ProbeResult::Status(200),
            };
            self.probed(&probe, result);
        }
    }

    pub(crate) fn health_of(&self, group: &str, address: &str, port: u16) -> Option<Health> {
        Some(self.elb.groups.get(group)?.targets.get(&(address.to_owned(), port))?.health)
    }

    pub(super) fn target_health(&self, input: &Value) -> Answer {
        let arn = input.need("TargetGroupArn")?;
        let group = self.group(arn)?;
        let is_used = self.is_used(arn);
        let asked = input.items("Targets");
        let mut all = Vec::new();
        for ((address, port), target) in &group.targets {
            let wanted = |one: &Value| {
                one.text("Id") == Some(address) && one.int("Port").is_none_or(|asked| asked == i64::from(*port))
            };
            if asked.is_empty() || asked.iter().any(wanted) {
                all.push(describe(address, *port, target, group.probe_port(*port), is_used));
            }
        }
        for one in asked {
            if !group.targets.keys().any(|(address, _)| one.text("Id") == Some(address)) {
                all.push(json!({ "Target": one, "TargetHealth": {
                    "State": "unused", "Reason": "Target.NotRegistered",
                    "Description": "Target is not registered to the target group",
                }}));
            }
        }
        Ok(json!({ "TargetHealthDescriptions": all }))
    }
}

fn describe(address: &str, port: u16, target: &Target, probe_port: u16, is_used: bool) -> Value {
    let (state, reason, description) = match (target.health, &target.why) {
        (Health::Draining(_), _) => (
            "draining",
            Some("Target.DeregistrationInProgress"),
            Some("Target deregistration is in progress".to_owned()),
        ),
        _ if !is_used => (
            "unused",
            Some("Target.NotInUse"),
            Some("Target group is not configured to receive traffic from the load balancer".to_owned()),
        ),
        (Health::Healthy, _) => ("healthy", None, None),
        (Health::Initial, None) => {
            ("initial", Some("Elb.RegistrationInProgress"), Some("Target registration is in progress".to_owned()))
        }
        (Health::Initial, Some(_)) => {
            ("initial", Some("Elb.InitialHealthChecking"), Some("Initial health checks in progress".to_owned()))
        }
        (Health::Unhealthy, why) => {
            let (reason, description) =
                why.clone().unwrap_or(("Target.FailedHealthChecks", "Health checks failed".to_owned()));
            ("unhealthy", Some(reason), Some(description))
        }
    };
    json!({
        "Target": { "Id": address, "Port": port }, "HealthCheckPort": probe_port.to_string(),
        "TargetHealth": { "State": state, "Reason": reason, "Description": description },
    })
}

fn port(number: i64) -> Result<u16, AwsError> {
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) | Err(_) => refuse("ValidationError", format!("Port {number} is not between 1 and 65535")),
    }
}
