//! Task sets of one service whose controller is `EXTERNAL`: what comes is a new one in the target group that is free, and what
//! stood is ended. Two target groups of one rule are the two places.
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-external.html>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws::{Controller, Ended, ServiceFacts, TaskSetFacts, TaskSetStatus, TaskSetWish};
use rollout::Weight;
use rollout::plan::Revision;

use super::slots::{Slot, Slots, short};
use super::{Clients, Inner, Settings, refused};
use crate::registry::digest;
use crate::rollout::{CallError, Subject};
use crate::target::revisions::mark;

/// What the name of a task set of ours begins with, outside of ECS.
const OURS: &str = "pipe:";
/// Characters of a token that ECS takes are 36.
const TOKEN_DIGITS: usize = 31;
/// Rollouts that are this much older than one that asks have ended long ago.
const OLD: u64 = 1_000;

/// Tasks of a task set that ended though they should run. ECS keeps no count of them, and forgets a task after an hour.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<(u64, String), u32>>);

impl Failures {
    fn grown(&self, rollout: u64, set: &str, count: u32) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _), _| of.abs_diff(rollout) < OLD);
        let known = all.entry((rollout, set.to_owned())).or_default();
        *known = count.max(*known);
        *known
    }
}

impl Inner {
    /// Both places as they are now.
    pub(super) async fn task_sets(
        &self,
        clients: &Clients,
        settings: &Settings,
        (name, groups): (&str, &[String; 2]),
    ) -> Result<Slots, CallError> {
        let found = clients.ecs.services(&[name]).await.map_err(refused)?;
        let facts = found.into_iter().next().ok_or_else(|| {
            CallError::last(format!(
                "there is no service `{name}` in cluster {} of {}: check its name, or create it with the deployment controller EXTERNAL",
                settings.cluster, settings.region
            ))
        })?;
        ours(&facts)?;
        let shares = clients.balancer.shares(&settings.rule).await.map_err(refused)?;
        let mut places = Vec::new();
        let mut beyond = facts.task_sets.clone();
        for group in groups {
            let set = in_group(&facts.task_sets, group);
            beyond.retain(|other| set.as_ref().is_none_or(|set| set.id != other.id));
            let definition = match &set {
                Some(set) => Some(self.definition(&clients.ecs, &set.task_definition).await?),
                None => None,
            };
            let share = Weight(shares.thousandths(group).unwrap_or(0));
            places.push(Slot { group: group.clone(), facts: own(&facts, set.as_ref()), set, definition, share });
        }
        let both: [Slot; 2] = places.try_into().map_err(|_| CallError::last("task sets need two target groups"))?;
        Ok(Slots { both, shares, beyond })
    }

    /// Makes green's task set, all of the service's tasks of this definition. What is left in its place has no users and ends first.
    pub(super) async fn make_set(
        &self,
        (clients, settings): (&Clients, &Settings),
        subject: &Subject,
        slots: &Slots,
        arn: &str,
    ) -> Result<String, CallError> {
        let green = slots.green(subject);
        let service = &green.facts.name;
        if let Some(set) = &green.set {
            if set.task_definition == arn {
                clients.ecs.scale_task_set(service, &set.id).await.map_err(refused)?;
                return Ok(set.id.clone());
            }
            refuse_busy(green, subject, slots.beside(green), settings)?;
            self.end_set(clients, slots, green).await?;
        }
        let Some(like) = &slots.beside(green).set else {
            return Err(CallError::last(format!(
                "service {service} has no task set any more that the new one could be like: somebody has ended what stood"
            )));
        };
        let mark = mark(subject.rollout, &subject.plan);
        // Of the definition too, which is registered once: the same call has the same token, and no other one has it.
        let token = digest(format!("{mark} {arn} {}", green.group).as_bytes());
        let token: String = token.trim_start_matches("sha256:").chars().take(TOKEN_DIGITS).collect();
        let wish = TaskSetWish {
            service: service.clone(),
            like: like.id.clone(),
            task_definition: arn.to_owned(),
            group: green.group.clone(),
            container: settings.container.clone(),
            external_id: format!("{OURS}{mark}"),
            token: format!("{OURS}{token}"),
        };
        clients.ecs.create_task_set(&wish).await.map_err(refused)
    }

