//! Actions of other repositories in a job: fetched before its first step with all that they use, and copied to where its
//! steps see them, as `_actions/owner/repo/ref` beside the workspace.
//!
//! Before there are steps this process writes the copies itself. Later the job could have put links there, so what is only
//! met then (an action of the repository uses another one) is written by the agent, inside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use workflow::action::COMPOSITE_DEPTH_MAX;
use workflow::model::{Step, Uses};

use super::facing::JobFacing;
use super::log::StepLog;
use super::own_actions::OwnActions;
use super::placed::PlacedRecord;
use crate::actions::uses::{in_folder, in_steps, of_self};
use crate::actions::{Actions, BuiltInMode, Fetched};
use crate::git::GitError;
use crate::placement::JobHandle;
use crate::step::{BuiltInAction, BuiltInActions};

/// Longest file of an action that is written by an agent.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// An action's repository: `owner/repo` and what stands behind the `@`.
type Name = (String, String);

/// What a job uses, fetched.
#[derive(Debug, Default)]
pub(super) struct FetchedActions(BTreeMap<Name, Fetched>);

/// The actions that a job's steps may use.
#[derive(Debug)]
pub(super) struct JobActions {
    own: OwnActions,
    /// The folder of all, as the job sees it.
    inside: String,
    /// Folders of those that are there, by `owner/repo@ref`.
    placed: Mutex<BTreeMap<String, String>>,
    /// Where those lie on this machine, and their commits, by the same.
    sources: BTreeMap<String, Source>,
    /// Those that were met later and have a built-in form: whether their repository can be had, by the same.
    met: Mutex<BTreeMap<String, bool>>,
}

/// The folder of an action's repository in the store, and its commit.
type Source = (PathBuf, Option<String>);

/// Which form of an action runs.
pub(super) enum Form {
    BuiltIn,
    Repository,
}

/// The built-in form of an action, where there is one that may run.
pub(super) fn built_in<'a>(
    known: &'a BuiltInActions,
    mode: BuiltInMode,
    repository: &str,
    path: &str,
) -> Option<&'a std::sync::Arc<dyn BuiltInAction>> {
    let name = if path.is_empty() { repository.to_owned() } else { format!("{repository}/{path}") };
    known.get(&name).filter(|_| mode != BuiltInMode::Never)
}

/// Whether an action runs in its built-in form whatever its repository says.
pub(super) fn is_built_in(known: &BuiltInActions, actions: &Actions, repository: &str, path: &str) -> bool {
    let prefers =
        |action: &std::sync::Arc<dyn BuiltInAction>| actions.built_in.prefers(&**action, actions.is_offline());
    built_in(known, actions.built_in, repository, path).is_some_and(prefers)
}

