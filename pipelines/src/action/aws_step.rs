//! What the actions for AWS have in common: the cloud as a step sees it, and files of its workspace.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use aws::{AllowedAccounts, Cloud};
use bytes::Bytes;
use engine::inside::Inside;
use engine::notify::checked_address;
use engine::step::{ActionCall, ActionError};

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What anybody may read.
const MODE: u32 = 0o644;

pub(super) fn failed(error: impl std::fmt::Display) -> ActionError {
    ActionError::Failed(error.to_string())
}

/// An input, without blanks around it.
pub(super) fn text<'a>(call: &'a ActionCall<'_>, name: &str) -> &'a str {
    call.inputs.get(name).map_or("", |value| value.trim())
}

/// An input that says something.
pub(super) fn given<'a>(call: &'a ActionCall<'_>, name: &str) -> Option<&'a str> {
    Some(text(call, name)).filter(|value| !value.is_empty())
}

/// AWS with the step's own variables; addresses that they set are over TLS or on this machine.
pub(super) fn cloud(call: &ActionCall<'_>) -> Result<Cloud, ActionError> {
    let variable = |name: &str| call.env.get(name).map(String::as_str);
    checked(Cloud::of(given(call, "aws-region"), variable).map_err(failed)?)
}

/// The same in another region than the step's.
pub(super) fn cloud_in(call: &ActionCall<'_>, region: &str) -> Result<Cloud, ActionError> {
    let variable = |name: &str| call.env.get(name).map(String::as_str);
    checked(Cloud::of(Some(region), variable).map_err(failed)?)
}

/// The same without keys.
pub(super) fn cloud_without_keys(call: &ActionCall<'_>, region: Option<&str>) -> Result<Cloud, ActionError> {
    let variable = |name: &str| call.env.get(name).map(String::as_str);
    checked(Cloud::without_keys(given(call, "aws-region").or(region), variable).map_err(failed)?)
}

fn checked(cloud: Cloud) -> Result<Cloud, ActionError> {
    for endpoint in cloud.endpoints() {
        checked_address(endpoint).map_err(|problem| failed(format!("AWS_ENDPOINT_URL cannot be used: {problem}")))?;
    }
    Ok(cloud)
}

/// Refuses accounts that `allowed-account-ids` does not have, before anything is done.
pub(super) async fn check_account(call: &ActionCall<'_>, cloud: &Cloud) -> Result<(), ActionError> {
    let Some(written) = given(call, "allowed-account-ids") else { return Ok(()) };
    let allowed = AllowedAccounts::read(written).map_err(|error| failed(format!("`allowed-account-ids`: {error}")))?;
    allowed.check(&cloud.identity().await.map_err(failed)?).map_err(failed)
}

/// A file of the workspace, or of the job's folder for such (`RUNNER_TEMP`).
pub(super) async fn read_file(call: &ActionCall<'_>, input: &str, path: &str) -> Result<String, ActionError> {
    let wrong = |error: &dyn std::fmt::Display| failed(format!("`{input}: {path}` cannot be read: {error}"));
    let inside = Path::new(path).strip_prefix(&call.workspace.inside);
    let relative = inside.unwrap_or(Path::new(path));
    if relative.is_absolute() {
        let bytes = call.job.read_file(path, FILE_BYTES_MAX).await.map_err(|error| wrong(&error))?;
        let bytes = bytes.ok_or_else(|| wrong(&"there is no such file"))?;
        return String::from_utf8(bytes.to_vec()).map_err(|_| wrong(&"it is no text"));
    }
    let mut text = String::new();
    let workspace = Inside::workspace(&call.workspace.host).map_err(|error| wrong(&error))?;
    let file = workspace.file(relative).map_err(|error| {
        if error.kind() != ErrorKind::NotFound {
            wrong(&error)
        } else if is_empty(&call.workspace.host) {
            wrong(&"the workspace is empty: put `actions/checkout` in front")
        } else {
            wrong(&"there is no such file in the workspace")
        }
    })?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    Ok(text)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Leaves a file in the job's folder for such; its path there.
pub(super) async fn leave_file(call: &ActionCall<'_>, name: &str, content: String) -> Result<String, ActionError> {
    let folder = call.env.get("RUNNER_TEMP").map_or(call.workspace.inside.as_str(), String::as_str);
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    let written = call.job.write_file(&path, Bytes::from(content), MODE).await;
    written.map_err(|error| failed(format!("{path} cannot be written: {error}")))?;
    Ok(path)
}
