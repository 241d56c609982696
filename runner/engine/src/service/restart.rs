//! What a process that has ended left: runs to take up, places in concurrency groups, things that belong to nobody.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use workflow::run::{JobRunKey, Recorded, Run, RunEvent};

use super::load::{self, Given};
use super::{Inner, RunSpec};
use crate::groups::of_repository;
use crate::placement::LeftoverFilter;
use crate::slots::Party;
use crate::store::{RunId, RunRow, RunStatus, StoreError};

/// A place in a group.
struct Place {
    run: RunId,
    holder: Option<JobRunKey>,
    group: String,
    acquired: bool,
    asked: jiff::Timestamp,
}

/// Takes everything up that is not over. Nothing is decided before all groups are as they were.
pub(super) async fn restore(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let rows = inner.store.unfinished().await?;
    remove_leftovers(inner, &rows.iter().map(|row| row.numbers.id).collect()).await;
    let mut places = Vec::new();
    for run in inner.store.unfinished_with_groups().await? {
        places.extend(places_of(inner, run).await?);
    }
    places.sort_by_key(|place| (!place.acquired, place.asked));
    for Place { run, holder, group, acquired, .. } in places {
        inner.groups.restore(run, &holder, &group, acquired);
    }
    let going_on = |row: &&RunRow| row.status == RunStatus::InProgress;
    rows.iter().filter(going_on).for_each(|row| inner.desk.wake(row.numbers.id));
    for row in rows.iter().filter(|row| !going_on(row)) {
        let party = Party { repository: row.repository.to_lowercase().into(), priority: row.priority };
        inner.desk.queue(row.numbers.id, &party);
    }
    if !rows.is_empty() {
        tracing::info!(runs = rows.len(), "runs of the process before are taken up");
    }
    Ok(())
}

async fn places_of(inner: &Inner, id: RunId) -> Result<Vec<Place>, StoreError> {
    let (row, spec) = (inner.store.run_row(id).await?, inner.store.spec(id).await?);
    let (Some(row), Some(spec)) = (row, spec) else { return Ok(Vec::new()) };
    let history = inner.log.read(id).await?;
    let Some(run) = replay(inner, &spec, &row, &history).await else {
        tracing::error!(run = %id, "what is recorded of it does not fit together, so it has no place in its group");
        return Ok(Vec::new());
    };
    let asked = |holder: &Option<JobRunKey>| {
        let of = |fact: &&Recorded| matches!(&fact.event, RunEvent::GroupRequested { holder: of, .. } if of == holder);
        history.iter().find(of).map_or(jiff::Timestamp::MAX, |fact| fact.at)
    };
    let of_run = run.group.iter().map(|group| (None, group));
    let jobs: Vec<_> = run.job_runs().filter(|(_, job)| job.conclusion().is_none()).collect();
    let of_jobs = jobs.iter().filter_map(|(key, job)| Some((Some(key.clone()), job.group.as_ref()?)));
    let place = |(holder, group): (Option<JobRunKey>, &workflow::run::HeldGroup)| Place {
        run: id,
        asked: asked(&holder),
        holder,
        group: of_repository(&spec.party().repository, &group.name),
        acquired: group.acquired,
    };
    Ok(of_run.chain(of_jobs).map(place).collect())
}

/// The state of a run, without taking it up.
pub(super) async fn replay(inner: &Inner, spec: &RunSpec, row: &RunRow, history: &[Recorded]) -> Option<Run> {
    let workflow = Arc::new(spec.workflow().ok()?);
    let (secrets, vars) = load::values(inner, spec, &workflow).await.unwrap_or_default();
    // Nothing is decided here, so it does not matter who wrote what.
    let environments = Arc::clone(&inner.parts.environments);
    let facts = load::facts(inner, spec, row.numbers, Given { workflow, secrets: &secrets, vars, environments });
    let mut run = Run::new(facts);
    history.iter().try_for_each(|fact| run.apply_stored(fact)).ok()?;
    Some(run)
}

/// Removes what belongs to runs that are over or unknown: never what a run will take up.
async fn remove_leftovers(inner: &Inner, unfinished: &HashSet<RunId>) {
    let known = |run: &str| run.parse().is_ok_and(|number| unfinished.contains(&RunId(number)));
    for placement in inner.parts.docker.iter().chain([&inner.parts.host]) {
        let ours = placement.ours().await.unwrap_or_else(|error| {
            tracing::error!(%error, "what runs that are over left cannot be looked for");
            Vec::new()
        });
        let runs: BTreeSet<_> = ours.into_iter().map(|resource| resource.run).filter(|run| !known(run)).collect();
        for run in runs {
            if let Err(error) = placement.remove_leftovers(LeftoverFilter::Run(run)).await {
                tracing::error!(%error, "parts of a run that is over are left");
            }
        }
    }
    if let Some(docker) = &inner.parts.docker
        && let Err(error) = docker.remove_leftovers(LeftoverFilter::Forsaken).await
    {
        tracing::warn!(%error, "what installations left whose folder is gone cannot be removed");
    }
    let folders = &inner.parts.folders;
    for parent in [folders.state.join("work"), folders.state.join("journals"), folders.runtime.clone()] {
        for folder in entries(&parent) {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // Folders that are no run's are not ours.
            let is_run = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            if is_run
                && !known(name)
                && let Err(error) = std::fs::remove_dir_all(&folder)
            {
                tracing::warn!(folder = %folder.display(), %error, "this folder of a run that is over is left");
            }
        }
    }
}

fn entries(parent: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(parent).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
