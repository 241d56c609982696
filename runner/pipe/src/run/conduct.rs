//! Runs on the machine: performed at the same time, watched and steered together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::dispatcher::Control;
use engine::local::LocalRun;
use engine::machine::{Finished, Machine, RunRequest};
use engine::notice::{Notice, Notices};
use engine::store::{RunNumbers, StoreError};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use workflow::run::{JobRunKey, RunEvent};

use super::environments::Reviewer;
use super::signal::Signals;
use crate::exit::Failure;
use crate::report::{Record, View};

/// How long runs that are killed may take before their containers are removed under them.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// A run to perform, and how it is shown.
pub struct Planned {
    /// What is performed.
    pub request: RunRequest,
    /// Who shows it.
    pub view: Box<dyn View>,
    /// Its name, where several go on at once.
    pub label: Option<String>,
    /// Of one that goes on: the number of its last fact, and the environments whose review it waits for.
    pub before: (u64, Vec<String>),
}

/// What became of all runs.
pub struct Conducted {
    /// Each, in the order given; `None`: it was killed and did not come to its end.
    pub runs: Vec<(Option<Box<Finished>>, Record)>,
    /// Whether somebody cancelled them.
    pub cancelled: bool,
}

/// Shows a run and keeps its record.
struct Watcher {
    view: Box<dyn View>,
    record: Record,
    /// What other processes order comes through it.
    listening: Option<AbortOnDropHandle<()>>,
}

/// A run that goes on, from outside.
struct Watched {
    watcher: Arc<Mutex<Watcher>>,
    control: mpsc::UnboundedSender<Control>,
}

