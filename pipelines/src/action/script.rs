//! Scripts that an action runs in the job, as `run:` would: same shell, same variables, same folder.
//!
//! Each has a name in the job, so that an action that is called again after its process was killed finds the script that it
//! began, at its end if it has come, and does not begin it a second time.

use bytes::Bytes;
use engine::placement::{Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, Ladder, PlacementError};
use engine::step::script::Shell;
use engine::step::{ActionCall, ActionError};

/// Most scripts of one step.
const SCRIPTS_MAX: u64 = ExecId::CHOSEN_MAX / ExecId::OF_ACTION - 1;

/// A script to run.
#[derive(Debug, Clone)]
pub(super) struct Script<'a> {
    /// Which of the step's, from 1.
    pub(super) number: u64,
    /// What the shell gets.
    pub(super) text: &'a str,
    /// Variables beside those of the step.
    pub(super) env: Vec<(String, String)>,
}

/// A script that ran. Unless [`Ran::forget`] is called it is found again.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) outcome: ExecOutcome,
    /// What it wrote, where that was asked for.
    pub(super) output: Vec<u8>,
    exec: Exec,
}

impl Ran {
    /// What follows from it is kept: the job may forget it.
    pub(super) fn forget(&self) {
        self.exec.acknowledge_end();
    }

    /// Why it failed, if it did.
    pub(super) fn problem(&self) -> Option<String> {
        match &self.outcome {
            outcome if outcome.is_success() => None,
            ExecOutcome::Exited { out_of_memory: true, .. } => Some("was killed for lack of memory".to_owned()),
            ExecOutcome::Exited { code, .. } => Some(format!("ended with exit code {code}")),
            ExecOutcome::NotStarted { reason } => Some(format!("cannot be started: {reason}")),
            ExecOutcome::Lost { reason } => Some(format!("was lost: {reason}")),
        }
    }
}

/// What becomes of a script's output.
pub(super) enum Output<'a> {
    /// It goes to the step's log.
    Log,
    /// The first so many bytes are kept, for whoever asked.
    Kept(usize),
    /// Somebody reads it, and says what goes to the step's log.
    Read(&'a mut dyn Reader),
}

/// Reads a script's output while it runs.
pub(super) trait Reader: Send {
    /// What goes to the log for these bytes.
    fn read(&mut self, bytes: &[u8]) -> Vec<u8>;
    /// What goes to the log at the end.
    fn end(&mut self) -> Vec<u8>;
}

/// Runs it to its end. Cancelled, it is told to stop as a step is.
pub(super) async fn run(
    call: &mut ActionCall<'_>,
    script: &Script<'_>,
    mut to: Output<'_>,
) -> Result<Ran, ActionError> {
    let failed = |error: PlacementError| ActionError::Failed(format!("a script cannot be run in the job: {error}"));
    let (job, cancel) = (std::sync::Arc::clone(call.job), call.cancel.clone());
    let shell = Shell::unnamed(call.has_bash);
    let name = format!("action-{}-{}{}", call.step, script.number.min(SCRIPTS_MAX), shell.extension);
    let path = format!("{}/{name}", job.facts().run_directory.trim_end_matches('/'));
    job.write_file(&path, Bytes::from(shell.script(script.text)), 0o755).await.map_err(failed)?;
    let mut request = ExecRequest::new(shell.argv(&path), call.workspace.inside.clone());
    request.id = Some(ExecId(ExecId::OF_ACTION * script.number.clamp(1, SCRIPTS_MAX) + call.step));
    request.env = call.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    request.env.extend(script.env.iter().cloned());
    let started = if call.again { job.take_up(request, 0).await } else { job.exec(request).await };
    let mut exec = started.map_err(failed)?;
    let (mut output, mut is_told) = (Vec::new(), false);
    let outcome = loop {
        tokio::select! {
            event = exec.next() => match event {
                Some(ExecEvent::Output { bytes, .. }) => match &mut to {
                    Output::Log => call.log.output(&bytes).await,
                    Output::Read(reader) => call.log.output(&reader.read(&bytes)).await,
                    Output::Kept(bytes_max) => {
                        let room = bytes_max.saturating_sub(output.len()).min(bytes.len());
                        output.extend_from_slice(&bytes[..room]);
                    }
                },
                Some(ExecEvent::Ended(outcome)) => break outcome,
                None => break ExecOutcome::Lost { reason: "its events ended without an outcome".to_owned() },
            },
            () = cancel.cancelled(), if !is_told => {
                is_told = true;
                job.cancel(exec.id, Ladder::default()).await.map_err(failed)?;
            }
        }
    };
    match to {
        Output::Log => call.log.end_of_output().await,
        Output::Read(reader) => {
            call.log.output(&reader.end()).await;
            call.log.end_of_output().await;
        }
        Output::Kept(_) => {}
    }
    if is_told {
        exec.acknowledge_end();
        return Err(ActionError::Cancelled);
    }
    Ok(Ran { outcome, output, exec })
}
