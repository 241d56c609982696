//! The checkout itself: everything is made in a folder beside the job's, then moved into the workspace.
//!
//! Blocking; writes no log. See [`crate::git::install`] for why it is made elsewhere first.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use git2::Repository;
use git2::build::CheckoutBuilder;
use tempfile::TempDir;

use super::inputs::{Inputs, Submodules};
use crate::git::{
    self, CloneOrder, CopyJob, FileKind, GitError, SnapshotFile, Target, copy_files, folder_files, install,
    is_same_folder, make_git_folder, working_files,
};
use crate::step::{ActionCall, RepositoryFacts, RunFactsForAction};

/// Submodules of submodules of submodules …
const SUBMODULE_DEPTH_MAX: usize = 16;
/// Names that a line of the log lists.
const NAMES_SHOWN_MAX: usize = 10;

/// What a checkout needs.
#[derive(Debug)]
pub(super) struct Prepare {
    pub(super) inputs: Inputs,
    repository: RepositoryFacts,
    run: RunFactsForAction,
    workspace: PathBuf,
    shared: bool,
    /// Whether `.git` is wanted too.
    pub(super) keeps_git: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct CheckedOut {
    /// The output `ref`.
    pub(super) name: String,
    /// The output `commit`.
    pub(super) commit: String,
    /// For the log.
    pub(super) lines: Vec<String>,
    /// Submodules that were wanted where they are here, and are not.
    pub(super) missing: Vec<PathBuf>,
    /// The files, where they are still to be sent because the workspace is not on this machine.
    pub(super) stage: Option<TempDir>,
}

impl Prepare {
    pub(super) fn of(call: &ActionCall<'_>, inputs: Inputs) -> Self {
        Self {
            inputs,
            repository: call.repository.clone(),
            run: call.run.clone(),
            workspace: call.workspace.host.clone(),
            shared: call.workspace.shared,
            keeps_git: true,
        }
    }

    pub(super) fn run(&self, stop: &AtomicBool) -> Result<CheckedOut, String> {
        let scratch = scratch(&self.workspace)?;
        let stage = made(&scratch, "stage")?;
        let trash = made(&scratch, "trash")?;
        let mut done = self.stage(&stage, stop)?;
        if self.shared {
            install(&stage, &trash, &self.workspace, &self.inputs.path, self.inputs.clean)
                .map_err(|error| error.to_string())?;
        } else {
            done.stage = Some(scratch);
        }
        Ok(done)
    }

