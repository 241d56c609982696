//! The two services and who of them is which colour.

use aws::{Registered, ServiceFacts, Shares};
use rollout::Weight;
use rollout::plan::Revision;

use super::settings::{COMMIT_TAG, ROLLOUT_TAG, VERSION_TAG};
use super::{Clients, Inner, Settings, refused};
use crate::rollout::{CallError, Subject};

/// One of the two services.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) facts: ServiceFacts,
    /// Its target group.
    pub(super) group: String,
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
}

impl Slot {
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
        let blue = subject.blue.as_ref().and_then(|blue| self.of(blue.id)).map(|slot| slot.facts.name.clone());
        let beside = |slot: &&Slot| blue.as_ref().is_none_or(|blue| slot.facts.name != *blue);
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

    /// The other one.
    pub(super) fn beside(&self, slot: &Slot) -> &Slot {
        if self.both[0].facts.name == slot.facts.name { &self.both[1] } else { &self.both[0] }
    }

    /// The shares with green's.
    pub(super) fn with_green(&self, green: &Slot, weight: Weight) -> Shares {
        Shares::of(&green.group, weight.0, &self.beside(green).group)
    }
}

impl Inner {
    /// Both services as they are now: at most two questions, and one for each definition that is new.
    pub(super) async fn slots(&self, clients: &Clients, settings: &Settings) -> Result<Slots, CallError> {
        let [one, other] = &settings.services;
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
            both.push(Slot { group: group.clone(), definition, share, facts });
        }
        let both: [Slot; 2] = both.try_into().map_err(|_| CallError::last("strategy `weighted` needs two services"))?;
        Ok(Slots { both, shares })
    }
}
