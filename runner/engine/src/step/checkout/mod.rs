//! `actions/checkout`, done natively from the repository on this machine.
//!
//! A local run gets the files as they lie in the repository's folder, changes that are not committed included; `ref:` gets
//! exactly that commit. Ignored files never come along. Inputs, outputs and words follow
//! <https://github.com/actions/checkout/blob/main/action.yml>; what needs a network (other repositories, LFS, submodules
//! that are not here) is refused by name.

mod inputs;
mod prepare;
mod send;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use self::inputs::Inputs;
use self::prepare::{CheckedOut, Prepare};
use super::{ActionCall, ActionError, BuiltInAction, InputFacts};
use crate::git::is_same_folder;

pub use inputs::{INPUTS, OUTPUTS};
pub use source::{SourceFiles, source_files};

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checkout;

#[async_trait]
impl BuiltInAction for Checkout {
    fn name(&self) -> &'static str {
        "actions/checkout"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let inputs = Inputs::of(call).map_err(ActionError::Failed)?;
        for warning in &inputs.warnings {
            call.log.warning(warning).await;
        }
        call.log.line(&format!("Syncing repository: {}", call.repository.name)).await;
        if is_same_folder(&call.workspace.host, &call.repository.folder) {
            return in_place(call, &inputs).await;
        }
        let prepare = Prepare::of(call, inputs);
        let below = prepare.inputs.path.clone();
        let done = stoppable(call, move |stop| prepare.run(stop)).await?;
        if !call.workspace.shared {
            send::send(call, &done, &below).await?;
        }
        report(call, &done).await;
        Ok(())
    }
}

/// Runs blocking work that stops soon after the step is cancelled.
async fn stoppable<T: Send + 'static>(
    call: &ActionCall<'_>,
    work: impl FnOnce(&AtomicBool) -> Result<T, String> + Send + 'static,
) -> Result<T, ActionError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut task = tokio::task::spawn_blocking(move || work(&flag));
    let mut cancelled = false;
    let ended = loop {
        tokio::select! {
            ended = &mut task => break ended,
            () = call.cancel.cancelled(), if !cancelled => {
                cancelled = true;
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    match ended {
        Ok(Ok(_)) if cancelled => Err(ActionError::Cancelled),
        Ok(done) => done.map_err(ActionError::Failed),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The workspace is the repository's folder itself (`--bind`): there is nothing to copy, and nothing may be removed.
async fn in_place(call: &mut ActionCall<'_>, inputs: &Inputs) -> Result<(), ActionError> {
    if inputs.reference.is_some() || !inputs.path.as_os_str().is_empty() {
        return Err(ActionError::Failed(
            "the workspace is the repository's own folder, so `ref` and `path` cannot be obeyed without changing it; run without binding it"
                .to_owned(),
        ));
    }
    call.log.line("The workspace is the repository's own folder: its files are used as they are.").await;
    let (name, commit) = (call.run.git_ref.clone(), call.run.sha.clone());
    set_outputs(call, &name, &commit);
    Ok(())
}

async fn report(call: &mut ActionCall<'_>, done: &CheckedOut) {
    for line in &done.lines {
        call.log.line(line).await;
    }
    let (name, commit) = (done.name.clone(), done.commit.clone());
    set_outputs(call, &name, &commit);
}

fn set_outputs(call: &mut ActionCall<'_>, name: &str, commit: &str) {
    call.outputs.insert("ref".to_owned(), name.to_owned());
    call.outputs.insert("commit".to_owned(), commit.to_owned());
}
