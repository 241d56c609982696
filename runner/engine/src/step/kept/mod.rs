//! Actions that keep files beyond a job: `actions/upload-artifact`, `actions/download-artifact`, `actions/cache` and its
//! two parts. Files are found, packed and unpacked by the job's own `find` and `tar`, so that paths mean what they mean to
//! its steps, whether its folders are mounted here or lie on another machine, and a link leads nowhere on this one.

mod archive;
mod artifact;
mod cache;
mod clients;
mod download;
pub(super) mod patterns;
pub(super) mod transfer;

pub use artifact::{UploadArtifact, check_name as check_artifact_name};
pub use cache::{Cache, RestoreCache, SaveCache};
pub use clients::{JobFolders, cache_for_clients};
pub use download::DownloadArtifact;

use workflow::catalogue::{Form, SWITCH};

use super::{ActionCall, ActionError, InputFacts};

pub(super) const fn input(
    name: &'static str,
    default: &'static str,
    required: bool,
    description: &'static str,
) -> InputFacts {
    InputFacts { required, ..InputFacts::new(name, default, description) }
}

/// One that is `true` or `false`: what [`flag`] reads.
pub(super) const fn switch(name: &'static str, default: &'static str, description: &'static str) -> InputFacts {
    InputFacts::new(name, default, description).form(Form::AnyCase(SWITCH))
}

/// What becomes of a step that finds no files.
pub(super) const NO_FILES: Form = Form::Words(&["warn", "error", "ignore"]);

pub(super) fn text<'a>(call: &'a ActionCall<'_>, name: &str) -> &'a str {
    call.inputs.get(name).map_or("", |value| value.trim())
}

/// A boolean as YAML 1.2 writes it.
pub(super) fn flag(call: &ActionCall<'_>, name: &str) -> Result<bool, ActionError> {
    match text(call, name) {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" | "" => Ok(false),
        _ => Err(ActionError::Failed(format!(
            "Input does not meet YAML 1.2 \"Core Schema\" specification: {name}\nSupport boolean input list: `true | True | TRUE | false | False | FALSE`"
        ))),
    }
}

/// The lines of an input that are not empty.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

pub(super) fn failed(error: impl std::fmt::Display) -> ActionError {
    ActionError::Failed(error.to_string())
}
