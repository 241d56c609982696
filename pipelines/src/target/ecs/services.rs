//! Two ECS services that take turns: the one without users is updated, and scaled to nothing when it ends.

use aws::Controller;
use rollout::Weight;

use super::slots::{Slot, Slots};
use super::{Clients, Inner, Settings, refused};
use crate::rollout::CallError;

impl Inner {
    /// Both as they are now.
    pub(super) async fn services(
        &self,
        clients: &Clients,
        settings: &Settings,
        [one, other]: &[String; 2],
    ) -> Result<Slots, CallError> {
        let found = clients.ecs.services(&[one, other]).await.map_err(refused)?;
        let shares = clients.balancer.shares(&settings.rule).await.map_err(refused)?;
        let mut both = Vec::new();
        for name in [one, other] {
            let facts = found.iter().find(|facts| facts.name == *name).cloned().ok_or_else(|| {
                CallError::last(format!(
                    "there is no service `{name}` in cluster {} of {}: create both of {one} and {other}, each with a target group",
                    settings.cluster, settings.region
                ))
            })?;
            ours(&facts.name, facts.controller)?;
            let [group] = facts.target_groups.as_slice() else {
                return Err(CallError::last(format!(
                    "service {name} is in {} target groups; strategy `weighted` needs each of the two in one of its own",
                    facts.target_groups.len()
                )));
            };
            let definition = match facts.task_definition.as_str() {
                "" => None,
                arn => Some(self.definition(&clients.ecs, arn).await?),
            };
            let share = Weight(shares.thousandths(group).unwrap_or(0));
            both.push(Slot { group: group.clone(), set: None, definition, share, facts });
        }
        let both: [Slot; 2] = both.try_into().map_err(|_| CallError::last("strategy `weighted` needs two services"))?;
        let [one, other] = &both;
        if one.group == other.group {
            return Err(CallError::last(format!(
                "services {} and {} are in the same target group: give each one of its own",
                one.facts.name, other.facts.name
            )));
        }
        Ok(Slots { both, shares, beyond: Vec::new() })
    }

    /// Lets a service run so many tasks of a definition.
    pub(super) async fn update(&self, clients: &Clients, slot: &Slot, arn: &str, tasks: u32) -> Result<(), CallError> {
        clients.ecs.update(&slot.facts.name, Some(arn), tasks).await.map_err(refused)
    }

    /// Lets it run none.
    pub(super) async fn idle(&self, clients: &Clients, slot: &Slot) -> Result<(), CallError> {
        clients.ecs.update(&slot.facts.name, None, 0).await.map_err(refused)
    }
}

/// Whether ECS itself replaces the tasks of a service.
fn ours(name: &str, controller: Controller) -> Result<(), CallError> {
    let words = match controller {
        Controller::Ecs => return Ok(()),
        Controller::CodeDeploy => {
            "CODE_DEPLOY: use `strategy: codedeploy`, or make two services with the controller ECS".to_owned()
        }
        Controller::External => format!(
            "EXTERNAL: write `services: {name}` alone, whose task sets take turns, or make two services with the controller ECS"
        ),
    };
    Err(CallError::last(format!(
        "service {name} has the deployment controller {words}; a controller cannot be changed"
    )))
}
