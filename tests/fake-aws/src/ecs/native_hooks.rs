//! Hooks of deployments in which ECS shifts traffic: functions that are asked, and pauses that somebody ends.

use serde_json::{Value, json};

use super::native::STAGES;
use super::{HookState, ServiceDeployment};
use crate::hooks::{HOOK_TIME, HookAnswer};
use crate::value::{Input as _, MINUTE};
use crate::world::World;

/// A pause that nobody ends lasts a day.
const PAUSE_MINUTES: i64 = 24 * 60;

impl World {
    /// Begins the hooks of a deployment's stage, and looks how they went. Whether it may go on.
    pub(super) fn hooks_are_done(&mut self, arn: &str) -> bool {
        let one = self.ecs.deployments[arn].clone();
        let stage = STAGES[one.stage];
        if !one.hooks.iter().any(|hook| hook.stage == stage && hook.step == one.step) {
            self.begin_hooks(&one, stage);
        }
        self.end_late_hooks(arn);
        let one = &self.ecs.deployments[arn];
        let is_here = |hook: &&super::HookState| hook.stage == stage && hook.step == one.step;
        let mine: Vec<_> = one.hooks.iter().filter(is_here).cloned().collect();
        if let Some(bad) = mine
            .iter()
            .find(|hook| matches!(hook.status, "FAILED") || (hook.status == "TIMED_OUT" && hook.action != "CONTINUE"))
        {
            let what = bad.function.clone().unwrap_or_else(|| "PAUSE".to_owned());
            let reason = format!("Lifecycle hook {what} at {stage} {}.", bad.status.to_lowercase().replace('_', " "));
            self.begin_rollback(arn, &reason);
            return false;
        }
        mine.iter().all(|hook| matches!(hook.status, "SUCCEEDED" | "TIMED_OUT"))
    }

    fn begin_hooks(&mut self, one: &ServiceDeployment, stage: &str) {
        let all = one.config.items("lifecycleHooks").to_vec();
        for hook in all.iter().filter(|hook| hook.texts("lifecycleStages").iter().any(|known| known == stage)) {
            let is_pause = hook.text("targetType") == Some("PAUSE");
            let function = hook.text("hookTargetArn").map(str::to_owned);
            let limit = hook.get("timeoutConfiguration").cloned().unwrap_or_default();
            let minutes = limit.int("timeoutInMinutes").unwrap_or(PAUSE_MINUTES);
            let status = match &function {
                Some(function) if !is_pause => self.ask_function(one, hook, function, stage),
                Some(_) | None => "AWAITING_ACTION",
            };
            let state = HookState {
                id: self.ids.uuid(),
                is_pause,
                function: function.filter(|_| !is_pause),
                stage: stage.to_owned(),
                step: one.step,
                status,
                expires: self.now + if is_pause { minutes * MINUTE } else { HOOK_TIME },
                action: limit.text("action").unwrap_or("ROLLBACK").to_owned(),
            };
            if let Some(known) = self.ecs.deployments.get_mut(&one.arn) {
                known.hooks.push(state);
            }
        }
    }

    fn ask_function(&mut self, one: &ServiceDeployment, hook: &Value, function: &str, stage: &str) -> &'static str {
        let event = json!({
            "executionDetails": {
                "serviceArn": one.service, "testTrafficWeights": {}, "productionTrafficWeights": {}, "targetServiceRevisionArn": one.target,
            },
            "lifecycleStage": stage, "hookDetails": hook.get("hookDetails"), "serviceDeploymentArn": one.arn,
        });
        let now = self.now;
        match self.functions.call(function, event, now) {
            Some(HookAnswer::Succeeds) => "SUCCEEDED",
            Some(HookAnswer::Waits) => "IN_PROGRESS",
            Some(HookAnswer::Fails) | None => "FAILED",
        }
    }

    fn end_late_hooks(&mut self, arn: &str) {
        let now = self.now;
        let Some(one) = self.ecs.deployments.get_mut(arn) else { return };
        for hook in &mut one.hooks {
            if matches!(hook.status, "AWAITING_ACTION" | "IN_PROGRESS") && hook.expires <= now {
                hook.status = "TIMED_OUT";
            }
        }
    }

    /// Somebody has answered a hook.
    pub(crate) fn answer_hook(&mut self, arn: &str, id: &str, succeeded: bool) {
        if let Some(one) = self.ecs.deployments.get_mut(arn)
            && let Some(hook) = one.hooks.iter_mut().find(|hook| hook.id == id)
        {
            hook.status = if succeeded { "SUCCEEDED" } else { "FAILED" };
        }
    }
}
