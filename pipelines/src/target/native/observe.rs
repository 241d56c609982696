//! What is seen of both colours: what ECS says, the health of targets, alarms, and what CloudWatch has counted.

use std::sync::PoisonError;
use std::time::SystemTime;

use aws::{NativeSide, NativeStatus, explained};
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
        let arn = self.found(&clients, subject, &settings).await?;
        let seen = self.see(&clients, &arn).await?;
        let (mut given_up, mut weight) = (given_up(&seen), share(&seen));
        let (mut green, mut blue) = (Some(seen.green), seen.blue);
        // Of one that is taken back the colours have changed places.
        let is_taken_back = subject.green.id != subject.rollout;
        let has_ended = is_taken_back && seen.status == NativeStatus::Successful;
        if is_taken_back {
            (green, blue, weight, given_up) = (blue, green, Weight(1_000 - weight.0.min(1_000)), None);
        }
        let (mut green, blue) = self.sides(&clients, subject, &settings, green, blue).await?;
        if has_ended {
            // Nothing is left of what stood before.
            green = Side::default();
        }
        if let Some(pause) = seen.waiting.filter(|pause| !pause.is_ours) {
            let words = format!(
                "ECS waits at a pause of the service until somebody ends it (`aws ecs continue-service-deployment \
                 --service-deployment-arn {arn} --hook-id {}`)",
                pause.id
            );
            let before = green.trouble.take().map(|trouble| format!("{trouble}; ")).unwrap_or_default();
            green.trouble = Some(before + &words);
        }
        let (blue, given_up) = (subject.blue.as_ref().and(blue), given_up.map(Box::new));
        Ok(Observation { at: self.clock.now(), weight: Some(weight), blue, green, alarms, given_up })
    }

    async fn sides(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
        green: Option<NativeSide>,
        blue: Option<NativeSide>,
    ) -> Result<(Side, Option<Side>), CallError> {
        // Before its tasks are asked for nothing of it is healthy.
        let starting = || Side { wanted: 1, ..Side::default() };
        let Some(green) = green.filter(|green| green.desired > 0) else { return Ok((starting(), None)) };
        let mut colours = vec![Colour {
            group: self.revision(clients, &green.revision).await?.group,
            wanted: green.desired,
            running: green.running,
            trouble: self.trouble(clients, settings, &green).await?,
        }];
        if let Some(blue) = blue.filter(|blue| blue.desired > 0) {
            let group = self.revision(clients, &blue.revision).await?.group;
            colours.push(Colour { group, wanted: blue.desired, running: blue.running, trouble: Vec::new() });
        }
        let eyes = Eyes {
            balancer: &clients.balancer,
            watch: &clients.watch,
            counted: &self.counted,
            balancer_name: &settings.balancer(),
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

    /// From when on is counted: since the definition was registered, also after a crash.
    async fn registered_at(
        &self,
        clients: &Clients,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Option<SystemTime>, CallError> {
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
        green: &NativeSide,
    ) -> Result<Vec<String>, CallError> {
        if green.running >= green.desired {
            return Ok(Vec::new());
        }
        let ended = clients.ecs.ended(&settings.service).await.map_err(refused)?;
        Ok(ended.iter().take(TROUBLES_MAX).map(explained).collect())
    }
}
