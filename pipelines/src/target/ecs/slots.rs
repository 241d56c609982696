//! The two places and who of them is which colour, whether they are services or target groups for task sets.

use aws::{Ended, Registered, ServiceFacts, Shares, TaskSetFacts, TaskSetStatus};
use rollout::Weight;
use rollout::plan::Revision;

use super::settings::{COMMIT_TAG, ROLLOUT_TAG, Turns, VERSION_TAG};
use super::{Clients, Inner, Settings, refused};
use crate::rollout::{CallError, Subject};

/// One of the two services, or a target group of the one service with the task set that is in it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Those of the service; of a task set its own, and of a place without one no tasks.
    pub(super) facts: ServiceFacts,
    /// ARN of its target group, by which the two are told apart.
    pub(super) group: String,
    /// The task set that is in it, where there are such.
    pub(super) set: Option<TaskSetFacts>,
    /// What it runs, as it was registered; `None` before its first deployment.
    pub(super) definition: Option<Registered>,
    /// Its share of the users.
    pub(super) share: Weight,
}

/// Both of them.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    pub(super) both: [Slot; 2],
    pub(super) shares: Shares,
    /// Task sets that have no place: those that end, and those that nobody of us has made.
    pub(super) beyond: Vec<TaskSetFacts>,
}

impl Slot {
    /// What it is called for people.
    pub(super) fn called(&self, settings: &Settings) -> String {
        let of = match &settings.turns {
            Turns::Services { services: _ } => return format!("service {}", self.facts.name),
            Turns::TaskSets { task_sets_of, target_groups: _ } => task_sets_of,
        };
        match &self.set {
            Some(set) => format!("task set {} of service {of} (target group {})", set.id, short(&self.group)),
            None => format!("target group {} of service {of}, without a task set,", short(&self.group)),
        }
    }

    /// Whether none of its tasks runs or starts.
    pub(super) const fn is_empty(&self) -> bool {
        self.facts.running == 0 && self.facts.pending == 0
    }

    /// Its tasks that ended lately.
    pub(super) async fn ended(&self, clients: &Clients) -> Result<Vec<Ended>, CallError> {
        let mut ended = clients.ecs.ended(&self.facts.name).await.map_err(refused)?;
        if let Some(set) = &self.set {
            // Those of all task sets are the service's, and one that went may have had the same definition.
            ended.retain(|task| task.task_definition == set.task_definition && task.at >= set.at);
        }
        Ok(ended)
    }

    /// The rollout that its tasks are of; 0: somebody else's.
    pub(super) fn rollout(&self) -> u64 {
        let tag = self.definition.as_ref().and_then(|definition| definition.tag(ROLLOUT_TAG));
        tag.and_then(|tag| tag.parse().ok()).unwrap_or(0)
    }

    /// What runs in it.
    pub(super) fn revision(&self, container: &str) -> Revision {
        let tag = |key: &str| self.definition.as_ref().and_then(|definition| definition.tag(key)).unwrap_or_default();
        let images = self.definition.as_ref().map(|definition| definition.images.as_slice()).unwrap_or_default();
        let image = images.iter().find(|(name, _)| name == container).or_else(|| images.first());
        Revision {
            id: self.rollout(),
            image: image.map(|(_, image)| image.clone()).unwrap_or_default(),
            version: tag(VERSION_TAG).to_owned(),
            commit: tag(COMMIT_TAG).to_owned(),
        }
    }
}

impl Slots {
    /// The slot of a revision that runs, or ran, in one.
    pub(super) fn of(&self, revision: u64) -> Option<&Slot> {
        // Before the first rollout both may run what nobody of us registered: the one with users is meant.
        let is_of = |slot: &&Slot| slot.rollout() == revision && slot.definition.is_some();
        self.both.iter().filter(is_of).max_by_key(|slot| (slot.share, slot.facts.desired))
    }

    /// Where green is or comes: where it was put, else beside blue, else where no users are.
    pub(super) fn green(&self, subject: &Subject) -> &Slot {
        let blue = subject.blue.as_ref().and_then(|blue| self.of(blue.id)).map(|slot| slot.group.clone());
        let beside = |slot: &&Slot| blue.as_ref().is_none_or(|blue| slot.group != *blue);
        let own = self.of(subject.green.id).filter(|slot| beside(slot));
        let free = || self.both.iter().filter(beside).min_by_key(|slot| slot.share);
        own.or_else(free).unwrap_or(&self.both[0])
    }

    /// Tasks that a revision is to have in its slot: as written; else what they were scaled to, once it is there; else as many as
    /// the other one.
    pub(super) fn wanted(&self, slot: &Slot, revision: u64, settings: &Settings) -> u32 {
        let is_there = slot.rollout() == revision && slot.facts.desired > 0;
        let own = || if is_there { slot.facts.desired } else { self.beside(slot).facts.desired.max(1) };
        settings.tasks.unwrap_or_else(own)
    }

    /// Whether a task set still ends, whose ever it was.
    pub(super) fn drains(&self) -> bool {
        self.beyond.iter().any(|set| set.status == TaskSetStatus::Draining)
    }

    /// How many of a place's healthy targets can be its own. Another task set that still ends in its target group has some too, and
    /// ECS's own word that this one is steady tells that it has all of its.
    pub(super) fn healthy(&self, slot: &Slot, targets: u32) -> u32 {
        let Some(set) = slot.set.as_ref().filter(|set| !set.is_steady) else { return targets };
        let ends = |other: &&TaskSetFacts| {
            other.status == TaskSetStatus::Draining && other.groups.iter().any(|(group, _)| *group == slot.group)
        };
        let mut ending = self.beyond.iter().filter(ends).map(|other| other.running).peekable();
        if ending.peek().is_none() { targets } else { targets.saturating_sub(ending.sum()).min(set.running) }
    }

    /// The other one.
    pub(super) fn beside(&self, slot: &Slot) -> &Slot {
        if self.both[0].group == slot.group { &self.both[1] } else { &self.both[0] }
    }

    /// The shares with green's.
    pub(super) fn with_green(&self, green: &Slot, weight: Weight) -> Shares {
        Shares::of(&green.group, weight.0, &self.beside(green).group)
    }
}

impl Inner {
    /// Both places as they are now: at most two questions, and one for each definition that is new.
    pub(super) async fn slots(&self, clients: &Clients, settings: &Settings) -> Result<Slots, CallError> {
        match &settings.turns {
            Turns::Services { services } => self.services(clients, settings, services).await,
            Turns::TaskSets { task_sets_of, target_groups } => {
                self.task_sets(clients, settings, (task_sets_of, target_groups)).await
            }
        }
    }
}

/// The name in a target group's ARN.
pub(super) fn short(group: &str) -> &str {
    group.split('/').nth(1).unwrap_or(group)
}
