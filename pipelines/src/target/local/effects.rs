//! What changes something: containers that start and stop, shares of the traffic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use rollout::Weight;
use serde_json::{Value, json};

use super::Inner;
use super::containers::{Containers, Known, secrets};
use super::make::Make;
use super::network::Network;
use super::observe::{in_flight, share};
use super::routes::{self, Way};
use super::settings::Settings;
use crate::rollout::{CallError, Subject};

/// What becomes of containers that are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// They stay, stopped, until the next ones are: they can be started again without anybody knowing their secrets.
    Keep,
    /// They are removed.
    Remove,
}

fn way(settings: &Settings) -> Way {
    Way { path: settings.route.clone(), strip: settings.strip, affinity: settings.affinity.clone() }
}

impl Inner {
    /// See [`rollout::Call::StartGreen`].
    pub(super) async fn start_green(&self, subject: &Subject) -> Result<Value, CallError> {
        let plan = &subject.plan;
        let settings = Settings::of(plan)?;
        let containers = self.containers(&plan.environment).await?;
        let network = Network::ensure(&containers).await?;
        let values = self.values(&containers, subject, &settings).await?;
        let all = (1..=settings.replicas).map(|number| Make {
            name: super::names::container(&plan.environment, &plan.service, subject.green.id, number),
            service: &plan.service,
            revision: &subject.green,
            number,
            settings: &settings,
            secrets: &values,
            network: &network,
        });
        let all: Vec<_> = all.collect();
        try_join_all(all.iter().map(|make| containers.make(make))).await?;
        let made = containers.of(&plan.service, subject.green.id).await?;
        let backends: Vec<_> = made.iter().map(|one| one.address).collect();
        let share = share(subject);
        self.proxies.edit(&plan.environment, |table| share.with_green(table, &way(&settings), &backends)).await?;
        Ok(json!({ "containers": made.iter().map(|one| one.name.as_str()).collect::<Vec<_>>() }))
    }

    /// Values of the secret variables: from the step that gave them, else from a container that has the same ones.
    async fn values(
        &self,
        containers: &Containers,
        subject: &Subject,
        settings: &Settings,
    ) -> Result<Arc<BTreeMap<String, String>>, CallError> {
        if settings.secrets.is_empty() {
            return Ok(Arc::default());
        }
        if let Some(values) = self.given.get(&settings.secrets_digest) {
            return Ok(values);
        }
        let all = containers.all().await?;
        let same = |one: &&Known| one.service == subject.plan.service && one.secrets_digest == settings.secrets_digest;
        for one in all.iter().filter(same) {
            if let Some(found) = containers.inspect(&one.id).await? {
                return Ok(Arc::new(secrets(&found)));
            }
        }
        Err(CallError::transient(format!(
            "the values of {} are not known to this process, which was started after the step that gave them; they are known again \
             once the step is taken up",
            settings.secrets.join(", ")
        )))
    }

