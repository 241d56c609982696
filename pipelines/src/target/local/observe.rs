//! What is seen of both colours: the engine's word on their containers, their own on their health, the proxy's on requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use proxy::stats::{RevisionStats, Stats};
use proxy::table::Table;
use rollout::{Counters, Observation, Side};

use super::Inner;
use super::alarms;
use super::containers::{Containers, Known};
use super::health::{Health, Question};
use super::routes::{self, Share};
use super::settings::Settings;
use crate::rollout::{CallError, Subject};

/// Lines of a log that people see with what is wrong.
const TROUBLE_LINES_MAX: usize = 20;

/// Counters of a proxy that was killed begin at 0 again; ours do not.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<HashMap<(String, String), Count>>);

#[derive(Debug, Clone, Default)]
struct Count {
    process: String,
    before: Counters,
    now: Counters,
}

impl Counted {
    fn add(&self, stats: &Stats, service: &str, key: &str) -> Counters {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry((service.to_owned(), key.to_owned())).or_default();
        if count.process != stats.process {
            count.before = std::mem::take(&mut count.now);
            stats.process.clone_into(&mut count.process);
        }
        if let Some(row) = stats.of(service, key) {
            count.now = sum(&count.before, row);
        } else {
            count.now = count.before.clone();
        }
        count.now.clone()
    }

    /// Nobody asks for this rollout any more.
    pub(super) fn forget(&self, service: &str, rollout: u64) {
        let end = format!("@{rollout}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, key), _| of != service || !key.ends_with(&end));
    }
}

fn sum(before: &Counters, row: &RevisionStats) -> Counters {
    let mut latency = row.latency.clone();
    for (bound, count) in &before.latency {
        match latency.iter_mut().find(|(known, _)| known == bound) {
            Some((_, known)) => *known += count,
            None => latency.push((*bound, *count)),
        }
    }
    latency.sort_unstable();
    let goes_on = row.requests == row.errors_in_a_row;
    Counters {
        requests: before.requests + row.requests,
        errors: before.errors + row.errors,
        errors_in_a_row: row.errors_in_a_row + if goes_on { before.errors_in_a_row } else { 0 },
        latency,
    }
}

/// Requests of a revision that are being answered, under whichever rollout they began.
pub(super) fn in_flight(stats: &Stats, service: &str, revision: u64) -> u64 {
    let rows = stats.revisions.iter();
    rows.filter(|row| row.service == service && routes::revision(&row.revision) == Some(revision))
        .map(|row| row.in_flight)
        .sum()
}

impl Inner {
    /// See [`crate::rollout::Target::observe`].
    pub(super) async fn observation(&self, subject: &Subject) -> Result<Observation, CallError> {
        let settings = Settings::of(&subject.plan)?;
        let (service, environment) = (&subject.plan.service, &subject.plan.environment);
        let containers = self.containers(environment).await?;
        let client = self.proxies.client(environment);
        let (all, stats, table, alarms) = tokio::join!(
            containers.all(),
            client.stats(),
            self.proxies.table(environment),
            alarms::firing(&settings.alarms)
        );
        let (all, table, alarms) = (all?, table?, alarms.map_err(CallError::transient)?);
        let stats = stats.map_err(|error| CallError::transient(error.to_string()))?;
        let share = share(subject);
        let side = |revision: u64, wanted: Option<u32>| {
            let mine = all.iter().filter(|one| one.service == *service && one.revision.id == revision).cloned();
            let mine: Vec<_> = mine.collect();
            let key = routes::key(revision, subject.rollout);
            let counters = self.counted.add(&stats, service, &key);
            let in_flight = in_flight(&stats, service, revision);
            self.side(&containers, mine, wanted, &settings, counters, in_flight)
        };
        let green = side(subject.green.id, Some(settings.replicas));
        let (green, blue) = match &subject.blue {
            None => (green.await?, None),
            Some(blue) => {
                let (green, blue) = tokio::try_join!(green, side(blue.id, None))?;
                (green, Some(blue))
            }
        };
        let weight = weight(&share, &table);
        Ok(Observation { at: Timestamp::now(), weight, blue, green, alarms, given_up: None })
    }

    async fn side(
        &self,
        containers: &Containers,
        mine: Vec<Known>,
        wanted: Option<u32>,
        settings: &Settings,
        counters: Counters,
        in_flight: u64,
    ) -> Result<Side, CallError> {
        let found = try_join_all(mine.iter().map(|one| containers.inspect(&one.id))).await?;
        let seen = join_all(mine.iter().zip(found).map(|(known, found)| self.look(known, found, settings))).await;
        let count =
            |is: fn(&Seen) -> bool| u32::try_from(seen.iter().filter(|one| is(one)).count()).unwrap_or(u32::MAX);
        let mut side = Side {
            wanted: wanted.unwrap_or_else(|| u32::try_from(mine.len()).unwrap_or(u32::MAX)),
            healthy: count(|one| one.is_healthy),
            failed: count(|one| one.has_failed),
            restarts: seen.iter().map(|one| one.restarts).sum(),
            in_flight,
            counters,
            trouble: None,
        };
        if let Some((known, seen)) = mine.iter().zip(&seen).find(|(_, one)| !one.is_healthy) {
            side.trouble = Some(trouble(containers, known, seen).await);
        } else if mine.is_empty() && side.wanted > 0 {
            side.trouble = Some("none of its containers is there".to_owned());
        }
        Ok(side)
    }

