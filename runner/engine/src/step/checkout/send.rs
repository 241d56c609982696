//! Sending a finished checkout to a workspace on another machine, through the agent.

use std::path::Path;

use bytes::Bytes;

use super::prepare::CheckedOut;
use crate::placement::ExecRequest;
use crate::step::{ActionCall, ActionError};

/// Archives above this size are not sent: they pass through memory on both sides.
const ARCHIVE_BYTES_MAX: usize = 1 << 30;
/// Kept of what tar says.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Sends it as one archive and unpacks it with the job's own `tar`, which every image with a package manager has.
pub(super) async fn send(call: &ActionCall<'_>, done: &CheckedOut, below: &Path) -> Result<(), ActionError> {
    let Some(stage) = &done.stage else { return Ok(()) };
    let folder = stage.path().join("stage");
    let archive = tokio::task::spawn_blocking(move || archive(&folder))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        .map_err(|error| ActionError::Failed(format!("cannot pack the files for the job's machine: {error}")))?;
    if archive.len() > ARCHIVE_BYTES_MAX {
        return Err(ActionError::Failed(format!(
            "the checkout is {} MiB; more than {} MiB cannot be sent to a job on another machine",
            archive.len() >> 20,
            ARCHIVE_BYTES_MAX >> 20
        )));
    }
    let target = Path::new(&call.workspace.inside).join(below);
    let path = format!("{}/.checkout.tar", call.workspace.inside);
    call.job
        .write_file(&path, Bytes::from(archive), 0o600)
        .await
        .map_err(|error| ActionError::Failed(error.to_string()))?;
    // The script is fixed; paths are its arguments.
    let script = r#"mkdir -p "$2" && tar -xf "$1" -C "$2" && rm -f "$1""#;
    let arguments = ["/bin/sh", "-c", script, "sh", path.as_str(), &target.to_string_lossy()];
    let request = ExecRequest::new(arguments, call.workspace.inside.as_str());
    let exec = call.job.exec(request).await.map_err(|error| ActionError::Failed(error.to_string()))?;
    let (outcome, said) = exec.output(MESSAGE_BYTES_MAX).await;
    if outcome.is_success() {
        return Ok(());
    }
    Err(ActionError::Failed(format!(
        "the files could not be unpacked in the job's container, which is on another machine and needs `tar` for that: {}",
        String::from_utf8_lossy(&said).trim()
    )))
}

fn archive(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", folder)?;
    builder.into_inner()
}
