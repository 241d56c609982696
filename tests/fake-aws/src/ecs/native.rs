//! Deployments in which ECS itself shifts traffic (`BLUE_GREEN`, `CANARY`, `LINEAR`): the stages, one after the other.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html>

use serde_json::Value;

use super::{Balanced, ServiceDeployment};
use crate::error::AwsError;
use crate::value::{Input as _, MINUTE, Time};
use crate::world::World;

/// In their order. Hooks may be at each but scaling, baking and cleaning.
pub(super) const STAGES: [&str; 11] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
];
/// From this stage on alarms are heard.
const SHIFT: usize = 7;
/// The stage before each share of canaries and linear deployments:
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentLifecycleHook.html>.
const BEFORE_SHIFT: usize = 6;

impl World {
    /// What AWS refuses of a deployment configuration.
    pub(super) fn check_native(&self, spec: &Value) -> Result<(), AwsError> {
        let config = spec.get("deploymentConfiguration").cloned().unwrap_or_default();
        let strategy = config.text("strategy").unwrap_or("ROLLING").to_owned();
        for hook in config.items("lifecycleHooks") {
            let is_pause = hook.text("targetType") == Some("PAUSE");
            let stages = hook.texts("lifecycleStages");
            if is_pause
                && stages
                    .iter()
                    .any(|stage| matches!(stage.as_str(), "TEST_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT"))
            {
                let message =
                    "PAUSE lifecycle hooks are not supported at TEST_TRAFFIC_SHIFT and PRODUCTION_TRAFFIC_SHIFT.";
                return Err(AwsError::invalid(message));
            }
            if !is_pause && (hook.text("hookTargetArn").is_none() || hook.text("roleArn").is_none()) {
                return Err(AwsError::invalid("Lifecycle hooks of type AWS_LAMBDA need hookTargetArn and roleArn."));
            }
        }
        if strategy == "ROLLING" {
            return Ok(());
        }
        for one in spec.items("loadBalancers") {
            let advanced = one.get("advancedConfiguration").cloned().unwrap_or_default();
            for key in ["alternateTargetGroupArn", "productionListenerRule", "roleArn"] {
                if advanced.text(key).is_none() {
                    let message = format!(
                        "loadBalancers.advancedConfiguration.{key} is required for the {strategy} deployment strategy."
                    );
                    return Err(AwsError::invalid(message));
                }
            }
            for key in ["productionListenerRule", "testListenerRule"] {
                if let Some(rule) = advanced.text(key) {
                    self.rule(rule).map_err(|error| AwsError::invalid(error.message))?;
                }
            }
        }
        let percent =
            |config: &str, key: &str| spec["deploymentConfiguration"].get(config).and_then(|one| one.number(key));
        match strategy.as_str() {
            "CANARY"
                if percent("canaryConfiguration", "canaryPercent").is_some_and(|one| !(0.1..=100.0).contains(&one)) =>
            {
                Err(AwsError::invalid("canaryPercent must be between 0.1 and 100.0."))
            }
            "LINEAR"
                if percent("linearConfiguration", "stepPercent").is_some_and(|one| !(3.0..=100.0).contains(&one)) =>
            {
                Err(AwsError::invalid("stepPercent must be between 3.0 and 100.0."))
            }
            _ => Ok(()),
        }
    }

    /// Takes deployments a step on.
    pub(crate) fn tick_native(&mut self) {
        let due = |one: &&ServiceDeployment| !one.is_over() && !one.is_rolling() && one.source.is_some();
        let arns: Vec<_> = self.ecs.deployments.values().filter(due).map(|one| one.arn.clone()).collect();
        for arn in arns {
            let one = self.ecs.deployments[&arn].clone();
            debug_assert!(self.is_native(&one.service), "others have no service deployments");
            if one.rollback.is_some() {
                self.roll_back_on(&one);
                continue;
            }
            let heard = one.stage >= SHIFT || one.stage == 2 || one.production > 0.0;
            if let Some(reason) = heard.then(|| self.failure_of(&one)).flatten() {
                self.begin_rollback(&arn, &reason);
                continue;
            }
            // As far as it goes without waiting.
            while self.native_step(&arn) {}
        }
    }

