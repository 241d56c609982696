//! A job that failed and whose place is kept: how it is left, and how another run goes on in it.
//!
//! What steps left is held in memory while they run, so that nothing of it lies on the disk in clear. An agent on this
//! machine ends with the job, since it is a process of this one; its folders stay, and a new one works in them. A container
//! goes on with its agent.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use workflow::run::{Conclusion, JobRunKey, StepIndex};

use super::environment;
use super::facing::JobFacing;
use super::journal::{Entry, Journal, Remembered};
use super::log::StepLog;
use super::placed::{Again, Placed, PlacedRecord};
use super::run::{JobEnd, JobSettings, Parts, PlacedJobs};
use super::steps::Stepper;
use super::{Begun, JobOrder};
use crate::local::{Inside, Stand, Standing};
use crate::placement::{ImageSpec, JobIdentity, JobShape, JobSpec, NetworkAccess, PlacementProgress};
use workflow::expression::Value;

/// Where jobs are gone on with, by their keys.
pub type LeftPlaces = BTreeMap<JobRunKey, LeftPlace>;

/// A place that a run left.
#[derive(Debug, Clone)]
pub struct LeftPlace {
    /// What its steps left.
    pub inside: Inside,
    /// The step that comes next.
    pub from: StepIndex,
    /// How it is listed.
    pub stand: Stand,
    /// Where it is listed.
    pub places: Standing,
}

impl LeftPlace {
    fn forget(&self) {
        if let Err(error) = self.places.forget(self.stand.run, &self.stand.job) {
            tracing::warn!(job = self.stand.job, %error, "a place that was gone on in is still listed as kept");
        }
    }
}

/// The lines of a journal that are of steps before one.
fn before(journal: &str, from: StepIndex) -> String {
    let stays = |line: &&str| match serde_json::from_str(line) {
        Ok(Entry::Placed(_)) => true,
        Ok(Entry::Ended { step, .. }) => step < from,
        Ok(
            Entry::Over(_)
            | Entry::Stored { .. }
            | Entry::Inner { .. }
            | Entry::Container { .. }
            | Entry::Action { .. },
        )
        | Err(_) => false,
    };
    journal.lines().filter(stays).flat_map(|line| [line, "\n"]).collect()
}

impl PlacedJobs {
    /// Where a job that ended so is kept.
    pub(super) fn keeps(&self, end: &JobEnd) -> Option<&Standing> {
        self.0.standing.as_ref().filter(|_| end.conclusion == Conclusion::Failure)
    }

    /// Leaves a place standing. One that cannot be is removed, as if nobody had wanted it.
    pub(super) async fn leave(
        &self,
        standing: &Standing,
        order: &JobOrder,
        stepper: Stepper,
        placed: Placed,
        log: &mut StepLog,
    ) {
        let inside = Inside {
            journal: stepper.tools.journal.text(),
            env: environment_of(&stepper),
            cwd: placed.record.paths.workspace.clone(),
            user: None,
            found: self.0.masker.found(),
        };
        let stand = Stand {
            run: order.run,
            job: order.key.to_string(),
            runner: placed.record.runner.clone(),
            step: failed_step(&stepper),
            at: Timestamp::now(),
            container: placed.handle.facts().container_id.clone(),
            folders: placed.record.folders.clone(),
            made_by: placed.record.again.as_ref().map(|again| again.made_by),
        };
        stepper.tools.files.settle().await;
        drop(stepper);
        if let Err(error) = standing.keep(&stand, &inside) {
            log.warning(&format!("This job's place cannot be kept: {error}")).await;
            if let Err(problem) = placed.stop().await {
                log.error(&problem).await;
            }
            return;
        }
        let text = format!("Kept: `pipe shell {}/{}` looks into it, `pipe gc` removes it.", stand.run, stand.job);
        log.line(&text).await;
        if let Err(problem) = placed.leave().await {
            log.error(&problem).await;
        }
    }

