//! What a rollout would ask AWS to change, call by call, for whoever looks before it is done.

use std::sync::Arc;

use rollout::plan::{Plan, Revision};

use super::settings::{ROLLOUT_TAG, Turns};
use super::slots::{Slot, Slots};
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
        let mut calls = vec![format!(
            "ecs:RegisterTaskDefinition family={family} image={} tags={ROLLOUT_TAG}=<number of the rollout>",
            plan.image
        )];
        calls.extend(starts(&settings, &slots, green, family));
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
        let (cluster, after) = (&settings.cluster, plan.keep_blue);
        match &settings.turns {
            Turns::Services { .. } if subject.blue.is_some() => calls.push(format!(
                "ecs:UpdateService cluster={cluster} service={} desiredCount=0 (after {after:#})",
                beside.facts.name
            )),
            Turns::Services { .. } => {}
            Turns::TaskSets { task_sets_of, .. } => {
                calls.push(format!(
                    "ecs:UpdateServicePrimaryTaskSet cluster={cluster} service={task_sets_of} primaryTaskSet=<new>"
                ));
                calls.extend(
                    beside.set.as_ref().map(|set| ended(cluster, task_sets_of, &set.id, &format!("after {after:#}"))),
                );
            }
        }
        Ok(calls)
    }
}

/// The calls that make green's tasks.
fn starts(settings: &Settings, slots: &Slots, green: &Slot, family: &str) -> Vec<String> {
    let cluster = &settings.cluster;
    match &settings.turns {
        Turns::Services { .. } => {
            let tasks = slots.wanted(green, u64::MAX, settings);
            let service = &green.facts.name;
            vec![format!(
                "ecs:UpdateService cluster={cluster} service={service} taskDefinition={family}:<new> desiredCount={tasks}"
            )]
        }
        Turns::TaskSets { task_sets_of, .. } => {
            let left = green.set.as_ref().map(|set| ended(cluster, task_sets_of, &set.id, "it has no users"));
            let like = slots.beside(green).set.as_ref().map_or("", |set| set.id.as_str());
            let made = format!(
                "ecs:CreateTaskSet cluster={cluster} service={task_sets_of} taskDefinition={family}:<new> scale=100% targetGroup={} (else \
                 like {like})",
                green.group
            );
            left.into_iter().chain([made]).collect()
        }
    }
}

fn ended(cluster: &str, service: &str, set: &str, when: &str) -> String {
    format!("ecs:DeleteTaskSet cluster={cluster} service={service} taskSet={set} force=true ({when})")
}
