//! Whether it can be done at all: both places, their rule, what stands, and alarms.

use aws::TargetState;
use rollout::fact::Found;

use super::settings::Turns;
use super::slots::{Slot, Slots, short};
use super::{Clients, Inner, Settings, refused, sets};
use crate::rollout::{CallError, Subject};
use crate::target::revisions::{PLAN_TAG, mark};

impl Inner {
    /// See [`rollout::Call::Preflight`].
    pub(super) async fn preflight(&self, subject: &Subject) -> Result<Found, CallError> {
        let settings = Settings::of(&subject.plan)?;
        if !subject.plan.image.contains("@sha256:") {
            return Err(CallError::last(format!(
                "image {} is named by a tag, which may be another image now than when it was scanned: deploy HOST/NAME@sha256:…",
                subject.plan.image
            )));
        }
        let clients = self.clients(&settings)?;
        let slots = self.slots(&clients, &settings).await?;
        fits(&settings, &slots)?;
        is_ours(subject, &settings, &slots)?;
        self.quiet(&clients, subject, &settings).await?;
        let blue = self.standing((&clients, &settings), subject, &slots).await?;
        let blue = match &settings.turns {
            Turns::Services { services: _ } => blue,
            Turns::TaskSets { .. } => Some(sets::stands(&settings, subject, &slots, blue)?),
        };
        let is_warm = |id: u64| {
            let enough = |slot: &&Slot| {
                let tasks = slots.wanted(slot, id, &settings);
                slot.facts.running >= tasks && slot.facts.desired >= tasks
            };
            slots.of(id).filter(enough).is_some()
        };
        let green_is_warm = subject
            .plan
            .reuse
            .as_ref()
            .is_some_and(|revision| is_warm(revision.id) && blue.is_none_or(|blue| blue.rollout() != revision.id));
        Ok(Found { blue: blue.map(|slot| slot.revision(&settings.container)), green_is_warm })
    }

    /// With an alarm that is on already, nobody could tell what the new one does. What goes back must not wait for that.
    async fn quiet(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<(), CallError> {
        if settings.alarms.is_empty() || !subject.plan.rollback_on.alarm || subject.plan.rollback_of.is_some() {
            return Ok(());
        }
        let firing = clients.watch.firing(&settings.alarms).await.map_err(refused)?;
        if firing.is_empty() {
            return Ok(());
        }
        Err(CallError::last(format!(
            "before anything was changed, alarms are on: {}. See to them first, or leave `alarm` out of `rollback-on`",
            firing.join(", ")
        )))
    }

    /// Who has the users; `None`: nobody runs yet.
    async fn standing<'a>(
        &self,
        (clients, settings): (&Clients, &Settings),
        subject: &Subject,
        slots: &'a Slots,
    ) -> Result<Option<&'a Slot>, CallError> {
        let mine = |slot: &&Slot| slot.rollout() == subject.rollout && slot.definition.is_some();
        let serving: Vec<&Slot> =
            slots.both.iter().filter(|slot| slot.share.0 > 0 && !mine(slot) && slot.facts.desired > 0).collect();
        match serving.as_slice() {
            [] => Ok(None),
            [blue] => {
                let targets = clients.balancer.targets(&blue.group).await.map_err(refused)?;
                if targets.iter().any(|target| target.state == TargetState::Healthy) {
                    return Ok(Some(blue));
                }
                let why =
                    targets.iter().find(|target| !target.why.is_empty()).map_or("it has no target", |one| &one.why);
                Err(CallError::last(format!(
                    "what stands ({}) has no healthy target: {why}. Mend it first, so that there is something to go back to",
                    blue.called(settings)
                )))
            }
            [one, other, ..] => Err(CallError::last(format!(
                "users are shared between {} ({}) and {} ({}), and no rollout of `pipe` does that: set one of the two to all of them \
                 in the rule first",
                one.called(settings),
                one.share,
                other.called(settings),
                other.share
            ))),
        }
    }
}

/// Numbers of rollouts begin anew with each installation, and colours are told by them: one that another installation has given must
/// not be taken for this rollout's own.
fn is_ours(subject: &Subject, settings: &Settings, slots: &Slots) -> Result<(), CallError> {
    let mark = mark(subject.rollout, &subject.plan);
    let foreign = slots.both.iter().find(|slot| {
        let tag = slot.definition.as_ref().and_then(|definition| definition.tag(PLAN_TAG));
        slot.rollout() == subject.rollout && tag != Some(mark.as_str())
    });
    match foreign {
        None => Ok(()),
        Some(slot) => Err(CallError::last(format!(
            "{} runs what rollout {} of another installation of pipe deployed, and this is rollout {} too: deploy again, the next one \
             has another number. One server should deploy a service",
            slot.called(settings),
            subject.rollout,
            subject.rollout
        ))),
    }
}

/// Whether the rule shares users between the two, and nobody else is in between.
fn fits(settings: &Settings, slots: &Slots) -> Result<(), CallError> {
    let [one, other] = &slots.both;
    let is_foreign = |(group, weight): &&(String, u32)| *weight > 0 && ![&one.group, &other.group].contains(&group);
    if let Some((group, _)) = slots.shares.0.iter().find(is_foreign) {
        let neither = match &settings.turns {
            Turns::Services { services: [one, other] } => format!("in which neither {one} nor {other} is"),
            Turns::TaskSets { .. } => {
                format!("beside {} and {}", short(&one.group), short(&other.group))
            }
        };
        return Err(CallError::last(format!(
            "{} shares users with {group} too, {neither}: name another rule, or take it out",
            settings.rule
        )));
    }
    match &settings.turns {
        Turns::Services { services: _ } => Ok(()),
        Turns::TaskSets { .. } => sets::fits(settings, slots),
    }
}
