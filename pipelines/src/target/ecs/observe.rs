//! What is seen of both colours: targets and tasks, alarms, and what CloudWatch has counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws::{Ended, Metric, TargetFacts, TargetState, explained};
use rollout::{Counters, Observation, Side, Weight};

use super::super::troubles::last_lines;
use super::settings::group_dimension;
use super::slots::{Slot, Slots};
use super::{Clients, Inner, Settings, refused};
use crate::rollout::{CallError, Subject};

/// The metrics of a colour: requests, then what of them were errors.
pub(crate) const METRICS: [&str; 3] = ["RequestCount", "HTTPCode_Target_5XX_Count", "TargetConnectionErrorCount"];
/// Tasks whose end is explained.
const TROUBLES_MAX: usize = 3;

/// CloudWatch may count less for a moment than it did; ours only grow.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<HashMap<(u64, String), Counters>>);

impl Counted {
    pub(crate) fn grown(&self, rollout: u64, group: &str, requests: f64, errors: f64) -> Counters {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What ended is not asked for any more.
        all.retain(|(of, _), _| of.abs_diff(rollout) < 1_000);
        let known = all.entry((rollout, group.to_owned())).or_default();
        known.requests = known.requests.max(whole(requests)).max(whole(errors));
        known.errors = known.errors.max(whole(errors));
        known.clone()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of requests, cut at both ends")]
fn whole(count: f64) -> u64 {
    count.clamp(0.0, 1e15).round() as u64
}

impl Inner {
    /// See [`crate::rollout::Target::observe`].
    pub(super) async fn observation(&self, subject: &Subject) -> Result<Observation, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let clients = self.clients(&settings)?;
        // Before the shares: whose users set an alarm off is seen after it.
        let alarms = if settings.alarms.is_empty() {
            Vec::new()
        } else {
            clients.watch.firing(&settings.alarms).await.map_err(refused)?
        };
        let slots = self.slots(&clients, &settings).await?;
        let green = slots.green(subject);
        let blue = subject.blue.as_ref().map(|_| slots.beside(green));
        // From when green was registered on, also after a crash.
        let from = slots.of(subject.green.id).and_then(|slot| slot.definition.as_ref()?.at);
        let sums = self.sums(&clients, &settings, green, blue, from).await?;
        let counted = |slot: &Slot, at: usize| {
            let [requests, errors, lost] = std::array::from_fn(|number| sums.get(at + number).copied().unwrap_or(0.0));
            self.counted.grown(subject.rollout, &slot.group, requests, errors + lost)
        };
        let wanted = slots.wanted(green, subject.green.id, &settings);
        let of = (&clients, &settings, subject.rollout, &slots);
        let green_side = self.side(of, green, wanted, counted(green, 0)).await?;
        let blue_side = match blue {
            Some(blue) => Some(self.side(of, blue, blue.facts.desired, counted(blue, METRICS.len())).await?),
            None => None,
        };
        let has_split = subject.blue.is_some() || green.share > Weight::NONE;
        let weight = has_split.then_some(green.share);
        Ok(Observation { at: self.clock.now(), weight, blue: blue_side, green: green_side, alarms, given_up: None })
    }

    async fn sums(
        &self,
        clients: &Clients,
        settings: &Settings,
        green: &Slot,
        blue: Option<&Slot>,
        from: Option<SystemTime>,
    ) -> Result<Vec<f64>, CallError> {
        let Some(from) = from else { return Ok(Vec::new()) };
        let metric = |slot: &Slot, name: &str| Metric {
            namespace: "AWS/ApplicationELB".to_owned(),
            name: name.to_owned(),
            dimensions: vec![
                ("TargetGroup".to_owned(), group_dimension(&slot.group)),
                ("LoadBalancer".to_owned(), settings.balancer()),
            ],
        };
        let slots = std::iter::once(green).chain(blue);
        let metrics: Vec<_> = slots.flat_map(|slot| METRICS.map(|name| metric(slot, name))).collect();
        clients.watch.sums_until(&metrics, from, self.clock.now().into()).await.map_err(refused)
    }

    async fn side(
        &self,
        (clients, settings, rollout, slots): (&Clients, &Settings, u64, &Slots),
        slot: &Slot,
        wanted: u32,
        counters: Counters,
    ) -> Result<Side, CallError> {
        let targets = clients.balancer.targets(&slot.group).await.map_err(refused)?;
        let healthy = targets.iter().filter(|target| target.state == TargetState::Healthy).count();
        let healthy = slots.healthy(slot, u32::try_from(healthy).unwrap_or(u32::MAX)).min(wanted);
        let is_short = healthy < wanted;
        // ECS counts those of a service that failed; those of a task set are looked at. A look has few questions.
        let asks = is_short && (slot.set.is_some() || slot.facts.failed > 0 || slot.facts.given_up.is_some());
        let ended = if asks { slot.ended(clients).await? } else { Vec::new() };
        let failed = self.failed(rollout, slot, &ended);
        let trouble = if is_short { trouble((clients, settings), slot, &ended, &targets).await } else { None };
        Ok(Side {
            wanted,
            healthy,
            failed: if slot.facts.given_up.is_some() { wanted.saturating_sub(healthy) } else { 0 },
            restarts: u64::from(failed),
            in_flight: 0,
            counters,
            trouble,
        })
    }
}

/// Why it is not healthy: what ECS gave up for, tasks that ended, targets that fail their checks.
async fn trouble(
    (clients, settings): (&Clients, &Settings),
    slot: &Slot,
    ended: &[Ended],
    targets: &[TargetFacts],
) -> Option<String> {
    let mut words: Vec<String> = slot.facts.given_up.iter().cloned().collect();
    if !ended.is_empty() {
        words.extend(ended.iter().take(TROUBLES_MAX).map(explained));
        words.extend(last_lines(&clients.cloud, &settings.task_definition, &settings.container, ended).await);
    }
    let failing = targets.iter().filter(|target| target.state == TargetState::Unhealthy);
    words.extend(failing.take(TROUBLES_MAX).map(|target| format!("target {}: {}", target.address, target.why)));
    // Why no task could be started at all is only among the events.
    let is_stuck = |event: &&String| event.contains("unable to");
    words.extend(slot.facts.events.iter().find(is_stuck).filter(|_| slot.facts.running == 0).cloned());
    (!words.is_empty()).then(|| format!("{}: {}", slot.called(settings), words.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_grow() {
        let counted = Counted::default();
        assert_eq!(counted.grown(1, "a", 10.0, 1.0).requests, 10);
        let less = counted.grown(1, "a", 8.0, 2.0);
        assert_eq!((less.requests, less.errors), (10, 2));
        assert_eq!(counted.grown(2, "a", 3.0, 5.0).requests, 5, "an error was a request");
    }
}