    /// The files in the folder `stage` of one that is not the job's.
    pub(super) fn aside(&self, stop: &AtomicBool) -> Result<(CheckedOut, TempDir), String> {
        let scratch = if is_same_folder(&self.workspace, &self.repository.folder) {
            // Beside it are the user's own folders.
            tempfile::tempdir().map_err(|error| format!("no place to prepare the files: {error}"))?
        } else {
            scratch(&self.workspace)?
        };
        let stage = made(&scratch, "stage")?;
        let done = self.stage(&stage, stop)?;
        match std::fs::remove_dir_all(stage.join(".git")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}/.git: {error}", stage.display()))
            }
            Ok(()) | Err(_) => Ok((done, scratch)),
        }
    }

    fn stage(&self, stage: &Path, stop: &AtomicBool) -> Result<CheckedOut, String> {
        let done = match git::open(&self.repository.folder) {
            Ok(repository) => self.repository_into(&repository, stage, stop),
            Err(GitError::NotARepository(_)) => self.folder_into(stage, stop),
            Err(error) => Err(error),
        };
        done.map_err(|error| error.to_string())
    }

    /// A folder without git: all that is in it.
    fn folder_into(&self, stage: &Path, stop: &AtomicBool) -> Result<CheckedOut, GitError> {
        if let Some(name) = &self.inputs.reference {
            return Err(GitError::NoSuchRef(format!(
                "`ref: {name}`: {} is not a git repository",
                self.repository.folder.display()
            )));
        }
        let own = self.workspace.ancestors().nth(2).unwrap_or(&self.workspace);
        let mut files = folder_files(&self.repository.folder, own)?;
        files.retain(|file| self.inputs.keeps(&file.path));
        copy_files(&CopyJob { from: &self.repository.folder, to: stage, files: &files, stop })?;
        let lines = vec![format!(
            "{} is not a git repository: all of its {} files are copied.",
            self.repository.folder.display(),
            files.len()
        )];
        let (name, commit) = (self.run.git_ref.clone(), self.run.sha.clone());
        Ok(CheckedOut { name, commit, lines, missing: Vec::new(), stage: None })
    }

    fn repository_into(
        &self,
        repository: &Repository,
        stage: &Path,
        stop: &AtomicBool,
    ) -> Result<CheckedOut, GitError> {
        let working = self.inputs.reference.is_none() && self.repository.working_tree;
        let target = match &self.inputs.reference {
            Some(name) => git::resolve(repository, name)?,
            None if working => git::unborn_or_head(repository),
            None => self.of_run(repository)?,
        };
        let (mut lines, mut missing) = (Vec::new(), Vec::new());
        let files = if working {
            let files = self.working_tree(repository, stage, &mut lines, stop)?;
            missing = self.submodules(repository, stage, &files, stop)?;
            files
        } else {
            Vec::new()
        };
        let url = git::origin_url(repository)
            .unwrap_or_else(|| format!("{}/{}", git::server_url(repository), self.repository.name));
        let order = CloneOrder {
            repository,
            target: &target,
            depth: self.inputs.depth,
            tags: self.inputs.tags,
            url: &url,
            own_line_ends: working,
            sparse: self.inputs.sparse.as_deref(),
            keeps: &|path| self.inputs.keeps(path),
            stop,
        };
        // Files of a commit are written from the clone.
        if self.keeps_git || !working {
            make_git_folder(&order, stage, &files)?;
        }
        if !working {
            missing = self.commit(&target, stage, &mut lines)?;
        }
        let commit = target.commit.map(|id| id.to_string()).unwrap_or_default();
        if let Some(id) = target.commit {
            lines.push(head_line(repository, id)?);
            lines.push(commit.clone());
        } else {
            lines.push("The repository has no commits yet.".to_owned());
        }
        Ok(CheckedOut { name: target.name(), commit, lines, missing, stage: None })
    }

    /// What the run is for: its commit under its ref.
    fn of_run(&self, repository: &Repository) -> Result<Target, GitError> {
        let mut target = git::resolve(repository, &self.run.sha)?;
        let name = self.run.git_ref.as_str();
        target.head = if let Some(branch) = name.strip_prefix("refs/heads/") {
            git::Head::Branch(branch.to_owned())
        } else if let Some(pull) = name.strip_prefix("refs/pull/") {
            git::Head::Detached(Some(format!("refs/remotes/pull/{pull}")))
        } else if name.starts_with("refs/tags/") {
            git::Head::Detached(Some(name.to_owned()))
        } else {
            git::Head::Detached(None)
        };
        Ok(target)
    }

    fn working_tree(
        &self,
        repository: &Repository,
        stage: &Path,
        lines: &mut Vec<String>,
        stop: &AtomicBool,
    ) -> Result<Vec<SnapshotFile>, GitError> {
        let root = repository.workdir().unwrap_or(&self.repository.folder);
        let mut listing = working_files(repository)?;
        listing.files.retain(|file| self.inputs.keeps(&file.path));
        copy_files(&CopyJob { from: root, to: stage, files: &listing.files, stop })?;
        lines.push(match listing.changed {
            0 => format!("{} files, as in the last commit", listing.files.len()),
            changed => format!(
                "{} files as they lie in {}, {changed} of them not as in the index",
                listing.files.len(),
                root.display()
            ),
        });
        if !listing.nested.is_empty() {
            let names: Vec<_> =
                listing.nested.iter().take(NAMES_SHOWN_MAX).map(|path| path.display().to_string()).collect();
            lines.push(format!("Repositories inside the folder are left out, as git does: {}", names.join(", ")));
        }
        Ok(listing.files)
    }

    /// Submodules that are checked out in the repository's folder. Gives those that are not, where that is no fault.
    fn submodules(
        &self,
        repository: &Repository,
        stage: &Path,
        files: &[SnapshotFile],
        stop: &AtomicBool,
    ) -> Result<Vec<PathBuf>, GitError> {
        let depth = match self.inputs.submodules {
            Submodules::None => return Ok(Vec::new()),
            Submodules::Direct => 1,
            Submodules::Recursive | Submodules::Present => SUBMODULE_DEPTH_MAX,
        };
        let root = repository.workdir().unwrap_or(&self.repository.folder);
        let mut missing = Vec::new();
        let job = CopyJob { from: root, to: stage, files, stop };
        submodules(&job, Path::new(""), depth, &mut missing)?;
        match missing.first().filter(|_| self.inputs.submodules != Submodules::Present) {
            Some(path) => Err(GitError::NoSuchRef(format!(
                "the submodule {} is not checked out in the repository's folder; run: git submodule update --init --recursive",
                path.display()
            ))),
            None => Ok(missing),
        }
    }

    /// Files of a commit, written from the clone that was just made: line ends as `.gitattributes` says. Gives its submodules,
    /// which are not there, where that is no fault.
    fn commit(&self, target: &Target, stage: &Path, lines: &mut Vec<String>) -> Result<Vec<PathBuf>, GitError> {
        let Some(id) = target.commit else { return Ok(Vec::new()) };
        let refused = |what: &str| {
            Err(GitError::NoSuchRef(format!("`{what}` works only without `ref`, from the files in the folder")))
        };
        let wanted = self.inputs.submodules;
        let has_submodules = wanted != Submodules::None && stage_has(stage, ".gitmodules", id)?;
        if has_submodules && wanted != Submodules::Present {
            return refused("submodules");
        }
        if self.inputs.lfs {
            return refused("lfs");
        }
        let failed = "write the files of the commit";
        let clone = git::open(stage)?;
        let object = clone.find_object(id, None).map_err(GitError::library(failed))?;
        let mut builder = CheckoutBuilder::new();
        builder.force();
        if self.inputs.sparse.is_some() {
            builder.disable_pathspec_match(true).update_index(false);
            for file in git::commit_files(&clone, id)?.iter().filter(|file| self.inputs.keeps(&file.path)) {
                builder.path(&file.path);
            }
        }
        clone.checkout_tree(&object, Some(&mut builder)).map_err(GitError::library(failed))?;
        if self.repository.working_tree {
            lines.push("`ref` is written, so changes that are not committed are left out.".to_owned());
        }
        let files = if has_submodules { git::commit_files(&clone, id)? } else { Vec::new() };
        Ok(files.into_iter().filter(|file| file.kind == FileKind::Submodule).map(|file| file.path).collect())
    }
}