    /// Whether all of green is there and in the table.
    pub(super) async fn green_is_there(&self, subject: &Subject) -> Result<Option<Value>, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let containers = self.containers(&subject.plan.environment).await?;
        let made = containers.of(&subject.plan.service, subject.green.id).await?;
        let table = self.proxies.table(&subject.plan.environment).await?;
        let is_there = made.iter().filter(|one| one.runs).count() >= settings.replicas as usize
            && share(subject).weight(&table).is_some();
        Ok(is_there.then(|| json!({ "containers": made.iter().map(|one| one.name.as_str()).collect::<Vec<_>>() })))
    }

    /// See [`rollout::Call::TestTraffic`].
    pub(super) async fn tests(&self, subject: &Subject, on: bool) -> Result<Value, CallError> {
        let share = share(subject);
        let table = self.proxies.edit(&subject.plan.environment, |table| share.with_tests(table, on)).await?;
        Ok(json!({ "generation": table.generation }))
    }

    /// See [`rollout::Call::SetWeight`].
    pub(super) async fn set_weight(&self, subject: &Subject, weight: Weight) -> Result<Value, CallError> {
        let (plan, share, settings) = (&subject.plan, share(subject), Settings::of(&subject.plan)?);
        // What is used again was not started by this rollout, and is in no table.
        let is_reused = subject.green.id != subject.rollout && weight > Weight::NONE;
        let mut backends = Vec::new();
        if is_reused {
            let warm = self.containers(&plan.environment).await?.of(&plan.service, subject.green.id).await?;
            backends.extend(warm.iter().filter(|one| one.runs).map(|one| one.address));
        }
        let change = |table: &proxy::table::Table| match share.weight(table) {
            None if is_reused => share.with_weight(&share.with_green(table, &way(&settings), &backends)?, weight),
            None | Some(_) => share.with_weight(table, weight),
        };
        let table = self.proxies.edit(&plan.environment, change).await?;
        Ok(json!({ "generation": table.generation, "weight": weight }))
    }

    /// Whether the shares stand as they were asked for.
    pub(super) async fn weight_stands(&self, subject: &Subject, weight: Weight) -> Result<Option<Value>, CallError> {
        let table = self.proxies.table(&subject.plan.environment).await?;
        let stands = share(subject).has_weight(&table, weight);
        Ok(stands.then(|| json!({ "generation": table.generation, "weight": weight })))
    }

    /// See [`rollout::Call::MakePrimary`].
    pub(super) async fn make_primary(&self, subject: &Subject) -> Result<Value, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let share = share(subject);
        let table =
            self.proxies.edit(&subject.plan.environment, |table| share.with_primary(table, &way(&settings))).await?;
        Ok(json!({ "generation": table.generation }))
    }

    /// Drains a revision and stops it; refused while it has traffic.
    pub(super) async fn stop(&self, subject: &Subject, revision: u64, after: After) -> Result<Value, CallError> {
        let plan = &subject.plan;
        let settings = Settings::of(plan)?;
        let containers = self.containers(&plan.environment).await?;
        let mine = containers.of(&plan.service, revision).await?;
        let addresses: Vec<_> = mine.iter().map(|one| one.address).collect();
        let share = share(subject);
        // Looked at in the table that is replaced: nobody can give it traffic in between, nor afterwards.
        let without = |table: &proxy::table::Table| match routes::weight_of(table, &plan.service, revision, &addresses)
        {
            0 => Ok(share.without(table, revision)),
            weight => Err(format!(
                "revision {revision} of `{}` has {} of the traffic of `{}` and is not stopped",
                plan.service,
                Weight(weight),
                plan.environment
            )),
        };
        self.proxies.edit(&plan.environment, without).await?;
        let cut = self.drain(subject, revision, &settings).await?;
        let (mut logs, mut codes) = (BTreeMap::new(), BTreeMap::new());
        try_join_all(mine.iter().map(|one| containers.stop(&one.id, settings.stop_seconds()))).await?;
        for one in &mine {
            self.questions.forget(&one.id);
            if let Some(found) = containers.inspect(&one.id).await? {
                logs.insert(one.name.clone(), containers.log(&one.id, &found).await);
                codes.insert(one.name.clone(), found.state.and_then(|state| state.exit_code).unwrap_or_default());
            }
        }
        match after {
            After::Remove => {
                try_join_all(mine.iter().map(|one| containers.remove(&one.id))).await?;
            }
            After::Keep => self.remove_older(&containers, &plan.service, revision).await?,
        }
        self.counted.forget(&plan.service, subject.rollout);
        Ok(json!({ "cut": cut, "logs": logs, "exit_codes": codes }))
    }

    /// Waits until it answers nothing any more, for as long as the settings allow. Gives how many are cut off.
    async fn drain(&self, subject: &Subject, revision: u64, settings: &Settings) -> Result<u64, CallError> {
        let client = self.proxies.client(&subject.plan.environment);
        let begun = Instant::now();
        loop {
            let stats = client.stats().await.map_err(|error| CallError::transient(error.to_string()))?;
            let service = &subject.plan.service;
            let left = in_flight(&stats, service, revision);
            let time = settings.drain().saturating_sub(begun.elapsed());
            if left == 0 || time.is_zero() {
                return Ok(left);
            }
            let busy = stats.revisions.iter().find(|row| {
                row.service == *service && routes::revision(&row.revision) == Some(revision) && row.in_flight > 0
            });
            if let Some(row) = busy {
                let drained = client.drained(service, &row.revision, time).await;
                drained.map_err(|error| CallError::transient(error.to_string()))?;
            }
        }
    }

    /// Stopped containers of revisions before this one.
    async fn remove_older(&self, containers: &Containers, service: &str, revision: u64) -> Result<(), CallError> {
        let all = containers.all().await?;
        let older = all.iter().filter(|one| one.service == service && one.revision.id < revision && !one.runs);
        try_join_all(older.map(|one| containers.remove(&one.id))).await?;
        Ok(())
    }

    /// Whether nothing of a revision runs any more.
    pub(super) async fn is_stopped(&self, subject: &Subject, revision: u64) -> Result<Option<Value>, CallError> {
        let containers = self.containers(&subject.plan.environment).await?;
        let mine = containers.of(&subject.plan.service, revision).await?;
        // One that was stopped and not yet removed is removed when it is asked for again.
        Ok(mine.is_empty().then(|| json!({ "cut": 0 })))
    }
}