    /// Whether it went one stage on.
    fn native_step(&mut self, arn: &str) -> bool {
        let one = self.ecs.deployments[arn].clone();
        if one.is_over() || one.rollback.is_some() || !self.stage_acts(&one) || !self.hooks_are_done(arn) {
            return false;
        }
        let now = self.now;
        let one = self.ecs.deployments[arn].clone();
        if one.stage == SHIFT && one.production < 100.0 {
            let is_due = now - one.last_step >= between_shares(&one);
            if let Some(one) = self.ecs.deployments.get_mut(arn).filter(|_| is_due) {
                (one.stage, one.step, one.entered) = (BEFORE_SHIFT, one.step + 1, now);
            }
            return is_due;
        }
        if one.stage + 1 == STAGES.len() {
            if let Some(service) = self.ecs.services.get_mut(&one.service) {
                service.completed = Some(one.target.clone());
            }
            self.service_event(&one.service, &format!("(deployment {}) deployment completed.", one.target));
            self.finish(arn, "SUCCESSFUL", None);
            return false;
        }
        if let Some(one) = self.ecs.deployments.get_mut(arn) {
            one.stage += 1;
            (one.entered, one.updated) = (now, now);
        }
        true
    }

    /// Does what the stage is for. Whether it is done.
    fn stage_acts(&mut self, one: &ServiceDeployment) -> bool {
        match STAGES[one.stage] {
            "SCALE_UP" => {
                let desired = self.ecs.services.get(&one.service).map_or(0, |service| service.desired);
                self.set_desired(&one.target, desired);
                // Without a share the new group would not be probed.
                self.shift(one, 0.0);
                self.is_up(&one.target)
            }
            "TEST_TRAFFIC_SHIFT" => {
                self.shift_test(one, 100.0);
                true
            }
            "PRODUCTION_TRAFFIC_SHIFT" => {
                if one.given == one.step {
                    self.shift_on(one);
                }
                true
            }
            "BAKE_TIME" => {
                let minutes = one.config.int("bakeTimeInMinutes").unwrap_or(0);
                self.now - one.entered >= minutes * MINUTE
            }
            "CLEAN_UP" => {
                let Some(source) = &one.source else { return true };
                if self.primary_set(&one.service).as_ref() != Some(&one.target) {
                    self.make_primary(&one.service, &one.target);
                    if let Some(set) = self.ecs.sets.get_mut(&one.target) {
                        set.rollout = ("COMPLETED", format!("ECS deployment {} completed.", set.id));
                    }
                    self.remove_set(source);
                }
                !self.ecs.sets.contains_key(source)
            }
            _ => true,
        }
    }

    /// Gives users' next share as the strategy says.
    fn shift_on(&mut self, one: &ServiceDeployment) {
        let percent = |config: &str, key: &str, usual: f64| {
            one.config.get(config).and_then(|config| config.number(key)).unwrap_or(usual)
        };
        let share = match one.config.text("strategy") {
            Some("CANARY") if one.production == 0.0 => percent("canaryConfiguration", "canaryPercent", 5.0),
            Some("LINEAR") => one.production + percent("linearConfiguration", "stepPercent", 10.0),
            _ => 100.0,
        };
        self.shift(one, share.min(100.0));
        if let Some(one) = self.ecs.deployments.get_mut(&one.arn) {
            one.given += 1;
        }
    }

    fn shift(&mut self, one: &ServiceDeployment, percent: f64) {
        let now = self.now;
        self.route(one, "productionListenerRule", percent);
        if let Some(known) = self.ecs.deployments.get_mut(&one.arn) {
            (known.production, known.last_step, known.updated) = (percent, now, now);
        }
    }

    fn shift_test(&mut self, one: &ServiceDeployment, percent: f64) {
        self.route(one, "testListenerRule", percent);
        if let Some(known) = self.ecs.deployments.get_mut(&one.arn) {
            known.test = percent;
        }
    }