    /// Makes what has all users the one that ECS calls so, unless it is.
    pub(super) async fn set_primary(&self, clients: &Clients, slot: &Slot) -> Result<(), CallError> {
        let Some(set) = slot.set.as_ref().filter(|set| set.status != TaskSetStatus::Primary) else { return Ok(()) };
        clients.ecs.set_primary(&slot.facts.name, &set.id).await.map_err(refused)
    }

    /// Ends the task set in a place that has no users.
    pub(super) async fn end_set(&self, clients: &Clients, slots: &Slots, slot: &Slot) -> Result<(), CallError> {
        let Some(set) = &slot.set else { return Ok(()) };
        // ECS keeps the one that serves.
        if set.status == TaskSetStatus::Primary {
            let other = slots.beside(slot);
            if other.set.is_none() {
                return Err(CallError::last(format!(
                    "task set {} is the only one of service {}: it is not ended",
                    set.id, slot.facts.name
                )));
            }
            self.set_primary(clients, other).await?;
        }
        clients.ecs.delete_task_set(&slot.facts.name, &set.id).await.map_err(refused)
    }

    /// Tasks of a place that failed so far: ECS counts them for a service, and of a task set those are counted that were seen.
    pub(super) fn failed(&self, rollout: u64, slot: &Slot, ended: &[Ended]) -> u32 {
        let Some(set) = &slot.set else { return slot.facts.failed };
        let has_failed = |task: &&Ended| !task.stopped.starts_with("Scaling activity");
        let count = u32::try_from(ended.iter().filter(has_failed).count()).unwrap_or(u32::MAX);
        self.failures.grown(rollout, &set.id, count)
    }
}

/// The task set in a target group: the one that serves before ours, ours before others, of those the oldest.
fn in_group(all: &[TaskSetFacts], group: &str) -> Option<TaskSetFacts> {
    let is_there =
        |set: &&TaskSetFacts| set.status != TaskSetStatus::Draining && set.groups.iter().any(|(of, _)| of == group);
    let rank = |set: &&TaskSetFacts| {
        (set.status == TaskSetStatus::Primary, set.external_id.starts_with(OURS), std::cmp::Reverse(set.at))
    };
    all.iter().filter(is_there).max_by_key(rank).cloned()
}

/// What a task set has of what a service has.
fn own(service: &ServiceFacts, set: Option<&TaskSetFacts>) -> ServiceFacts {
    ServiceFacts {
        task_definition: set.map(|set| set.task_definition.clone()).unwrap_or_default(),
        desired: set.map_or(0, |set| set.desired),
        running: set.map_or(0, |set| set.running),
        pending: set.map_or(0, |set| set.pending),
        is_steady: set.is_some_and(|set| set.is_steady),
        task_sets: Vec::new(),
        ..service.clone()
    }
}

/// Whether somebody outside of ECS makes the task sets of a service.
fn ours(facts: &ServiceFacts) -> Result<(), CallError> {
    let name = &facts.name;
    let words = match facts.controller {
        Controller::External => return Ok(()),
        Controller::Ecs => format!(
            "ECS, and task sets need EXTERNAL: name two services with the controller ECS (`services: {name}-a,{name}-b`), use \
             `strategy: ecs-native` or `rolling`, or create the service anew with EXTERNAL"
        ),
        Controller::CodeDeploy => {
            "CODE_DEPLOY, and task sets need EXTERNAL: use `strategy: codedeploy`, or create the service anew"
                .to_owned()
        }
    };
    Err(CallError::last(format!(
        "service {name} has the deployment controller {words}; a controller cannot be changed"
    )))
}

