//! What a rollout would ask AWS to change, call by call, for whoever looks before it is done.

use std::sync::Arc;

use rollout::plan::{Plan, Revision};

use super::settings::ROLLOUT_TAG;
use super::{Settings, Weighted};
use crate::rollout::{CallError, Subject};

impl Weighted {
    /// The calls that change something, in order. Looks as a preflight does, and changes nothing.
    ///
    /// # Errors
    /// The rollout would be rejected.
    pub async fn calls(&self, plan: &Arc<Plan>) -> Result<Vec<String>, CallError> {
        // A number that no rollout has.
        let green = Revision {
            id: u64::MAX,
            image: plan.image.clone(),
            version: plan.version.clone(),
            commit: plan.commit.clone(),
        };
        let mut subject = Subject { rollout: green.id, token: 0, plan: Arc::clone(plan), blue: None, green };
        let found = self.0.preflight(&subject).await?;
        subject.blue = found.blue;
        let settings = Settings::of(plan)?;
        let slots = self.0.slots(&self.0.clients(&settings)?, &settings).await?;
        let green = slots.green(&subject);
        let beside = slots.beside(green);
        let family = settings.task_definition["family"].as_str().unwrap_or_default();
        let mut calls = vec![
            format!(
                "ecs:RegisterTaskDefinition family={family} image={} tags={ROLLOUT_TAG}=<number of the rollout>",
                plan.image
            ),
            format!(
                "ecs:UpdateService cluster={} service={} taskDefinition={family}:<new> desiredCount={}",
                settings.cluster,
                green.facts.name,
                slots.wanted(green, subject.green.id, &settings)
            ),
        ];
        let modify = |rule: &str, weight: u16| {
            let shares = slots.with_green(green, rollout::Weight(weight));
            let shares: Vec<String> = shares.0.iter().map(|(group, weight)| format!("{group}={weight}")).collect();
            let (call, member) =
                if rule.contains(":listener-rule/") { ("ModifyRule", "rule") } else { ("ModifyListener", "listener") };
            format!("elasticloadbalancing:{call} {member}={rule} weights={}", shares.join(","))
        };
        calls.extend(settings.test_rule.as_deref().map(|rule| modify(rule, 1_000)));
        let steps = plan.schedule.steps.iter().map(|step| step.weight.0);
        // A first one gets all users at once.
        let weights: Vec<u16> = if subject.blue.is_some() { steps.collect() } else { vec![1_000] };
        calls.extend(weights.into_iter().map(|weight| modify(&settings.rule, weight)));
        if subject.blue.is_some() {
            calls.push(format!(
                "ecs:UpdateService cluster={} service={} desiredCount=0 (after {:#})",
                settings.cluster, beside.facts.name, plan.keep_blue
            ));
        }
        Ok(calls)
    }
}
