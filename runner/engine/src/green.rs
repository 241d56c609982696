//! What the files were like when a workflow last succeeded, so that what did not change since need not run again.
//!
//! A step that compares (`pipe/changes`) leaves a candidate. It counts only once the whole run has succeeded: whoever ends
//! the run calls [`confirm`], or [`discard`] when the run failed, was cancelled, or did not run everything (`-j`). A green
//! run confirms all files, also of what it skipped: that was skipped since it had not changed since a green run.
//!
//! Records lie in `<state>/changes/`; losing them costs one run of everything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::RunId;

/// Files of one step, as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which workflow, job and step it belongs to.
    pub scope: String,
    /// `github.ref`.
    pub git_ref: String,
    /// The commit below the files.
    pub sha: String,
    /// Mode and blob id of each file that the step looks at, by path.
    pub files: BTreeMap<String, String>,
}

/// Leaves a candidate of a run.
///
/// # Errors
/// The state folder cannot be written.
pub fn candidate(state: &Path, run: RunId, snapshot: &Snapshot) -> io::Result<()> {
    let folder = candidates(state, run);
    fs::create_dir_all(&folder)?;
    write(&folder.join(file_name(&snapshot.scope, &snapshot.git_ref)), snapshot)
}

/// Makes the candidates of a run that succeeded the last green state. Gives their number.
///
/// # Errors
/// The state folder cannot be written.
pub fn confirm(state: &Path, run: RunId) -> io::Result<usize> {
    let folder = candidates(state, run);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let green = state.join("changes/green");
    fs::create_dir_all(&green)?;
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        fs::rename(entry.path(), green.join(entry.file_name()))?;
        count += 1;
    }
    fs::remove_dir(&folder)?;
    Ok(count)
}

/// Forgets the candidates of a run.
///
/// # Errors
/// They are there and cannot be removed.
pub fn discard(state: &Path, run: RunId) -> io::Result<()> {
    match fs::remove_dir_all(candidates(state, run)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The last green state of a step on a ref, or where that has none, on `fallback` (the default branch). A record that
/// cannot be read is as good as none.
#[must_use]
pub fn last(state: &Path, scope: &str, git_ref: &str, fallback: &str) -> Option<Snapshot> {
    let read = |git_ref: &str| {
        let bytes = fs::read(state.join("changes/green").join(file_name(scope, git_ref))).ok()?;
        let snapshot: Snapshot = serde_json::from_slice(&bytes).ok()?;
        (snapshot.scope == scope && snapshot.git_ref == git_ref).then_some(snapshot)
    };
    read(git_ref).or_else(|| read(fallback))
}

fn candidates(state: &Path, run: RunId) -> PathBuf {
    state.join("changes/candidates").join(run.to_string())
}

fn file_name(scope: &str, git_ref: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::new().chain_update(scope).chain_update([0]).chain_update(git_ref).finalize();
    let mut name = digest.iter().take(16).fold(String::new(), |mut text, byte| {
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    });
    name.push_str(".json");
    name
}

/// Writes whole or not at all: a crash must not leave half a record.
fn write(path: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, serde_json::to_vec(snapshot).map_err(io::Error::other)?)?;
    fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_counts_once_its_run_is_green() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let snapshot = |git_ref: &str, sha: &str| Snapshot {
            scope: "ci.yml/changes/0".into(),
            git_ref: git_ref.into(),
            sha: sha.into(),
            files: [("a".to_owned(), "1".to_owned())].into(),
        };
        let found = |git_ref: &str| last(state, "ci.yml/changes/0", git_ref, "refs/heads/main").map(|last| last.sha);
        candidate(state, RunId(1), &snapshot("refs/heads/main", "1")).unwrap();
        assert_eq!(found("refs/heads/main"), None, "the run has not ended");
        assert_eq!(confirm(state, RunId(1)).unwrap(), 1);
        assert_eq!(found("refs/heads/main"), Some("1".into()));
        assert_eq!(found("refs/heads/topic"), Some("1".into()), "a new branch begins where the default branch is");
        candidate(state, RunId(2), &snapshot("refs/heads/topic", "2")).unwrap();
        discard(state, RunId(2)).unwrap();
        assert_eq!((confirm(state, RunId(2)).unwrap(), found("refs/heads/topic")), (0, Some("1".into())));
        candidate(state, RunId(3), &snapshot("refs/heads/topic", "3")).unwrap();
        confirm(state, RunId(3)).unwrap();
        assert_eq!((found("refs/heads/topic"), found("refs/heads/main")), (Some("3".into()), Some("1".into())));
        discard(state, RunId(9)).unwrap();
        assert_eq!(last(state, "other", "refs/heads/main", "refs/heads/main"), None);
    }
}
