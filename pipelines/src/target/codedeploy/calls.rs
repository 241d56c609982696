//! What a rollout would ask AWS to change, call by call, for whoever looks before it is done.

use std::sync::Arc;

use rollout::plan::Plan;

use super::super::revisions::nobody;
use super::{CodeDeployed, Settings};
use crate::rollout::CallError;
use crate::target::refused;

impl CodeDeployed {
    /// The calls that change something, in order. Looks as a preflight does, and changes nothing.
    ///
    /// # Errors
    /// The rollout would be rejected.
    pub async fn calls(&self, plan: &Arc<Plan>) -> Result<Vec<String>, CallError> {
        let settings = Settings::of(plan)?;
        self.0.preflight(&nobody(plan)).await?;
        let clients = self.0.clients(&settings)?;
        let group = clients.deploys.group(&settings.application, &settings.group).await.map_err(refused)?;
        let family = settings.task_definition["family"].as_str().unwrap_or_default();
        let config = settings.config.as_ref().unwrap_or(&group.config);
        let mut calls = vec![format!("ecs:RegisterTaskDefinition family={family} image={}", plan.image)];
        if settings.config.as_ref() == Some(&settings.routing().name()) && settings.routing().predefined().is_none() {
            calls.push(format!(
                "codedeploy:CreateDeploymentConfig name={config} ({}), if there is none",
                settings.parts.words()
            ));
        }
        calls.push(format!(
            "codedeploy:CreateDeployment application={} group={} config={config} taskDefinition={family}:<new>",
            settings.application, settings.group
        ));
        if group.waits.is_some() {
            calls.push("codedeploy:ContinueDeployment wait=READY_WAIT".to_owned());
        }
        if group.keeps.is_some() {
            calls.push(format!("codedeploy:ContinueDeployment wait=TERMINATION_WAIT (after {:#})", plan.keep_blue));
        }
        Ok(calls)
    }
}