/// What of the service stands in the way, before anything is done.
pub(super) fn fits(settings: &Settings, slots: &Slots) -> Result<(), CallError> {
    let absent = slots.both.iter().find(|slot| slots.shares.0.iter().all(|(group, _)| *group != slot.group));
    if let Some(absent) = absent {
        return Err(CallError::last(format!(
            "{} does not forward to target group {}, which it did when the plan was made: let it forward to both, and deploy again",
            settings.rule,
            short(&absent.group)
        )));
    }
    if let Some(set) = slots.both.iter().filter_map(|slot| slot.set.as_ref()).find(|set| set.groups.len() > 1) {
        let groups: Vec<&str> = set.groups.iter().map(|(group, _)| short(group)).collect();
        return Err(CallError::last(format!(
            "task set {} of service {} is in target groups {}: what comes would be in one alone, and users of the others would find \
             nobody. Let each task set be in one, or use two services",
            set.id,
            slots.both[0].facts.name,
            groups.join(" and ")
        )));
    }
    let stays = |set: &&TaskSetFacts| set.status != TaskSetStatus::Draining;
    if let Some(third) = slots.beyond.iter().find(stays) {
        let groups: Vec<&str> = third.groups.iter().map(|(group, _)| short(group)).collect();
        let groups = if groups.is_empty() { "no target group".to_owned() } else { groups.join(" and ") };
        return Err(CallError::last(format!(
            "service {} has a task set beside the two that take turns: {} in {groups}. Who made it should end it, or {}",
            slots.both[0].facts.name,
            third.id,
            ending(settings, &slots.both[0].facts.name, &third.id)
        )));
    }
    Ok(())
}

/// What stands, and that what comes has a place beside it; `None`: no task set has users and tasks.
pub(super) fn stands<'a>(
    settings: &Settings,
    subject: &Subject,
    slots: &'a Slots,
    blue: Option<&'a Slot>,
) -> Result<&'a Slot, CallError> {
    let Some(blue) = blue else { return Err(nobody(settings, slots)) };
    let green = slots.beside(blue);
    refuse_busy(green, subject, blue, settings)?;
    let port = blue.set.iter().flat_map(|set| &set.groups).find(|(group, _)| *group == blue.group);
    let Some(port) = port.and_then(|(_, port)| *port) else { return Ok(blue) };
    let containers = settings.task_definition["containerDefinitions"].as_array().map_or(&[][..], Vec::as_slice);
    let serves = containers.iter().find(|one| one["name"] == settings.container.as_str());
    let mappings = serves.and_then(|one| one["portMappings"].as_array()).map_or(&[][..], Vec::as_slice);
    if mappings.iter().any(|mapping| mapping["containerPort"] == port) {
        return Ok(blue);
    }
    Err(CallError::last(format!(
        "{} serves at port {port}, and container `{}` of the task definition has no such port in `portMappings`: the target group asks \
         there. Keep the port",
        blue.called(settings),
        settings.container
    )))
}

fn nobody(settings: &Settings, slots: &Slots) -> CallError {
    let [one, other] = &slots.both;
    let service = &one.facts.name;
    let places = [one, other].map(|slot| {
        let tasks = slot
            .set
            .as_ref()
            .map_or("no task set".to_owned(), |set| format!("task set {} of {} tasks", set.id, set.desired));
        format!("{} with {} of the users has {tasks}", short(&slot.group), slot.share)
    });
    CallError::last(format!(
        "nothing of service {service} serves: {}. A new task set is made like the one that serves, so the first one is yours to make: \
         `aws ecs create-task-set --cluster {} --service {service} --task-definition … --load-balancers \
         targetGroupArn={},containerName={},containerPort=… --network-configuration … --launch-type FARGATE`, then `aws ecs \
         update-service-primary-task-set`; the rule gives that group all users, and the service's desired count is 1 at least",
        places.join(", "),
        settings.cluster,
        one.group,
        settings.container
    ))
}

/// A task set in green's place that is not green, and that nobody of us has left there: somebody else deploys the service.
fn refuse_busy(green: &Slot, subject: &Subject, blue: &Slot, settings: &Settings) -> Result<(), CallError> {
    let Some(set) = green.set.as_ref() else { return Ok(()) };
    let (of, Revision { id, .. }) = (green.rollout(), &subject.green);
    if [*id, subject.rollout].contains(&of) {
        return Ok(());
    }
    let who = match of {
        // What stood before the first rollout is older than what stands now.
        0 if set.at >= blue.set.as_ref().and_then(|blue| blue.at) => "somebody else".to_owned(),
        later if later > subject.rollout => format!("rollout {later} of another installation of pipe"),
        _ => return Ok(()),
    };
    Err(CallError::last(format!(
        "{} was made by {who} after what stands, and has no users: another rollout of the service goes on, or was left alone. Wait \
         for its end, or {}",
        green.called(settings),
        ending(settings, &green.facts.name, &set.id)
    )))
}

fn ending(settings: &Settings, service: &str, set: &str) -> String {
    format!("`aws ecs delete-task-set --force --cluster {} --service {service} --task-set {set}`", settings.cluster)
}
