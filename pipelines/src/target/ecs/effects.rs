//! What changes something. Each looks first and sets what is not so yet, so that it may be asked for twice.

use aws::TaskDefinition;
use jiff::SignedDuration;
use rollout::Weight;
use serde_json::{Value, json};

use super::super::troubles::last_lines;
use super::settings::{COMMIT_TAG, ROLLOUT_TAG, Turns, VERSION_TAG};
use super::slots::{Slot, Slots};
use super::{Clients, Inner, Settings, refused};
use crate::rollout::{CallError, Subject};
use crate::target::keeping::keep_image;
use crate::target::revisions::{PLAN_TAG, mark};

/// Between the first two looks at a service whose tasks end; each later pause is longer.
const STOP_PAUSE_MIN: SignedDuration = SignedDuration::from_secs(2);
/// The longest.
const STOP_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(15);

impl Inner {
    /// See [`rollout::Call::StartGreen`].
    pub(super) async fn start_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let arn = self.register(&clients, subject, &settings).await?;
        // Afterwards, since that takes some seconds: what has got users meanwhile is not replaced.
        let slots = self.slots(&clients, &settings).await?;
        let green = slots.green(subject);
        let tasks = slots.wanted(green, subject.green.id, &settings);
        if !(green.facts.task_definition == arn && runs(green, &settings)) {
            // What carries users is never replaced.
            if green.share > Weight::NONE && subject.blue.is_some() {
                return Err(busy(green, &settings));
            }
            match &settings.turns {
                Turns::Services { services: _ } => self.update(&clients, green, &arn, tasks).await?,
                Turns::TaskSets { .. } => {
                    let made = self.make_set((&clients, &settings), subject, &slots, &arn).await?;
                    return Ok(json!({ "service": green.facts.name, "task-set": made, "task-definition": arn }));
                }
            }
        }
        Ok(started(green, &arn))
    }

    /// The revision of this rollout: one that is there is used.
    async fn register(&self, clients: &Clients, subject: &Subject, settings: &Settings) -> Result<String, CallError> {
        let mut definition = TaskDefinition::of(settings.task_definition.clone()).map_err(|flaws| {
            let flaws = flaws.iter().map(ToString::to_string).collect::<Vec<_>>();
            CallError::last(format!("the task definition is wrong: {}", flaws.join("; ")))
        })?;
        let (id, mark) = (subject.green.id.to_string(), mark(subject.rollout, &subject.plan));
        // What is used again was registered by the rollout that it is of.
        let (key, value) = if subject.green.id == subject.rollout { (PLAN_TAG, &mark) } else { (ROLLOUT_TAG, &id) };
        let known = clients.ecs.registered_for(definition.family(), key, value).await.map_err(refused)?;
        if let Some(known) = known.filter(|known| known.images.iter().any(|(_, image)| *image == subject.green.image)) {
            return Ok(known.arn);
        }
        definition.tag(ROLLOUT_TAG, &id);
        definition.tag(PLAN_TAG, &mark);
        for (key, value) in [(VERSION_TAG, &subject.green.version), (COMMIT_TAG, &subject.green.commit)] {
            if !value.is_empty() {
                definition.tag(key, value);
            }
        }
        clients.ecs.register(&definition).await.map_err(refused)
    }

    /// Whether green's service has its definition and its tasks.
    pub(super) async fn green_is_there(&self, subject: &Subject) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let slots = self.slots(&self.clients(&settings)?, &settings).await?;
        let green = slots.of(subject.green.id).filter(|slot| runs(slot, &settings));
        Ok(green.map(|slot| started(slot, &slot.facts.task_definition)))
    }

    /// See [`rollout::Call::TestTraffic`].
    pub(super) async fn tests(&self, subject: &Subject, on: bool) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let Some(rule) = &settings.test_rule else { return Ok(json!({})) };
        let clients = self.clients(&settings)?;
        let slots = self.slots(&clients, &settings).await?;
        let weight = if on || subject.blue.is_none() { Weight::ALL } else { Weight::NONE };
        let wanted = slots.with_green(slots.green(subject), weight);
        clients.balancer.share(rule, &wanted).await.map_err(refused)?;
        Ok(json!({ "weight": weight }))
    }

    /// See [`rollout::Call::SetWeight`].
    pub(super) async fn set_weight(&self, subject: &Subject, weight: Weight) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let slots = self.slots(&clients, &settings).await?;
        let green = slots.green(subject);
        if weight > Weight::NONE && green.set.is_none() && matches!(settings.turns, Turns::TaskSets { .. }) {
            return Err(CallError::last(format!(
                "{} would get {weight} of the users: somebody has ended the task set that this rollout made there",
                green.called(&settings)
            )));
        }
        let wanted = slots.with_green(green, weight);
        clients.balancer.share(&settings.rule, &wanted).await.map_err(refused)?;
        Ok(json!({ "weight": weight }))
    }

    /// Whether the shares stand as they were asked for.
    pub(super) async fn weight_stands(&self, subject: &Subject, weight: Weight) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let slots = self.slots(&self.clients(&settings)?, &settings).await?;
        let wanted = slots.with_green(slots.green(subject), weight);
        Ok(slots.shares.is_as(&wanted).then(|| json!({ "weight": weight })))
    }

    /// See [`rollout::Call::MakePrimary`]: the rule says who stands, and green has all of it.
    pub(super) async fn make_primary(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let slots = self.slots(&clients, &settings).await?;
        let green = slots.green(subject);
        if green.share != Weight::ALL {
            return Err(CallError::last(format!(
                "{} has {} of the users and was to have all of them: somebody else changed the rule",
                green.called(&settings),
                green.share
            )));
        }
        self.set_primary(&clients, green).await?;
        let mut made = json!({ "service": green.facts.name });
        keep_image(&clients.cloud, subject, &mut made).await?;
        Ok(made)
    }

    /// Lets a revision's service run nothing, or ends its task set, and waits for the end of its tasks; refused while it has users.
    pub(super) async fn stop(&self, subject: &Subject, revision: u64) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        let mut pause = STOP_PAUSE_MIN;
        let mut seen = None;
        loop {
            let slots = self.slots(&clients, &settings).await?;
            match to_stop(&slots, subject, revision).cloned() {
                Some(slot) => {
                    if slot.share > Weight::NONE {
                        return Err(busy(&slot, &settings));
                    }
                    if slot.set.is_some() {
                        self.end_set(&clients, &slots, &slot).await?;
                    } else if slot.facts.desired > 0 {
                        self.idle(&clients, &slot).await?;
                    } else if slot.is_empty() {
                        return last_words((&clients, &settings), Some(&slot)).await;
                    }
                    seen = Some(slot);
                }
                None if !slots.drains() => return last_words((&clients, &settings), seen.as_ref()).await,
                // Its task set ends, and is not the service's any more after that.
                None => {}
            }
            let next = self.clock.now().saturating_add(pause).unwrap_or(jiff::Timestamp::MAX);
            self.clock.wait_until(next).await;
            pause = (pause * 3 / 2).min(STOP_PAUSE_MAX);
        }
    }

    /// Whether nothing of a revision runs any more.
    pub(super) async fn is_stopped(&self, subject: &Subject, revision: u64) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let slots = self.slots(&self.clients(&settings)?, &settings).await?;
        let slot = to_stop(&slots, subject, revision);
        let runs = slot.is_some_and(|slot| slot.set.is_some() || slot.facts.desired > 0 || !slot.is_empty());
        Ok((!runs && !slots.drains()).then(|| json!({ "cut": 0 })))
    }
}

