//! What a rollout would ask AWS to change, call by call, for whoever looks before it is done.

use std::sync::Arc;

use rollout::plan::Plan;

use super::super::revisions::nobody;
use super::{Rolling, Settings};
use crate::rollout::CallError;

impl Rolling {
    /// The calls that change something, in order. Looks as a preflight does, and changes nothing.
    ///
    /// # Errors
    /// The rollout would be rejected.
    pub async fn calls(&self, plan: &Arc<Plan>) -> Result<Vec<String>, CallError> {
        let settings = Settings::of(plan)?;
        self.0.preflight(&nobody(plan)).await?;
        let service = self.0.service(&self.0.clients(&settings)?, &settings).await?;
        let wish = settings.wish(plan, String::new(), settings.wanted(service.desired));
        let family = settings.task_definition["family"].as_str().unwrap_or_default();
        let mut update = format!(
            "ecs:UpdateService cluster={} service={} taskDefinition={family}:<new> strategy=ROLLING circuitBreaker=on rollback={}",
            settings.cluster, settings.service, wish.breaker_goes_back
        );
        let members = [
            ("desiredCount", wish.tasks.map(|tasks| tasks.to_string())),
            ("minimumHealthyPercent", wish.healthy_min.map(|percent| percent.to_string())),
            ("maximumPercent", wish.running_max.map(|percent| percent.to_string())),
            ("alarms", wish.alarms.map(|names| names.join(","))),
        ];
        for (name, value) in members {
            update.extend(value.map(|value| format!(" {name}={value}")));
        }
        Ok(vec![format!("ecs:RegisterTaskDefinition family={family} image={}", plan.image), update])
    }
}
