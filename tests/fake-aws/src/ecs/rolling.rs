//! Rolling deployments: within the percentages, with the circuit breaker and alarms.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html>

use serde_json::Value;

use super::ServiceDeployment;
use super::update::share;
use crate::value::{Input as _, Time};
use crate::world::World;

/// Whether the circuit breaker is on, and whether it rolls back.
pub(super) fn breaker(config: &Value) -> Option<bool> {
    let breaker = config.get("deploymentCircuitBreaker")?;
    breaker.flag("enable").unwrap_or(false).then(|| breaker.flag("rollback").unwrap_or(false))
}

/// How many failed tasks it bears: half of the desired count, but 3 to 200.
pub(super) fn threshold(config: &Value, desired: i64) -> i64 {
    let set = config.get("deploymentCircuitBreaker").and_then(|breaker| breaker.get("thresholdConfiguration"));
    match set.and_then(|set| Some((set.text("type")?, set.int("value")?))) {
        Some(("COUNT", value)) => value,
        Some(("UNBOUNDED_PERCENT", percent)) => (desired * percent + 99) / 100,
        Some((_, percent)) => ((desired * percent + 99) / 100).clamp(3, 200),
        None => ((desired + 1) / 2).clamp(3, 200),
    }
}

/// Alarms that a deployment listens to, if it does.
fn listens(config: &Value) -> Vec<String> {
    let alarms = config.get("alarms").filter(|alarms| alarms.flag("enable").unwrap_or(false));
    alarms.map(|alarms| alarms.texts("alarmNames")).unwrap_or_default()
}

impl World {
    /// Whether one of its alarms rings already: then none of them counts for this deployment, which may be what mends it.
    pub(super) fn begins_under_alarm(&self, config: &Value) -> bool {
        listens(config).iter().any(|name| self.watch.is_alarm(name))
    }

    /// What a rolling deployment goes back to: the set that completed last, as long as it is there.
    pub(super) fn last_completed(&self, service: &str) -> Option<String> {
        let id = self.ecs.services.get(service)?.completed.clone()?;
        self.ecs.sets.get(&id).filter(|set| set.status != "DRAINING").map(|set| set.id.clone())
    }

    /// How long a deployment listens to its alarms when its tasks are there: long enough for each to be judged once. AWS says only that
    /// it follows from the alarms.
    fn bake_of(&self, one: &ServiceDeployment) -> Time {
        if one.is_deaf {
            return 0;
        }
        listens(&one.config).iter().filter_map(|name| self.watch.span(name)).max().unwrap_or(0)
    }

    /// A task that becomes healthy lets the circuit breaker count anew, unless the service says otherwise.
    fn count_anew(&mut self, one: &ServiceDeployment) {
        let breaker = one.config.get("deploymentCircuitBreaker");
        let resets = breaker.and_then(|breaker| breaker.flag("resetOnHealthyTask")).unwrap_or(true);
        let healthy = self.counts(&one.target).healthy;
        if let Some(set) = self.ecs.sets.get_mut(&one.target) {
            if resets && healthy > set.most_healthy {
                set.failed = 0;
            }
            set.most_healthy = set.most_healthy.max(healthy);
        }
    }

    /// Takes rolling deployments a step on, and first deployments of others.
    pub(crate) fn tick_rolling(&mut self) {
        self.forget_removed();
        let due = |one: &&ServiceDeployment| !one.is_over() && (one.is_rolling() || one.source.is_none());
        let arns: Vec<_> = self.ecs.deployments.values().filter(due).map(|one| one.arn.clone()).collect();
        for arn in arns {
            let one = self.ecs.deployments[&arn].clone();
            self.count_anew(&one);
            if one.rollback.is_some() {
                self.roll_back_on(&one);
            } else if let Some(reason) = self.failure_of(&one) {
                self.fail_rolling(&one, &reason);
            } else {
                self.roll_on(&one);
            }
        }
    }

    /// Why a deployment fails: too many failed tasks, or an alarm.
    pub(super) fn failure_of(&mut self, one: &ServiceDeployment) -> Option<String> {
        let desired = self.ecs.services.get(&one.service)?.desired;
        let target = self.ecs.sets.get(&one.target)?;
        if breaker(&one.config).is_some() && target.failed >= threshold(&one.config, desired) {
            return Some("ECS deployment circuit breaker: tasks failed to start.".to_owned());
        }
        let rings: Vec<_> = listens(&one.config).into_iter().filter(|name| self.watch.is_alarm(name)).collect();
        if rings.is_empty() || one.is_deaf {
            return None;
        }
        let reason = format!("ECS deployment alarm(s) detected: {}", rings.join(", "));
        if let Some(known) = self.ecs.deployments.get_mut(&one.arn) {
            known.alarms = rings;
        }
        Some(reason)
    }

    fn goes_back(one: &ServiceDeployment, reason: &str) -> bool {
        if reason.contains("circuit breaker") {
            breaker(&one.config).unwrap_or(false)
        } else {
            one.config.get("alarms").and_then(|alarms| alarms.flag("rollback")).unwrap_or(false)
        }
    }