    /// Goes on in a place that another run left.
    pub(super) async fn gone_on(
        &self,
        parts: Parts<'_>,
        (mut job, secrets): (JobFacing, Value),
        begun: Begun,
        left: LeftPlace,
    ) -> JobEnd {
        let Parts { order, control, reports, log } = parts;
        for value in &left.inside.found {
            // It was long enough when it was found.
            let _long_enough = self.0.masker.add_found(value);
        }
        let text = before(&left.inside.journal, left.from);
        let mut remembered = Remembered::of(text.as_bytes());
        let Some(mut record) = remembered.placed.take() else {
            return self.lost(order, &begun, reports, "what was kept of its place is not whole").await;
        };
        let Some(again) = Again::of(&record, &left.stand) else {
            return self.lost(order, &begun, reports, "it was gone on in too often").await;
        };
        record.again = Some(again);
        let placed = match record.on_host {
            true => record.clone().placed_again(&self.0, order).await,
            false => record.clone().adopt(&self.0).await,
        };
        let mut placed = match placed {
            Ok(placed) => placed,
            Err(reason) => {
                left.forget();
                self.remove_rest(order, &record).await;
                return self.lost(order, &begun, reports, &reason).await;
            }
        };
        self.serve(order, &mut job, &mut placed, log).await;
        let parents: Vec<_> = record.folders.iter().filter_map(|folder| folder.parent().map(Path::to_owned)).collect();
        let journal = Journal::in_memory(text);
        journal.write(|| Entry::Placed(Box::new(record.clone())));
        let parts = Parts { order, control, reports, log };
        let end = self.stepped(parts, (job, secrets), placed, journal, Some((begun, remembered))).await;
        // Until now it was listed as kept, so that no other process took it for forsaken.
        left.forget();
        for parent in parents {
            // Other jobs of that run may stand there.
            let _not_empty = std::fs::remove_dir(parent);
        }
        end
    }
}

impl Placed {
    /// Lets it stand without this process.
    async fn leave(self) -> Result<(), String> {
        if let Some(served) = &self.served {
            served.lease.over();
        }
        if self.record.on_host { self.handle.stop().await.map_err(|error| error.to_string()) } else { Ok(()) }
    }
}

impl Again {
    /// The next time in a place.
    fn of(record: &PlacedRecord, stand: &Stand) -> Option<Self> {
        let made_by = stand.made_by.unwrap_or(stand.run);
        let round = record.again.as_ref().map_or(0, |again| again.round).checked_add(1)?;
        Some(Self { round, made_by })
    }
}

impl PlacedRecord {
    /// An agent on this machine in folders that stand.
    async fn placed_again(self, settings: &JobSettings, order: &JobOrder) -> Result<Placed, String> {
        let spec = JobSpec {
            identity: JobIdentity { run: order.run.to_string(), job: order.key.to_string(), attempt: 1 },
            shape: JobShape::Runner,
            image: ImageSpec::new(String::new()),
            env: indexmap::IndexMap::new(),
            user: None,
            workdir: self.paths.workspace.clone(),
            run_directory: self.run_directory.clone(),
            mounts: Vec::new(),
            services: Vec::new(),
            options: String::new(),
            volumes: Vec::new(),
            ports: Vec::new(),
            limits: settings.limits,
            network: NetworkAccess::Internet,
            trust: settings.trust,
            beside: None,
        };
        let progress = std::sync::Arc::new(|_: PlacementProgress| {});
        let handle = settings.host.start(spec, progress).await.map_err(|error| error.to_string())?;
        let record = Self { handle: handle.record(), ..self };
        Ok(Placed { handle, record, served: None })
    }
}

/// The first step that failed.
fn failed_step(stepper: &Stepper) -> Option<(u32, String)> {
    let steps = (0..stepper.machine.steps().len()).filter_map(|index| u32::try_from(index).ok()).map(StepIndex);
    let failed = |step: &StepIndex| {
        stepper.machine.finished(*step).is_some_and(|result| result.conclusion == Conclusion::Failure)
    };
    steps.into_iter().find(failed).map(|step| (step.0, stepper.tools.masker.mask(&stepper.name(step))))
}

/// What a step of the job would have now, without what is its own.
fn environment_of(stepper: &Stepper) -> Vec<(String, String)> {
    let (tools, job) = (&*stepper.tools, &stepper.job);
    let mut env = job.env.clone();
    for (name, value) in &tools.base_env {
        if name.starts_with("GITHUB_") || name.starts_with("RUNNER_") || !env.contains_key(name) {
            env.insert(name.clone(), value.clone());
        }
    }
    let own = job.env.get("PATH").map_or(tools.own_path.as_str(), String::as_str);
    let path = environment::path(&job.path, own, tools.handle.facts().sudo_directory.as_deref());
    env.insert("PATH".to_owned(), path);
    env.into_iter().collect()
}