fn stage_has(stage: &Path, name: &str, commit: git2::Oid) -> Result<bool, GitError> {
    let clone = git::open(stage)?;
    let tree = clone
        .find_commit(commit)
        .and_then(|commit| commit.tree())
        .map_err(GitError::library("read the commit's tree"))?;
    Ok(tree.get_name(name).is_some())
}

/// Copies the submodules among the files of a job, which lie at `below` in the whole; those that are not here are noted.
fn submodules(job: &CopyJob<'_>, below: &Path, depth: usize, missing: &mut Vec<PathBuf>) -> Result<(), GitError> {
    for file in job.files.iter().filter(|file| file.kind == FileKind::Submodule) {
        let (from, to, path) = (job.from.join(&file.path), job.to.join(&file.path), below.join(&file.path));
        let Ok(repository) = git::open(&from) else {
            missing.push(path);
            continue;
        };
        let listing = working_files(&repository)?;
        let job = CopyJob { from: &from, to: &to, files: &listing.files, stop: job.stop };
        copy_files(&job)?;
        if depth > 1 {
            submodules(&job, &path, depth - 1, missing)?;
        }
    }
    Ok(())
}

fn head_line(repository: &Repository, id: git2::Oid) -> Result<String, GitError> {
    let commit = repository.find_commit(id).map_err(GitError::library("read a commit"))?;
    let summary = String::from_utf8_lossy(commit.message_bytes()).lines().next().unwrap_or_default().to_owned();
    Ok(format!("HEAD is now at {} {summary}", &id.to_string()[..7]))
}

fn made(scratch: &TempDir, name: &str) -> Result<PathBuf, String> {
    let folder = scratch.path().join(name);
    std::fs::create_dir(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    Ok(folder)
}

/// A folder that no job sees, on the file system of the workspace: beside the folder that is mounted into the job.
fn scratch(workspace: &Path) -> Result<TempDir, String> {
    let mut tried = String::new();
    let above: Vec<&Path> = workspace.ancestors().collect();
    // `<all>/<job>/<repository>/<repository>`: `<job>` is what the job sees.
    for folder in [above.get(3), above.get(2)].into_iter().flatten() {
        match tempfile::Builder::new().prefix(".checkout-").tempdir_in(folder) {
            Ok(scratch) if same_device(scratch.path(), workspace) => return Ok(scratch),
            Ok(_) => tried = format!("{} is on another file system", folder.display()),
            Err(error) => tried = format!("{}: {error}", folder.display()),
        }
    }
    Err(format!("no place to prepare the checkout: {tried}"))
}

fn same_device(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev(),
        (Ok(_) | Err(_), _) => false,
    }
}
