//! Stop, go on, and what functions say of hooks.

use serde_json::{Value, json};

use super::Step;
use crate::error::{Answer, AwsError, refuse};
use crate::value::Input as _;
use crate::world::World;

fn completed(id: &str) -> AwsError {
    let message = format!("The deployment {id} is already completed");
    AwsError::new("DeploymentAlreadyCompletedException", message)
}

impl World {
    /// It stops at the next moment, not at once: whoever asks right after this still sees it run.
    pub(super) fn stop_deployment(&mut self, input: &Value) -> Answer {
        let id = self.deployment_id(input)?;
        let one = self.deploys.deployments.get_mut(&id).ok_or_else(|| completed(&id))?;
        if one.is_over() {
            return Err(completed(&id));
        }
        one.stops = Some(input.flag("autoRollbackEnabled"));
        Ok(json!({ "status": "Pending", "statusMessage": "Deployment is stopping" }))
    }

    pub(super) fn continue_deployment(&mut self, input: &Value) -> Answer {
        let id = self.deployment_id(input)?;
        let one = self.deploys.deployments.get_mut(&id).ok_or_else(|| completed(&id))?;
        if one.is_over() {
            return Err(completed(&id));
        }
        let wait = input.text("deploymentWaitType").unwrap_or("READY_WAIT");
        let wanted = match wait {
            "READY_WAIT" => Step::Ready,
            "TERMINATION_WAIT" => Step::Termination,
            other => return refuse("InvalidDeploymentWaitTypeException", format!("The wait type is invalid: {other}")),
        };
        if one.step != wanted {
            if wanted == Step::Ready {
                let message = format!("The deployment {id} is not in the Ready state");
                return refuse("DeploymentIsNotInReadyStateException", message);
            }
            let message = format!("The deployment {id} does not wait for the termination of its original task set");
            return refuse("InvalidDeploymentStatusException", message);
        }
        one.goes_on = true;
        Ok(json!({}))
    }

    pub(super) fn put_hook_status(&mut self, input: &Value) -> Answer {
        let id = self.deployment_id(input)?;
        let execution = input.text("lifecycleEventHookExecutionId").unwrap_or_default().to_owned();
        let answer = match input.text("status") {
            Some("Succeeded") => true,
            Some("Failed") => false,
            Some(_) | None => {
                let message = "Only Succeeded and Failed can be set";
                return refuse("InvalidLifecycleEventHookExecutionStatusException", message);
            }
        };
        let one = self.deploys.deployments.get_mut(&id).ok_or_else(|| completed(&id))?;
        let Some(hook) = one.hook.as_mut().filter(|hook| hook.id == execution) else {
            let message = format!("The lifecycle event hook execution id is invalid: {execution}");
            return refuse("InvalidLifecycleEventHookExecutionIdException", message);
        };
        if hook.answer.is_some() {
            return refuse("LifecycleEventAlreadyCompletedException", "The lifecycle event has already completed");
        }
        hook.answer = Some(answer);
        Ok(json!({ "lifecycleEventHookExecutionId": execution }))
    }
}