impl Watched {
    fn with<T>(&self, work: impl FnOnce(&mut Watcher) -> T) -> T {
        work(&mut self.watcher.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Performs runs. The first signal cancels them, the second kills them.
///
/// # Errors
/// The machine cannot keep a run; the others are stopped then.
pub async fn conduct(
    machine: &Machine,
    planned: Vec<Planned>,
    reviewer: &Reviewer,
    signals: &mut Signals,
) -> Result<Conducted, Failure> {
    let mut watched = Vec::with_capacity(planned.len());
    let mut open = FuturesUnordered::new();
    let alone = planned.len() == 1;
    for (index, planned) in planned.into_iter().enumerate() {
        let (one, run) = begin(machine, planned, reviewer.clone(), alone);
        watched.push(one);
        open.push(async move { (index, run.await) });
    }
    let tell = |control: &Control| {
        for one in &watched {
            let _over = one.control.send(control.clone());
        }
    };
    let say = |text: &str| watched.iter().take(1).for_each(|one| one.with(|watcher| watcher.view.say(text)));
    let by = "the user".to_owned();
    let mut finished: Vec<Option<Box<Finished>>> = watched.iter().map(|_| None).collect();
    let (mut asked, mut problem, mut deadline) = (0, None, None);
    loop {
        tokio::select! {
            next = open.next() => match next {
                Some((index, Ok(end))) => finished[index] = Some(Box::new(end)),
                Some((_, Err(error))) => {
                    problem.get_or_insert(error);
                    tell(&Control::Kill { by: "pipe".to_owned() });
                }
                None => break,
            },
            _name = signals.next(), if deadline.is_none() => {
                asked += 1;
                if asked == 1 {
                    say("Cancelling: steps with always() still run. Once more to stop now.");
                    tell(&Control::Cancel { by: by.clone() });
                } else {
                    say("Stopping now.");
                    tell(&Control::Kill { by: by.clone() });
                    deadline = Some(Instant::now() + KILL_GRACE);
                }
            }
            () = until(deadline) => break,
        }
    }
    drop(open);
    if let Some(error) = problem {
        return Err(Failure::environment(format!("cannot {error}")));
    }
    if asked > 1
        && let Err(error) = machine.remove_own().await
    {
        say(&error.to_string());
    }
    let records = watched.iter().map(|one| {
        one.with(|watcher| {
            watcher.view.ended();
            std::mem::take(&mut watcher.record)
        })
    });
    Ok(Conducted { runs: finished.into_iter().zip(records).collect(), cancelled: asked > 0 })
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Passes on what other processes order, as long as it is wanted.
fn listen(run: LocalRun, control: mpsc::UnboundedSender<Control>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = run.orders().pass_on(control).await {
            tracing::warn!(%error, "other processes cannot approve or cancel this run");
        }
    }))
}

/// A bug ends the command as it would have ended the task.
fn ended(run: Result<Result<Finished, StoreError>, JoinError>) -> Result<Finished, StoreError> {
    match run.map_err(JoinError::try_into_panic) {
        Ok(ended) => ended,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Only whoever drops the handle cancels, and that is the one who would ask.
        Err(Err(error)) => unreachable!("a run that is still wanted was cancelled: {error}"),
    }
}

/// The environment whose reviewers are asked, unless that was before this process.
fn review_of(notice: &Notice, last: u64) -> Option<&str> {
    let Notice::Recorded(fact) = notice else { return None };
    if fact.seq <= last {
        return None;
    }
    let RunEvent::ReviewRequested { environment, reviewers, .. } = &fact.event else { return None };
    (!reviewers.is_empty()).then_some(environment.as_str())
}

/// Jobs of a run that wait for a review, with their environments.
#[derive(Debug, Default)]
struct Waiting(Vec<(JobRunKey, String)>);

impl Waiting {
    /// The environment that no job waits for any more.
    fn settled(&mut self, notice: &Notice) -> Option<String> {
        let Notice::Recorded(fact) = notice else { return None };
        if let RunEvent::ReviewRequested { key, environment, .. } = &fact.event {
            self.0.push((key.clone(), environment.to_lowercase()));
        }
        let RunEvent::Reviewed { key: reviewed, .. } = &fact.event else { return None };
        let (settled, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == reviewed);
        self.0 = waiting;
        let (_, environment) = settled.into_iter().next()?;
        self.0.iter().all(|(_, other)| *other != environment).then_some(environment)
    }
}

/// Begins a run. One that is `alone` has a task of its own: the workers that perform its jobs then carry it too, and no
/// step waits until the thread that waits for signals has been woken. Several are carried and watched by that thread, so
/// that what one does after another is shown after it.
fn begin(
    machine: &Machine,
    planned: Planned,
    reviewer: Reviewer,
    alone: bool,
) -> (Watched, impl Future<Output = Result<Finished, StoreError>> + use<>) {
    let Planned { request, view, label, before: (last, waits) } = planned;
    let name = request.workflow.display_name().to_owned();
    let watcher = Arc::new(Mutex::new(Watcher { view, record: Record::labelled(label), listening: None }));
    let (notices, mut inbox) = Notices::channel();
    let (control, orders) = mpsc::unbounded_channel();
    let answering = control.clone();
    let watched = Watched { watcher: Arc::clone(&watcher), control };
    let (number, numbered) = oneshot::channel();
    let begun = {
        let (watcher, folders, control) = (Arc::clone(&watcher), machine.folders.clone(), answering.clone());
        move |numbers: RunNumbers, title: &str| {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            watcher.view.begun(&name, title, numbers);
            watcher.listening = Some(listen(LocalRun::of(&folders, numbers.id), control));
            let _gone = number.send(numbers.id.0);
        }
    };
    let watch = async move {
        let Ok(run) = numbered.await else { return };
        let ask = |watching: &mut Watcher, environment: &str| {
            let shown = Arc::clone(&watcher);
            let say = move |question: &str| shown.lock().unwrap_or_else(PoisonError::into_inner).view.say(question);
            if let Some(said) = reviewer.answer(environment, run, &answering, say) {
                watching.view.say(&said);
            }
        };
        let mut waiting = Waiting::default();
        for environment in &waits {
            ask(&mut watcher.lock().unwrap_or_else(PoisonError::into_inner), environment);
        }
        while let Some(notice) = inbox.recv().await {
            let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
            let Watcher { view, record, .. } = &mut *watcher;
            record.add(&notice);
            view.notice(&notice, record);
            if let Some(settled) = waiting.settled(&notice) {
                reviewer.questions.withdraw(|about| *about == (run, settled.clone()));
            }
            if let Some(environment) = review_of(&notice, last) {
                ask(&mut watcher, environment);
            }
        }
        reviewer.questions.withdraw(|(of, _)| *of == run);
    };
    let machine = machine.clone();
    let run = async move { machine.run(request, notices, orders, begun).await };
    let run = async move {
        match alone {
            true => ended(AbortOnDropHandle::new(tokio::spawn(run)).await),
            false => run.await,
        }
    };
    // In this order: what a run has told is shown before another one that waited for it is polled.
    (watched, async move { tokio::join!(biased; run, watch).0 })
}