/// How the tasks of what was stopped ended, and the end of their logs.
async fn last_words((clients, settings): (&Clients, &Settings), slot: Option<&Slot>) -> Result<Value, CallError> {
    let Some(slot) = slot else { return Ok(json!({ "cut": 0 })) };
    let ended = slot.ended(clients).await?;
    let mut logs: Vec<String> = ended.iter().map(aws::explained).collect();
    logs.extend(last_lines(&clients.cloud, &settings.task_definition, &settings.container, &ended).await);
    Ok(json!({ "cut": 0, "logs": logs }))
}

/// What is told of green once it is there.
fn started(green: &Slot, arn: &str) -> Value {
    match &green.set {
        Some(set) => json!({ "service": green.facts.name, "task-set": set.id, "task-definition": arn }),
        None => json!({ "service": green.facts.name, "task-definition": arn }),
    }
}

/// The place of a revision, which is the other one's by no mistake.
fn to_stop<'a>(slots: &'a Slots, subject: &Subject, revision: u64) -> Option<&'a Slot> {
    let found = slots.of(revision)?;
    if revision != 0 || subject.green.id == 0 {
        return Some(found);
    }
    // Two that are of nobody's rollout look alike; the one beside green is meant.
    let green = slots.green(subject);
    let beside = slots.beside(green);
    // What stood is older than green: a later task set in its place is somebody else's.
    let is_later = beside.set.as_ref().zip(green.set.as_ref()).is_some_and(|(beside, green)| beside.at > green.at);
    (!is_later).then_some(beside)
}

/// Whether as many tasks are asked for as green is to have. Once they are, somebody may scale them.
fn runs(green: &Slot, settings: &Settings) -> bool {
    let is_whole = green.set.as_ref().is_none_or(|set| set.is_whole);
    is_whole && settings.tasks.map_or(green.facts.desired > 0, |tasks| green.facts.desired == tasks)
}

fn busy(slot: &Slot, settings: &Settings) -> CallError {
    CallError::last(format!(
        "{} has {} of the users; it is not touched while it has any",
        slot.called(settings),
        slot.share
    ))
}