    async fn look(&self, known: &Known, found: Option<ContainerInspectResponse>, settings: &Settings) -> Seen {
        let Some(found) = found else {
            let words = "is not there any more".to_owned();
            return Seen { words, has_failed: true, ..Seen::default() };
        };
        let state = found.state.clone().unwrap_or_default();
        let restarts = u64::try_from(found.restart_count.unwrap_or_default()).unwrap_or_default();
        if state.status != Some(ContainerStateStatusEnum::RUNNING) || state.restarting == Some(true) {
            self.questions.forget(&known.id);
            let words = ended(&found, restarts);
            let has_failed = state.status != Some(ContainerStateStatusEnum::CREATED);
            return Seen { found: Some(found), words, has_failed, restarts, is_healthy: false };
        }
        let health = self.questions.health(question(known, &found, settings)).await;
        Seen {
            words: words(&health, known.address, restarts, &exposed(&found)),
            is_healthy: health.is_healthy,
            has_failed: health.was_healthy && !health.is_healthy,
            restarts,
            found: Some(found),
        }
    }
}

/// A container as it was seen.
#[derive(Debug, Default)]
struct Seen {
    found: Option<ContainerInspectResponse>,
    words: String,
    is_healthy: bool,
    has_failed: bool,
    restarts: u64,
}

/// A service as this rollout sees it.
pub(super) fn share(subject: &Subject) -> Share<'_> {
    Share {
        service: &subject.plan.service,
        rollout: subject.rollout,
        blue: subject.blue.as_ref().map(|blue| blue.id),
        green: subject.green.id,
    }
}

fn weight(share: &Share<'_>, table: &Table) -> Option<rollout::Weight> {
    share.weight(table).or_else(|| share.blue.map(|_| rollout::Weight::NONE))
}

pub(super) fn question(known: &Known, found: &ContainerInspectResponse, settings: &Settings) -> Question {
    let started = found.state.as_ref().and_then(|state| state.started_at.as_ref()?.parse::<Timestamp>().ok());
    let running = started.map(|at| Timestamp::now().duration_since(at));
    Question {
        container: known.id.clone(),
        address: known.address,
        path: known.health_path.clone(),
        interval: settings.interval(),
        threshold: settings.health_threshold.max(1),
        running: running.and_then(|time| Duration::try_from(time).ok()).unwrap_or_default(),
    }
}

/// How a container ended, in words.
pub(super) fn ended(found: &ContainerInspectResponse, restarts: u64) -> String {
    let state = found.state.clone().unwrap_or_default();
    let how = if state.oom_killed == Some(true) {
        "was killed for lack of memory".to_owned()
    } else if state.status == Some(ContainerStateStatusEnum::CREATED) {
        "has not started".to_owned()
    } else {
        format!("ended with exit code {}", state.exit_code.unwrap_or_default())
    };
    let error = state.error.filter(|error| !error.is_empty()).map(|error| format!(": {error}")).unwrap_or_default();
    match restarts {
        0 => format!("{how}{error}"),
        1 => format!("{how}{error} and was started again once"),
        count => format!("{how}{error} and was started again {count} times"),
    }
}

/// Ports that the image says it listens at.
fn exposed(found: &ContainerInspectResponse) -> Vec<String> {
    found.config.as_ref().and_then(|config| config.exposed_ports.clone()).unwrap_or_default()
}

fn words(health: &Health, address: SocketAddr, restarts: u64, exposed: &[String]) -> String {
    let mut hint = String::new();
    let said = health.said();
    if said.contains("refused") {
        hint = format!("; nothing listens at port {} in it, or only at 127.0.0.1", address.port());
        let others: Vec<_> =
            exposed.iter().filter(|port| **port != format!("{}/tcp", address.port())).cloned().collect();
        if !others.is_empty() && others.len() == exposed.len() {
            hint.push_str(&format!(" (its image names {}: is `port` right?)", others.join(", ")));
        }
    }
    let again = if restarts > 0 { format!(" (started again {restarts} times)") } else { String::new() };
    format!("is not healthy{again}: {said}{hint}")
}

async fn trouble(containers: &Containers, known: &Known, seen: &Seen) -> String {
    let mut text = format!("{} {}", known.name, seen.words);
    let Some(found) = &seen.found else { return text };
    let lines = containers.log(&known.id, found).await;
    if lines.is_empty() {
        text.push_str("; it wrote nothing");
        return text;
    }
    text.push_str("; the end of its log:");
    for line in &lines[lines.len().saturating_sub(TROUBLE_LINES_MAX)..] {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(process: &str, requests: u64, in_a_row: u64) -> Stats {
        let row = RevisionStats {
            service: "orders".to_owned(),
            revision: "9@12".to_owned(),
            requests,
            errors: in_a_row,
            errors_in_a_row: in_a_row,
            in_flight: 2,
            latency: vec![(64, requests)],
            ..RevisionStats::default()
        };
        let other = RevisionStats { revision: "9@11".to_owned(), in_flight: 1, ..row.clone() };
        Stats { process: process.to_owned(), generation: 1, revisions: vec![row, other] }
    }

    #[test]
    fn counters_outlive_the_proxy() {
        let counted = Counted::default();
        let check = |stats: &Stats, requests, in_a_row| {
            let counters = counted.add(stats, "orders", "9@12");
            assert_eq!((counters.requests, counters.errors_in_a_row), (requests, in_a_row));
            assert_eq!(counters.latency.iter().map(|(_, count)| count).sum::<u64>(), requests);
        };
        check(&stats("a", 10, 2), 10, 2);
        check(&stats("a", 15, 0), 15, 0);
        check(&stats("a", 16, 1), 16, 1);
        check(&stats("b", 1, 1), 17, 2);
        check(&stats("b", 5, 0), 21, 0);
        counted.forget("orders", 12);
        check(&stats("b", 5, 0), 5, 0);
        assert_eq!(in_flight(&stats("a", 1, 0), "orders", 9), 3, "of all rollouts");
    }
}
