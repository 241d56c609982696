//! One run on the machine: performed, watched and steered at the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::dispatcher::Control;
use engine::machine::{Finished, Machine, RunRequest};
use engine::notice::Notices;
use tokio::sync::mpsc;

use super::signal::Signals;
use crate::exit::Failure;
use crate::report::{Record, View};

/// How long a run that is killed may take before its containers are removed under it.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// How a run ended, as seen from outside.
#[derive(Debug)]
pub enum Ended {
    /// On its own, or after an orderly cancellation.
    Finished(Box<Finished>),
    /// It was killed and did not come to its end.
    Killed,
}

/// Shows a run and keeps its record.
struct Watcher {
    view: Box<dyn View>,
    record: Record,
}

/// Performs a run. The first signal cancels it, the second kills it. Gives how it ended, its record, and whether it was
/// cancelled.
///
/// # Errors
/// The machine cannot keep the run.
pub async fn conduct(
    machine: &Machine,
    request: RunRequest,
    view: Box<dyn View>,
    signals: &mut Signals,
) -> Result<(Ended, Record, bool), Failure> {
    let name = request.workflow.display_name().to_owned();
    let watcher = Arc::new(Mutex::new(Watcher { view, record: Record::default() }));
    let with = |work: &dyn Fn(&mut Watcher)| work(&mut watcher.lock().unwrap_or_else(PoisonError::into_inner));
    let (notices, mut inbox) = Notices::channel();
    let (control, orders) = mpsc::unbounded_channel();
    let begun = {
        let watcher = Arc::clone(&watcher);
        move |numbers, title: &str| {
            watcher.lock().unwrap_or_else(PoisonError::into_inner).view.begun(&name, title, numbers);
        }
    };
    let run = machine.run(request, notices, orders, begun);
    let watch = async {
        while let Some(notice) = inbox.recv().await {
            with(&|watcher| {
                watcher.record.add(&notice);
                watcher.view.notice(&notice, &watcher.record);
            });
        }
    };
    let both = async { tokio::join!(run, watch).0 };
    tokio::pin!(both);
    let mut asked = 0;
    let ended = loop {
        tokio::select! {
            result = &mut both => {
                let finished = result.map_err(|error| Failure::environment(format!("cannot {error}")))?;
                break Ended::Finished(Box::new(finished));
            }
            _name = signals.next() => asked += 1,
        }
        let by = "the user".to_owned();
        if asked == 1 {
            with(&|watcher| watcher.view.say("Cancelling: steps with always() still run. Once more to stop now."));
            let _over = control.send(Control::Cancel { by });
            continue;
        }
        with(&|watcher| watcher.view.say("Stopping now."));
        let _over = control.send(Control::Kill { by });
        match tokio::time::timeout(KILL_GRACE, &mut both).await {
            Ok(Ok(finished)) => break Ended::Finished(Box::new(finished)),
            Ok(Err(_)) | Err(_) => break Ended::Killed,
        }
    };
    if asked > 1
        && let Err(error) = machine.remove_own().await
    {
        with(&|watcher| watcher.view.say(&error.to_string()));
    }
    let record = {
        let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher.view.ended();
        std::mem::take(&mut watcher.record)
    };
    Ok((ended, record, asked > 0))
}
