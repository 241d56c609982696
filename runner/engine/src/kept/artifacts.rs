//! Artifacts of runs. Those of all attempts of a run lie together: a later attempt sees what an earlier one left, and what
//! it names anew comes first.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Keeper, Kept, KeptError, now};
use crate::blobs::BlobDigest;

/// What an artifact's blob is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// An archive that an action of ours packed.
    #[default]
    Tar,
    /// An archive that a client packed, as it was sent.
    Zip,
    /// One file as a client sent it, of this type; its name is the artifact's.
    File(String),
}

/// The zip that clients get of an artifact that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zipped {
    /// Its blob.
    pub digest: BlobDigest,
    /// Bytes.
    pub bytes: u64,
}

/// An artifact of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Unique in this folder, growing.
    pub id: u64,
    /// Whose it is, see [`Keeper`].
    pub repository: String,
    /// The run: its first attempt's number.
    pub run: u64,
    /// The attempt that made it.
    pub attempt: u32,
    /// The job run that made it.
    pub job: String,
    /// Its name, unique in an attempt.
    pub name: String,
    /// The archive of its files.
    pub digest: BlobDigest,
    /// Bytes of the archive.
    pub bytes: u64,
    /// What it takes of the disk.
    pub stored: u64,
    /// How many files it has.
    pub files: u64,
    /// Seconds since 1970.
    pub created: u64,
    /// The same; then it is removed.
    pub expires: u64,
    /// The commit of the run.
    pub sha: String,
    /// The event of the run.
    pub event: String,
    /// What the blob is.
    #[serde(default)]
    pub form: Form,
    /// Made when a client first asks.
    #[serde(default)]
    pub zipped: Option<Zipped>,
}

impl Kept {
    /// The artifacts that a run has in one of its attempts, oldest first: of each name the newest of this attempt and those
    /// before.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn artifacts(&self, run: u64, attempt: u32) -> Result<Vec<Artifact>, KeptError> {
        let mut all: Vec<Artifact> = self.list(&group(run))?;
        all.retain(|artifact| artifact.expires > now() && artifact.attempt <= attempt);
        all.sort_by_key(|artifact| std::cmp::Reverse((artifact.attempt, artifact.id)));
        let mut names = HashSet::new();
        all.retain(|artifact| names.insert(artifact.name.clone()));
        all.sort_by_key(|artifact| artifact.id);
        Ok(all)
    }

    /// The artifacts that all runs of a repository have, of all attempts, newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn artifacts_of(&self, repository: &str) -> Result<Vec<Artifact>, KeptError> {
        let mut all: Vec<Artifact> = Vec::new();
        for group in self.groups(GROUPS)? {
            all.append(&mut self.list(&group)?);
        }
        all.retain(|artifact| artifact.repository == repository && artifact.expires > now());
        all.sort_by_key(|artifact| std::cmp::Reverse(artifact.id));
        Ok(all)
    }

    /// Keeps an artifact, whose `id` is chosen here. With `overwrite` one of the same name in the same attempt goes; so does
    /// one that the same job run made, where it begins `again` what a killed process had begun.
    ///
    /// # Errors
    /// There is one of that name in the attempt, or the folder cannot be written.
    pub fn add_artifact(&self, mut artifact: Artifact, overwrite: bool, again: bool) -> Result<Artifact, KeptError> {
        let lock = self.lock()?;
        let group = group(artifact.run);
        let mut same: Vec<Artifact> = self.list(&group)?;
        same.retain(|other| (other.attempt, &other.name) == (artifact.attempt, &artifact.name));
        for old in &same {
            let own = again && old.job == artifact.job;
            if !overwrite && !own && old.expires > now() {
                return Err(KeptError::Exists);
            }
        }
        artifact.id = self.next_id()?;
        self.write(&group, artifact.id, &artifact)?;
        for old in same {
            self.remove(&group, old.id)?;
        }
        self.tidy_if_due(&lock)?;
        Ok(artifact)
    }

    /// Keeps what was found out about an artifact; one that is gone stays gone.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) fn note_artifact(&self, artifact: &Artifact) -> Result<(), KeptError> {
        let _lock = self.lock()?;
        let group = group(artifact.run);
        if self.list::<Artifact>(&group)?.iter().any(|other| other.id == artifact.id) {
            self.write(&group, artifact.id, artifact)?;
        }
        Ok(())
    }

    /// Removes an artifact, if it is there. Its content goes when nothing names it any more.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remove_artifact(&self, artifact: &Artifact) -> Result<(), KeptError> {
        let _lock = self.lock()?;
        let group = group(artifact.run);
        if self.list::<Artifact>(&group)?.iter().any(|other| other.id == artifact.id) {
            self.remove(&group, artifact.id)?;
        }
        Ok(())
    }
}

impl Keeper {
    /// The artifacts that the run has at this attempt.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn artifacts(&self, kept: &Kept) -> Result<Vec<Artifact>, KeptError> {
        kept.artifacts(self.run, self.attempt)
    }
}

/// The folder of the groups.
const GROUPS: &str = "artifacts";

fn group(run: u64) -> String {
    format!("{GROUPS}/{run}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::KeptRules;

    #[test]
    fn an_attempt_has_one_of_a_name_and_sees_those_before() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), KeptRules::default());
        let far = now() + 1000;
        let artifact = |run: u64, attempt: u32, name: &str, expires: u64| Artifact {
            id: 0,
            repository: "o/r".into(),
            run,
            attempt,
            job: "build".into(),
            name: name.into(),
            digest: BlobDigest::try_from("0".repeat(64)).unwrap(),
            bytes: 1,
            stored: 1,
            files: 1,
            created: now(),
            expires,
            sha: String::new(),
            event: "push".into(),
            form: Form::Tar,
            zipped: None,
        };
        let add = |artifact: Artifact, overwrite, again| {
            kept.add_artifact(artifact, overwrite, again).map(|artifact| artifact.id).ok()
        };
        assert_eq!(add(artifact(1, 1, "../a", far), false, false), Some(1));
        assert_eq!(add(artifact(1, 1, "../a", far), false, false), None);
        assert_eq!(add(artifact(1, 1, "../a", far), true, false), Some(2));
        assert_eq!(add(artifact(1, 1, "../a", far), false, true), Some(3));
        assert_eq!(add(Artifact { job: "other".into(), ..artifact(1, 1, "../a", far) }, false, true), None);
        assert_eq!(add(artifact(2, 1, "../a", far), false, false), Some(4));
        assert_eq!(add(artifact(1, 1, "old", 5), false, false), Some(5));
        // One that is over is in nobody's way.
        assert_eq!(add(artifact(1, 1, "old", 6), false, false), Some(6));
        assert_eq!(add(artifact(1, 1, "b", far), false, false), Some(7));
        assert_eq!(add(artifact(1, 2, "../a", far), false, false), Some(8));
        let ids = |run, attempt| -> Vec<_> {
            kept.artifacts(run, attempt).unwrap().iter().map(|artifact| artifact.id).collect()
        };
        assert_eq!((ids(1, 1), ids(1, 2), ids(2, 1), ids(3, 1)), (vec![3, 7], vec![7, 8], vec![4], vec![]));
        assert_eq!(add(Artifact { repository: "o/other".into(), ..artifact(4, 1, "c", far) }, false, false), Some(9));
        let all = kept.artifacts_of("o/r").unwrap();
        assert_eq!(all.iter().map(|artifact| artifact.id).collect::<Vec<_>>(), [8, 7, 4, 3]);
    }
}
