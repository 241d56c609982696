//! What a rollout would ask AWS to change, call by call, for whoever looks before it is done.

use std::sync::Arc;

use rollout::plan::Plan;

use super::super::revisions::nobody;
use super::{Native, Settings};
use crate::rollout::CallError;

impl Native {
    /// The calls that change something, in order. Looks as a preflight does, and changes nothing.
    ///
    /// # Errors
    /// The rollout would be rejected.
    pub async fn calls(&self, plan: &Arc<Plan>) -> Result<Vec<String>, CallError> {
        let settings = Settings::of(plan)?;
        self.0.preflight(&nobody(plan)).await?;
        let family = settings.task_definition["family"].as_str().unwrap_or_default();
        let mut calls = vec![
            format!("ecs:RegisterTaskDefinition family={family} image={}", plan.image),
            format!(
                "ecs:UpdateService cluster={} service={} taskDefinition={family}:<new> ({}, bake {} min)",
                settings.cluster,
                settings.service,
                settings.parts.words(),
                settings.bake_minutes
            ),
        ];
        if settings.waits.is_some() {
            calls.push("ecs:ContinueServiceDeployment action=CONTINUE (before the first user)".to_owned());
        }
        if settings.holds.is_some() {
            calls.push("ecs:ContinueServiceDeployment action=CONTINUE (after the last script)".to_owned());
        }
        Ok(calls)
    }
}
