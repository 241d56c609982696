//! One run from the desk: loaded, carried, put aside or brought to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use workflow::run::{Conclusion, JobScope, Run};
use workflow::template::evaluate;

use super::load::{Loaded, Obstacle};
use super::{Inner, Trust, journals, load, refused};
use crate::dispatcher::{Carried, Control, Dispatch, Dispatcher};
use crate::green;
use crate::job::PlacedJobs;
use crate::notice::{Notice, Notices};
use crate::placement::LeftoverFilter;
use crate::store::{RunId, RunStatus, StoreError};

/// When a run is tried again whose store could not be read.
const READ_PAUSE: Duration = Duration::from_secs(5);

/// Carries a run until it is over or put aside.
pub(super) async fn carry(inner: &Arc<Inner>, run: RunId, mut control: mpsc::UnboundedReceiver<Control>) {
    let aside = match carry_on(inner, run, &mut control).await {
        Ok(aside) => aside,
        Err(error @ (StoreError::Unfit { .. } | StoreError::Conflict { .. })) => {
            tracing::error!(%run, %error, "the run stays where it is; a newer version of pipe may take it up");
            None
        }
        Err(error) => {
            tracing::error!(%run, %error, "the run is tried again");
            let later = inner.parts.clock.now().checked_add(READ_PAUSE);
            Some(later.ok())
        }
    };
    inner.desk.put_down(run, aside, &mut control);
}

/// `None`: it is over.
async fn carry_on(
    inner: &Arc<Inner>,
    run: RunId,
    control: &mut mpsc::UnboundedReceiver<Control>,
) -> Result<Option<Option<jiff::Timestamp>>, StoreError> {
    let (notices, inbox) = Notices::channel();
    let telling = inner.topics.tell(run, inbox);
    let loaded = match load::load(inner, run, &notices).await? {
        Ok(loaded) => loaded,
        Err(Obstacle::Over) => return Ok(None),
        Err(Obstacle::Unreadable { message, last }) => {
            let facts = refused(message, last, inner.parts.clock.now());
            inner.log.append(run, &facts).await?;
            for fact in facts {
                notices.send(Notice::Recorded(Box::new(fact))).await;
            }
            return Ok(None);
        }
    };
    let Loaded { facts, history, kept, jobs, masker, folders, trust, party, problem } = loaded;
    if history.is_empty() {
        let of_run = Run::new(Arc::clone(&facts));
        if let Some(title) = title(&of_run) {
            inner.store.set_title(run, masker.mask(&title)).await?;
        }
    }
    let orders = problem.map(|message| Control::Refuse { message });
    let jobs = Arc::new(jobs);
    let dispatcher = Dispatcher {
        log: Arc::clone(&inner.log),
        clock: Arc::clone(&inner.parts.clock),
        jobs: Arc::new(PlacedJobs(Arc::clone(&jobs))),
        notices,
        masker,
        slots: inner.slots.clone(),
        groups: inner.groups.clone(),
        party,
    };
    // What a killed process had asked the container engine for may have been made after its leftovers were removed.
    let taken_up = !history.is_empty();
    let whole = facts.selected.is_none() && facts.legs.is_empty();
    let dispatch = Dispatch { id: run, facts, history, kept, first: orders.into_iter().collect() };
    let carried = dispatcher.carry(dispatch, control, true).await;
    drop(dispatcher);
    let late = taken_up && matches!(carried, Ok(Carried::Over(_)));
    if (late || jobs.unfinished_starts.load(Ordering::Relaxed))
        && let Some(docker) = &inner.parts.docker
        && let Err(error) = docker.remove_leftovers(LeftoverFilter::Run(run.to_string())).await
    {
        tracing::error!(%error, "parts of the run's jobs are left");
    }
    let state = jobs.state.clone();
    drop(jobs);
    // What was told is passed on before the run is taken up again.
    drop(telling.await);
    match carried? {
        Carried::Aside { until, waits_for_review } => {
            // Jobs beside those that wait may have been the last to say how the run is.
            if waits_for_review {
                say_waiting(inner, run).await?;
            }
            Ok(Some(until))
        }
        Carried::Over(ended) => {
            over(inner, run, &ended, &state, whole && trust == Trust::Trusted);
            folders.remove();
            Ok(None)
        }
    }
}

/// Writes down that a run waits, unless that stands there.
async fn say_waiting(inner: &Inner, run: RunId) -> Result<(), StoreError> {
    let row = inner.store.run_row(run).await?;
    if row.is_some_and(|row| row.status != RunStatus::Waiting) {
        inner.store.set_waiting(run).await?;
    }
    Ok(())
}

/// A run has ended: what it was for later runs is settled. `counts`: it was of all jobs, and trusted.
fn over(inner: &Inner, run: RunId, ended: &Run, state: &std::path::Path, counts: bool) {
    let green = counts && ended.conclusion() == Some(Conclusion::Success);
    let settled = if green { green::confirm(state, run).map(drop) } else { green::discard(state, run) };
    if let Err(error) = settled {
        tracing::warn!(%error, "the next run will take more for changed than has changed");
    }
    let _never_made = std::fs::remove_dir_all(journals(&inner.parts.folders, run));
    tracing::info!(%run, conclusion = ended.conclusion().map(Conclusion::word), "the run is over");
}

fn title(run: &Run) -> Option<String> {
    let token = run.facts.workflow.run_name.as_ref()?;
    let title = evaluate(token, &JobScope::of_run(run)).ok()?.to_display_string().to_string();
    (!title.is_empty()).then_some(title)
}
