//! Actions that read what tools report: `pipe/test-report` and `pipe/coverage-report`. Files are found and packed by the
//! job's own `find` and `tar`, as those of artifacts; they are read here, within bounds, and all that is kept is masked.

mod coverage;
mod tests;
mod words;

pub use coverage::CoverageReport;
pub use tests::TestReport;

use std::io::{Cursor, Read};

use jiff::Timestamp;
use tar::Archive;

use super::kept;
use super::kept::patterns::Patterns;
use super::kept::transfer::{Find, find, pack};
use super::kept::{failed, input, text};
use super::{ActionCall, ActionError, InputFacts};
use crate::reports::{FILES_BYTES_MAX, FILES_MAX};
use crate::store::reports::Origin;

/// Outputs of `pipe/test-report`: name and one line for a person.
pub const TEST_OUTPUTS: [(&str, &str); 6] = [
    ("total", "How many tests there are"),
    ("passed", "How many passed"),
    ("failed", "How many failed, those included that could not be carried out"),
    ("skipped", "How many were skipped"),
    ("flaky", "How many passed after a failure"),
    ("time", "Seconds that all of them took"),
];

/// Outputs of `pipe/coverage-report`.
pub const COVERAGE_OUTPUTS: [(&str, &str); 4] = [
    ("lines", "Lines that tests reach, in percent"),
    ("branches", "Branches that tests reach, in percent; empty where no tool says"),
    (
        "change",
        "By how many percent of the lines it differs from the last green run of the default branch; may be empty",
    ),
    ("files", "How many files there are"),
];

const FILES: InputFacts = input("files", "", true, "Files and patterns, one a line; `!` takes out");
const NO_FILES: InputFacts = input("if-no-files", "warn", false, "warn, error or ignore").form(kept::NO_FILES);

/// The files that are meant, as the job sees them; empty where there are none and that is no error.
async fn files(call: &mut ActionCall<'_>) -> Result<Vec<String>, ActionError> {
    let missing = text(call, "if-no-files").to_owned();
    if !["warn", "error", "ignore"].contains(&missing.as_str()) {
        return Err(failed(format!("`if-no-files: {missing}` is not known: warn, error or ignore")));
    }
    let written = text(call, "files").to_owned();
    let patterns = Patterns::read(&written, &call.workspace.inside, &call.run.home).map_err(failed)?;
    let mut files = find(call, Find::Files, &patterns.roots()).await?;
    files.retain(|file| patterns.matches(file));
    files.sort();
    files.dedup();
    if files.len() > FILES_MAX {
        let many = files.len();
        return Err(failed(format!("{many} files are meant, more than {FILES_MAX}: name the reports more closely")));
    }
    if files.is_empty() {
        let message = format!("No files were found: {}", written.replace('\n', ", "));
        match missing.as_str() {
            "error" => return Err(failed(message)),
            "warn" => call.log.warning(&message).await,
            _ => call.log.line(&message).await,
        }
    }
    Ok(files)
}

/// Hands the content of each file to `take`, together with its path.
async fn read_all<T: Send + 'static>(
    call: &ActionCall<'_>,
    files: &[String],
    mut state: T,
    mut take: impl FnMut(&mut T, &str, &[u8]) + Send + 'static,
) -> Result<T, ActionError> {
    let below: Vec<_> = files.iter().map(|file| file.trim_start_matches('/').to_owned()).collect();
    let workspace = call.workspace.inside.trim_start_matches('/').to_owned();
    pack(call, "/", &below, true, move |archive| {
        let mut left = FILES_BYTES_MAX;
        let mut archive = Archive::new(archive);
        for entry in archive.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| error.to_string())?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let too_much = || format!("the reports have more than {} MiB together", FILES_BYTES_MAX >> 20);
            left = left.checked_sub(entry.size()).ok_or_else(too_much)?;
            let path = entry.path().map_err(|error| error.to_string())?.display().to_string();
            let path = path.strip_prefix("./").unwrap_or(&path);
            let path = path.strip_prefix(&workspace).map_or(path, |rest| rest.trim_start_matches('/')).to_owned();
            let mut bytes = Cursor::new(Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0)));
            std::io::copy(&mut entry.by_ref().take(FILES_BYTES_MAX), &mut bytes).map_err(|error| error.to_string())?;
            take(&mut state, &path, bytes.get_ref());
        }
        Ok(state)
    })
    .await
}

/// Where a report comes from.
fn origin(call: &ActionCall<'_>) -> Origin {
    Origin {
        run: call.run.id,
        job: call.run.job.clone(),
        step: call.step,
        name: call.masker.mask(text(call, "name")),
        repository: call.repository.name.clone(),
        sha: call.run.sha.clone(),
        git_ref: call.run.git_ref.clone(),
        at: Timestamp::now(),
    }
}

/// Tells of files that could not be read. Where none could be, the step has failed.
async fn tell_problems(call: &mut ActionCall<'_>, problems: &[(String, String)], any: bool) -> Result<(), ActionError> {
    const TOLD_MAX: usize = 10;
    for (path, problem) in problems.iter().take(TOLD_MAX) {
        call.log.warning(&format!("{path}: {problem}")).await;
    }
    if problems.len() > TOLD_MAX {
        call.log.warning(&format!("{} more files could not be read", problems.len() - TOLD_MAX)).await;
    }
    if any || problems.is_empty() { Ok(()) } else { Err(failed("None of the files is a report that can be read")) }
}