    /// Everything to what served before.
    pub(super) fn traffic_back(&mut self, one: &ServiceDeployment) {
        self.shift(one, 0.0);
        self.shift_test(one, 0.0);
    }

    /// The rules of a service that has just begun lead to its only set.
    pub(super) fn first_traffic(&mut self, one: &ServiceDeployment) {
        self.route(one, "productionListenerRule", 100.0);
        self.route(one, "testListenerRule", 100.0);
    }

    /// Sets a rule of the service: so many percent to the target's group, the rest to the source's.
    fn route(&mut self, one: &ServiceDeployment, key: &str, percent: f64) {
        let Some(target) = self.ecs.sets.get(&one.target).cloned() else { return };
        let source = one.source.as_ref().and_then(|id| self.ecs.sets.get(id)).cloned();
        let Some(service) = self.ecs.services.get(&one.service) else { return };
        let balancers = service.spec.items("loadBalancers").to_vec();
        for (at, balancer) in balancers.iter().enumerate() {
            let rule = balancer.get("advancedConfiguration").and_then(|advanced| advanced.text(key));
            let (Some(rule), Some(new)) = (rule, target.balanced.get(at)) else { continue };
            // Weights are whole numbers up to 999; a tenth of a percent fits.
            #[expect(clippy::cast_possible_truncation, reason = "percent is at most 100")]
            let tenths = (percent * 10.0).round().clamp(0.0, 1_000.0) as i64;
            let (of_new, of_old) =
                if tenths % 10 == 0 { (tenths / 10, 100 - tenths / 10) } else { (tenths.min(999), 1_000 - tenths) };
            let mut groups = Vec::new();
            if let Some(old) = source.as_ref().and_then(|set| set.balanced.get(at)) {
                groups.push((old.group.clone(), of_old));
            }
            groups.push((new.group.clone(), of_new));
            self.set_forward(rule, &groups);
        }
    }

    /// Groups that the serving set does not use.
    pub(super) fn other_groups(&self, service: &str, source: &str, balanced: &[Balanced]) -> Vec<Balanced> {
        let used: Vec<_> =
            self.ecs.sets.get(source).into_iter().flat_map(|set| &set.balanced).map(|one| &one.group).collect();
        let balancers = self.ecs.services[service].spec.items("loadBalancers").to_vec();
        let other = |(one, balancer): (&Balanced, &Value)| {
            let alternate =
                balancer.get("advancedConfiguration").and_then(|advanced| advanced.text("alternateTargetGroupArn"));
            let free = [Some(one.group.as_str()), alternate]
                .into_iter()
                .flatten()
                .find(|group| !used.iter().any(|used| used == group));
            Balanced { group: free.unwrap_or(&one.group).to_owned(), ..one.clone() }
        };
        balanced.iter().zip(&balancers).map(other).collect()
    }

    /// The stage as descriptions name it; they have none before users' requests are shifted.
    pub(super) fn stage_name(&self, one: &ServiceDeployment) -> Option<&'static str> {
        if one.is_rolling() || one.source.is_none() {
            return None;
        }
        Some(match STAGES[one.stage] {
            "PRE_PRODUCTION_TRAFFIC_SHIFT" if one.step > 0 => "PRODUCTION_TRAFFIC_SHIFT",
            "PRE_PRODUCTION_TRAFFIC_SHIFT" => "POST_TEST_TRAFFIC_SHIFT",
            name => name,
        })
    }
}

/// The time between two shares.
fn between_shares(one: &ServiceDeployment) -> Time {
    let minutes = |config: &str, key: &str, usual: i64| -> Time {
        one.config.get(config).and_then(|config| config.int(key)).unwrap_or(usual) * MINUTE
    };
    match one.config.text("strategy") {
        Some("CANARY") => minutes("canaryConfiguration", "canaryBakeTimeInMinutes", 10),
        Some("LINEAR") => minutes("linearConfiguration", "stepBakeTimeInMinutes", 6),
        _ => 0,
    }
}