impl FetchedActions {
    /// Fetches what steps use, and what that uses.
    ///
    /// # Errors
    /// One of them cannot be had; a sentence for the job's log.
    pub(super) async fn of(
        own: &OwnActions,
        known: &BuiltInActions,
        steps: &[Step],
        log: &mut StepLog,
    ) -> Result<Self, String> {
        let (mut this, actions) = (Self::default(), &own.actions);
        if actions.store.is_none() {
            return Ok(this);
        }
        let of_workflow = |used| (0, of_self(used, Some(&own.whose)));
        let mut open: Vec<(usize, Uses)> = in_steps(steps).into_iter().map(of_workflow).rev().collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some((depth, used)) = open.pop() {
            let Uses::Repository { repository, path, reference } = &used else { continue };
            if is_built_in(known, actions, repository, path) || !seen.insert(used.text()) {
                continue;
            }
            let native = built_in(known, actions.built_in, repository, path);
            let name = (repository.clone(), reference.clone());
            let fetched = match this.0.get(&name) {
                Some(fetched) => fetched.clone(),
                None => match own.get(repository, reference).await {
                    Ok(fetched) => fetched,
                    Err(error) if native.is_some() => {
                        log.line(&format!("{error}: the built-in {repository} runs")).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            if !this.0.contains_key(&name) {
                tell(&name, &fetched, log).await;
            }
            if depth < COMPOSITE_DEPTH_MAX {
                let below = |used| (depth + 1, of_self(used, Some(&name)));
                open.extend(in_folder(&fetched.folder, path).into_iter().rev().map(below));
            }
            this.0.insert(name, fetched);
        }
        Ok(this)
    }

    /// The folder of one of them in the store.
    pub(super) fn folder(&self, repository: &str, reference: &str) -> Option<&Path> {
        self.0.get(&(repository.to_owned(), reference.to_owned())).map(|fetched| fetched.folder.as_path())
    }

    /// Copies them to a job that has its place and has run nothing yet.
    ///
    /// # Errors
    /// It cannot be done; a sentence for the job's log.
    pub(super) async fn place(self, record: &mut PlacedRecord, handle: &dyn JobHandle) -> Result<(), String> {
        let inside = folder_inside(record);
        for ((repository, reference), fetched) in self.0 {
            let source = (fetched.folder.clone(), fetched.commit.clone());
            record.sources.insert(format!("{repository}@{reference}"), source);
            let below = below(&repository, &reference);
            let folder = format!("{inside}/{below}");
            match record.folders.first().filter(|_| handle.facts().files_are_shared) {
                Some(work) => {
                    let to = work.join("_actions").join(&below);
                    let copying = tokio::task::spawn_blocking(move || {
                        // A process that was killed while it placed this job may have begun; no step has run since.
                        match std::fs::remove_dir_all(&to) {
                            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                                Err(GitError::file("remove", &to)(error))
                            }
                            Ok(()) | Err(_) => fetched.copy_to(&to),
                        }
                    });
                    let copied = copying.await.map_err(|error| error.to_string())?;
                    copied.map_err(|error| format!("cannot copy {repository}@{reference} to the job: {error}"))?;
                }
                None => send(&fetched, &folder, handle).await?,
            }
            record.actions.insert(format!("{repository}@{reference}"), folder);
        }
        Ok(())
    }
}

impl JobActions {
    pub(super) fn of(own: OwnActions, record: &PlacedRecord) -> Self {
        let placed = Mutex::new(record.actions.clone());
        Self { own, inside: folder_inside(record), placed, sources: record.sources.clone(), met: Mutex::default() }
    }

    /// What a step uses, see [`OwnActions::resolved`].
    pub(super) fn resolved(&self, used: &Uses, job: &JobFacing) -> Uses {
        self.own.resolved(used, job)
    }

    /// Asks for an action that a step of another one uses, if its built-in form would only stand in for it. Before the job
    /// began nobody could ask for what an action of the repository uses.
    pub(super) async fn meet(&self, known: &BuiltInActions, used: &Uses, log: &mut StepLog) {
        let Uses::Repository { repository, path, reference } = used else { return };
        let actions = &self.own.actions;
        let stands_in = built_in(known, actions.built_in, repository, path).is_some()
            && !is_built_in(known, actions, repository, path);
        let name = format!("{repository}@{reference}");
        let is_known = || self.placed(repository, reference).is_some() || self.was_met(&name).is_some();
        if !stands_in || actions.store.is_none() || is_known() {
            return;
        }
        let found = self.own.get(repository, reference).await;
        if let Err(error) = &found {
            log.line(&format!("{error}: the built-in {repository} runs")).await;
        }
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(name, found.is_ok());
    }

    fn was_met(&self, name: &str) -> Option<bool> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Which form of an action runs; `None`: there is none here, and none can be fetched.
    pub(super) fn form(&self, known: &BuiltInActions, repository: &str, path: &str, reference: &str) -> Option<Form> {
        let is_placed = || {
            let was_met = || self.was_met(&format!("{repository}@{reference}")) == Some(true);
            self.placed(repository, reference).is_some() || was_met()
        };
        let actions = &self.own.actions;
        let own = built_in(known, actions.built_in, repository, path)
            .filter(|_| is_built_in(known, actions, repository, path) || !is_placed());
        match own {
            Some(_) => Some(Form::BuiltIn),
            None => self.own.actions.store.is_some().then_some(Form::Repository),
        }
    }

    fn placed(&self, repository: &str, reference: &str) -> Option<String> {
        let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.get(&format!("{repository}@{reference}")).cloned()
    }

    /// Where an action's repository lies in the store, as no job can change it.
    ///
    /// # Errors
    /// It cannot be had; a sentence for the step's log.
    pub(super) async fn source(&self, repository: &str, reference: &str) -> Result<Source, String> {
        if let Some(source) = self.sources.get(&format!("{repository}@{reference}")) {
            return Ok(source.clone());
        }
        let fetched = self.own.get(repository, reference).await?;
        Ok((fetched.folder, fetched.commit))
    }

    /// The folder of an action's repository, as the job sees it; fetched where it is not there. `is_there`: another process
    /// had written it.
    ///
    /// # Errors
    /// It cannot be had; a sentence for the step's log.
    pub(super) async fn folder(
        &self,
        repository: &str,
        reference: &str,
        (handle, is_there): (&dyn JobHandle, bool),
        log: &mut StepLog,
    ) -> Result<String, String> {
        if let Some(folder) = self.placed(repository, reference) {
            return Ok(folder);
        }
        let folder = format!("{}/{}", self.inside, below(repository, reference));
        if !is_there {
            let fetched = self.own.get(repository, reference).await?;
            // Of the rest nothing is said: the log of a step that is taken up is made anew, when this is not done again.
            warn_of_age(repository, reference, &fetched, log).await;
            send(&fetched, &folder, handle).await?;
        }
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.insert(format!("{repository}@{reference}"), folder.clone());
        Ok(folder)
    }
}

/// What a job's log says of an action that it uses, as that of GitHub's runner does.
async fn tell((repository, reference): &Name, fetched: &Fetched, log: &mut StepLog) {
    let from = match &fetched.commit {
        Some(commit) => format!("SHA:{commit}"),
        None => fetched.folder.display().to_string(),
    };
    log.line(&format!("Download action repository '{repository}@{reference}' ({from})")).await;
    warn_of_age(repository, reference, fetched, log).await;
}

async fn warn_of_age(repository: &str, reference: &str, fetched: &Fetched, log: &mut StepLog) {
    if let Some(reason) = &fetched.stale {
        log.warning(&format!("`{reference}` of {repository} may be another commit by now: {reason}")).await;
    }
}

/// Writes them through the agent, which is in the job and so cannot be led out of it. Links become what they lead to.
async fn send(fetched: &Fetched, folder: &str, handle: &dyn JobHandle) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    let own = copy.path().join("files");
    fetched.copy_to(&own).map_err(|error| error.to_string())?;
    for entry in walkdir::WalkDir::new(&own) {
        let entry = entry.map_err(|error| error.to_string())?;
        let Some(name) = entry.path().strip_prefix(&own).ok().and_then(Path::to_str) else { continue };
        let Ok(facts) = entry.path().metadata() else { continue };
        if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
            continue;
        }
        let content = std::fs::read(entry.path()).map_err(|error| format!("{name}: {error}"))?;
        let (path, mode) = (format!("{folder}/{name}"), facts.permissions().mode() & 0o777);
        handle.write_file(&path, Bytes::from(content), mode).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn folder_inside(record: &PlacedRecord) -> String {
    let above = record.paths.runner_workspace.rsplit_once('/').map_or("", |(above, _)| above);
    format!("{above}/_actions")
}

/// Where an action lies below the folder of all. Names of refs may have any form.
fn below(repository: &str, reference: &str) -> String {
    let part = |part: &str| -> String {
        let is_dots = part.bytes().all(|byte| byte == b'.');
        part.chars().map(|letter| if letter.is_control() || is_dots || letter == '\\' { '_' } else { letter }).collect()
    };
    let parts = repository.split('/').chain(reference.split('/'));
    parts.map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_actions() {
        for (repository, reference, expect) in [
            ("actions/checkout", "v4", "actions/checkout/v4"),
            ("a/b", "refs/heads/x", "a/b/refs/heads/x"),
            ("../b", "..", "__/b/__"),
        ] {
            assert_eq!(below(repository, reference), expect);
        }
    }
}
