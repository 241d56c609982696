//! What is seen of both colours: what CodeDeploy says, the health of targets, alarms, and what CloudWatch has counted.

use std::sync::PoisonError;

use aws::{SetFacts, Status, explained};
use rollout::{Observation, Side, Weight};

use super::super::revisions::{mark, registered};
use super::super::sides::{Colour, Eyes};
use super::find::{given_up, share};
use super::{Clients, Inner, Settings};
use crate::rollout::{CallError, Subject};
use crate::target::refused;

/// Tasks whose end is explained.
const TROUBLES_MAX: usize = 3;

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
        let id = self.found(&clients, subject, &settings).await?;
        let seen = self.see(&clients, &settings, &id).await?;
        let (mut given_up, share) = (given_up(&seen), share(&seen));
        let target = seen.1.unwrap_or_default();
        let is_taken_back = subject.green.id != subject.rollout;
        // Of one that is taken back the colours have changed places.
        let (mut green, mut blue, mut weight) = (target.green, target.blue, share);
        let has_ended = is_taken_back && seen.0.status == Status::Succeeded;
        if is_taken_back {
            (green, blue, weight, given_up) = (blue, green, Weight(1_000 - share.0.min(1_000)), None);
        }
        let (mut green, blue) = self.sides(&clients, subject, &settings, green, blue).await?;
        if has_ended {
            // Nothing is left of what stood before.
            green = Side::default();
        }
        let blue = subject.blue.as_ref().and(blue);
        Ok(Observation {
            at: self.clock.now(),
            weight: Some(weight),
            blue,
            green,
            alarms,
            given_up: given_up.map(Box::new),
        })
    }

    async fn sides(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
        green: Option<SetFacts>,
        blue: Option<SetFacts>,
    ) -> Result<(Side, Option<Side>), CallError> {
        // Before its tasks are made nothing of it is healthy.
        let starting = || Side { wanted: 1, ..Side::default() };
        let Some(green) = green else { return Ok((starting(), None)) };
        let (group, balancer) = self.group(clients, &green.group).await?;
        let mut colours = vec![Colour {
            group,
            wanted: green.desired.max(1),
            running: green.running,
            trouble: self.trouble(clients, settings, &green).await?,
        }];
        if let Some(blue) = blue.filter(|blue| blue.desired > 0) {
            let (group, _) = self.group(clients, &blue.group).await?;
            colours.push(Colour { group, wanted: blue.desired, running: blue.running, trouble: Vec::new() });
        }
        let eyes = Eyes {
            balancer: &clients.balancer,
            watch: &clients.watch,
            counted: &self.counted,
            balancer_name: &balancer,
            rollout: subject.rollout,
            now: self.clock.now(),
        };
        let from = self.registered_at(clients, subject, settings).await?;
        let counters = eyes.counters(&colours.iter().collect::<Vec<_>>(), from).await?;
        let mut sides = Vec::new();
        for (colour, counters) in colours.iter().zip(counters) {
            sides.push(eyes.side(colour, counters).await?);
        }
        let mut sides = sides.into_iter();
        Ok((sides.next().unwrap_or_else(starting), sides.next()))
    }

    /// ARN of a target group and the name of its balancer, asked for once.
    async fn group(&self, clients: &Clients, name: &str) -> Result<(String, String), CallError> {
        let known = self.groups.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (arn, balancers) = clients.balancer.group(name).await.map_err(refused)?;
        let balancer = balancers.first().and_then(|arn| arn.split_once(":loadbalancer/"));
        let found = (arn, balancer.map(|(_, name)| name.to_owned()).unwrap_or_default());
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        Ok(found)
    }

    /// From when on is counted: since the definition was registered, also after a crash.
    async fn registered_at(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<std::time::SystemTime>, CallError> {
        let key = mark(subject.rollout, &subject.plan);
        let known = self.began.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if known.is_some() {
            return Ok(known);
        }
        let found = registered(&clients.ecs, subject, &settings.task_definition).await?;
        let at = found.and_then(|found| found.at);
        if let Some(at) = at {
            self.began.lock().unwrap_or_else(PoisonError::into_inner).insert(key, at);
        }
        Ok(at)
    }

    /// Why green's tasks do not run.
    async fn trouble(
        &self,
        clients: &Clients,
        settings: &Settings,
        green: &SetFacts,
    ) -> Result<Vec<String>, CallError> {
        if green.running >= green.desired {
            return Ok(Vec::new());
        }
        let ended = clients.ecs.ended(&settings.service).await.map_err(refused)?;
        Ok(ended.iter().take(TROUBLES_MAX).map(explained).collect())
    }
}