    fn fail_rolling(&mut self, one: &ServiceDeployment, reason: &str) {
        if let Some(set) = self.ecs.sets.get_mut(&one.target) {
            set.rollout = ("FAILED", reason.to_owned());
        }
        self.service_event(&one.service, &format!("(deployment {}) deployment failed: {reason}", one.target));
        if Self::goes_back(one, reason) && one.source.is_some() {
            self.begin_rollback(&one.arn, reason);
        } else {
            self.set_desired(&one.target, 0);
            self.finish(&one.arn, "STOPPED", Some(reason.to_owned()));
        }
    }

    fn roll_on(&mut self, one: &ServiceDeployment) {
        let Some(service) = self.ecs.services.get(&one.service) else { return };
        let desired = service.desired;
        let percent = |key: &str, usual: f64| one.config.number(key).unwrap_or(usual);
        let most = (desired * one.config.int("maximumPercent").unwrap_or(200)) / 100;
        let least = share(desired, percent("minimumHealthyPercent", 100.0));
        let olds: Vec<_> = self.sets_of(&one.service).into_iter().filter(|id| *id != one.target).collect();
        let target = self.counts(&one.target);
        let old_live: i64 = olds.iter().map(|id| self.counts(id)).map(|one| one.running + one.pending).sum();
        let own = self.ecs.sets.get(&one.target).map_or(0, |set| set.desired);
        self.set_desired(&one.target, desired.min((most - old_live).max(own)));
        // With room for more, old tasks go as new ones are healthy; without, they go first.
        let mut keep = (if most > desired { desired } else { least } - target.healthy).max(0);
        for id in olds {
            let has = self.ecs.sets.get(&id).map_or(0, |set| set.desired);
            let wanted = has.min(keep);
            keep -= wanted;
            self.set_desired(&id, wanted);
        }
        if target.healthy >= desired && target.running == desired && old_live == 0 {
            self.bake_rolling(one);
        }
    }

    /// All of its tasks are there, and the old ones are not: it is done once no alarm came for a while.
    fn bake_rolling(&mut self, one: &ServiceDeployment) {
        let now = self.now;
        let since = match self.ecs.deployments.get_mut(&one.arn) {
            Some(known) => *known.baking.get_or_insert(now),
            None => return,
        };
        if now - since >= self.bake_of(one) {
            self.complete_rolling(one);
        }
    }

    fn complete_rolling(&mut self, one: &ServiceDeployment) {
        for id in self.sets_of(&one.service).into_iter().filter(|id| *id != one.target) {
            self.remove_set(&id);
        }
        if let Some(set) = self.ecs.sets.get_mut(&one.target) {
            set.rollout = ("COMPLETED", format!("ECS deployment {} completed.", set.id));
        }
        if let Some(service) = self.ecs.services.get_mut(&one.service) {
            service.completed = Some(one.target.clone());
        }
        if !one.is_rolling() {
            self.first_traffic(one);
        }
        self.service_event(&one.service, &format!("(deployment {}) deployment completed.", one.target));
        self.service_event(&one.service, "has reached a steady state.");
        if let Some(known) = self.ecs.deployments.get_mut(&one.arn) {
            (known.production, known.test) = (100.0, 100.0);
        }
        self.finish(&one.arn, "SUCCESSFUL", None);
    }

    /// Begins to go back to what served before.
    pub(super) fn begin_rollback(&mut self, arn: &str, reason: &str) {
        let now = self.now;
        let Some(one) = self.ecs.deployments.get_mut(arn) else { return };
        one.rollback = Some((reason.to_owned(), now));
        (one.status, one.reason, one.updated) = ("ROLLBACK_IN_PROGRESS", Some(reason.to_owned()), now);
        let one = one.clone();
        let Some(source) = one.source.clone() else {
            self.set_desired(&one.target, 0);
            self.finish(arn, "STOPPED", Some(reason.to_owned()));
            return;
        };
        if let Some(set) = self.ecs.sets.get_mut(&one.target) {
            set.rollout = ("FAILED", format!("{reason} Rolling back to deploymentId {source}."));
        }
        if !one.is_rolling() {
            self.traffic_back(&one);
        }
        self.make_primary(&one.service, &source);
        let desired = self.ecs.services.get(&one.service).map_or(0, |service| service.desired);
        self.set_desired(&source, desired);
        self.service_event(&one.service, &format!("is rolling back to deploymentId {source}."));
    }

    pub(super) fn roll_back_on(&mut self, one: &ServiceDeployment) {
        let Some(source) = &one.source else { return };
        if self.is_up(source) {
            self.set_desired(&one.target, 0);
            let left = self.counts(&one.target);
            if left.running + left.pending == 0 {
                self.remove_set(&one.target);
                if let Some(set) = self.ecs.sets.get_mut(source) {
                    set.rollout = ("COMPLETED", format!("ECS deployment {source} completed."));
                }
                self.finish(&one.arn, "ROLLBACK_SUCCESSFUL", None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_breaker_bears_so_many_failures() {
        for (config, desired, expected) in [
            (json!({}), 1, 3),
            (json!({}), 10, 5),
            (json!({}), 1_000, 200),
            (
                json!({ "deploymentCircuitBreaker": { "enable": true, "thresholdConfiguration": { "type": "COUNT", "value": 2 } } }),
                10,
                2,
            ),
        ] {
            assert_eq!(threshold(&config, desired), expected, "{config} {desired}");
        }
    }
}
