//! Commits of a mirror: what they are called, what they say, and the workflows in them, as blobs.
//!
//! Nothing here is written to a folder. Links are followed inside the commit only.

use std::path::{Component, Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree};
use workflow::diagnostic::{Code, Diagnostic, suggest};
use workflow::event::GitRef;
use workflow::read::WorkflowFiles;
use workflow::source::SourceFile;
use workflow::yaml;

use super::{MirrorError, library};

/// Folders that hold workflows, the first that exists counts.
pub const WORKFLOW_FOLDERS: [&str; 3] = [".github/workflows", ".gitea/workflows", ".forgejo/workflows"];
/// The repository's own settings.
const SETTINGS_FILE: &str = ".pipe.toml";
/// Largest workflow file, GitHub's 500 KB and a little.
pub(crate) const WORKFLOW_BYTES_MAX: usize = 512 * 1_024;
/// Largest file of settings.
const SETTINGS_BYTES_MAX: usize = 64 * 1_024;
/// Workflows of one commit.
const WORKFLOW_FILES_MAX: usize = 500;
/// Links that lead to links.
const LINKS_MAX: usize = 8;

/// A commit's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitText {
    /// Its id.
    pub id: String,
    /// Ids of its parents.
    pub parents: Vec<String>,
    /// The whole message.
    pub message: String,
    /// The author's name.
    pub author: String,
    /// The committer's name.
    pub committer: String,
    /// When it was committed, in seconds since 1970.
    pub committed_at: i64,
}

impl CommitText {
    /// That commit; also through a tag's own object.
    ///
    /// # Errors
    /// There is none.
    pub fn read(repository: &Repository, id: &str) -> Result<Self, MirrorError> {
        let gone = |_| MirrorError::Gone(id.to_owned());
        let object = Oid::from_str(id).and_then(|id| repository.find_object(id, None)).map_err(gone)?;
        let commit = object.peel_to_commit().map_err(gone)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self {
            id: commit.id().to_string(),
            parents: commit.parent_ids().map(|id| id.to_string()).collect(),
            message: text(commit.message_bytes()),
            author: text(commit.author().name_bytes()),
            committer: text(commit.committer().name_bytes()),
            committed_at: commit.time().seconds(),
        })
    }

    /// The last commit of a ref.
    ///
    /// # Errors
    /// There is no such ref, or it leads to no commit.
    pub fn tip(repository: &Repository, name: &GitRef) -> Result<Self, MirrorError> {
        let missing = |_| MirrorError::NoSuchRef(name.to_string());
        let found = repository.find_reference(name.as_str()).map_err(missing)?;
        let commit = found.peel_to_commit().map_err(missing)?;
        Self::read(repository, &commit.id().to_string())
    }
}

/// The branch that the remote calls its default, as of the last fetch of everything.
#[must_use]
pub fn default_branch(repository: &Repository) -> String {
    crate::git::default_branch(repository)
}

/// The workflows of one commit, by path.
#[expect(missing_debug_implementations, reason = "a handle of libgit2 has none")]
pub struct WorkflowSources<'repository> {
    repository: &'repository Repository,
    tree: Tree<'repository>,
}

impl<'repository> WorkflowSources<'repository> {
    /// Those of this commit.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(repository: &'repository Repository, commit: &str) -> Result<Self, MirrorError> {
        let gone = |_| MirrorError::Gone(commit.to_owned());
        let object = Oid::from_str(commit).and_then(|id| repository.find_object(id, None)).map_err(gone)?;
        let tree = object.peel_to_tree().map_err(gone)?;
        Ok(Self { repository, tree })
    }

    /// Paths of the workflow files, sorted. Only files right in the folder count, as on GitHub.
    ///
    /// # Errors
    /// The settings in the commit are wrong, or there are too many files.
    pub fn paths(&self) -> Result<Vec<String>, Box<Diagnostic>> {
        let configured = self.folders()?;
        let folders: Vec<String> = match configured {
            Some(folders) => folders,
            None => WORKFLOW_FOLDERS
                .iter()
                .find(|folder| self.folder(folder).is_some())
                .map(|folder| (*folder).to_owned())
                .into_iter()
                .collect(),
        };
        let mut paths = Vec::new();
        for folder in folders {
            let Some(tree) = self.folder(&folder) else { continue };
            for entry in &tree {
                let Ok(name) = entry.name() else { continue };
                if entry.kind() == Some(ObjectType::Blob) && is_workflow(&folder, name) {
                    paths.push(format!("{folder}/{name}"));
                }
            }
        }
        if paths.len() > WORKFLOW_FILES_MAX {
            let message = format!("there are {} workflow files; at most {WORKFLOW_FILES_MAX} are read", paths.len());
            return Err(refused("P0008", message, "put those that are not used elsewhere"));
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// It is missing, no text, or too large.
    pub fn text(&self, path: &str) -> Result<String, Box<Diagnostic>> {
        let bytes = self.bytes(path, WORKFLOW_BYTES_MAX)?;
        let text = yaml::decode(&bytes).map_err(|error| {
            let message = format!("`{path}` is not text: {error}");
            refused("P0004", message, "save it as UTF-8")
        })?;
        if text.trim().is_empty() {
            return Err(refused("P0003", format!("`{path}` is empty"), "a workflow has at least `on:` and `jobs:`"));
        }
        Ok(text)
    }

    /// `workflows` of the repository's settings.
    fn folders(&self) -> Result<Option<Vec<String>>, Box<Diagnostic>> {
        if self.tree.get_name(SETTINGS_FILE).is_none() {
            return Ok(None);
        }
        let wrong = |what: String| refused("P0901", format!("`{SETTINGS_FILE}`: {what}"), "see docs/configuration.md");
        let bytes = self.bytes(SETTINGS_FILE, SETTINGS_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| wrong(error.message().lines().next().unwrap_or_default().to_owned()))?;
        let Some(value) = table.get("workflows") else { return Ok(None) };
        let folder = |value: &toml::Value| {
            let path = value.as_str()?.trim_end_matches('/');
            plain_path(path).map(|()| path.to_owned())
        };
        let folders = value.as_array().and_then(|list| list.iter().map(folder).collect::<Option<Vec<_>>>());
        folders.map(Some).ok_or_else(|| wrong("`workflows` must be a list of folders in this repository".to_owned()))
    }

    fn folder(&self, path: &str) -> Option<Tree<'repository>> {
        let entry = self.tree.get_path(Path::new(path)).ok()?;
        entry.to_object(self.repository).ok()?.into_tree().ok()
    }

    fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, Box<Diagnostic>> {
        let mut at = PathBuf::from(path);
        for _ in 0..LINKS_MAX {
            let entry = self.tree.get_path(&at).map_err(|_| self.missing(path))?;
            let blob = entry.to_object(self.repository).ok().and_then(|object| object.into_blob().ok());
            let Some(blob) = blob else {
                let message = format!("`{path}` is not a regular file");
                return Err(refused("P0009", message, "name a workflow file"));
            };
            if entry.filemode() != 0o120_000 {
                if blob.size() > limit {
                    let message = format!("`{path}` has {} bytes; a workflow file may have {limit}", blob.size());
                    let help = "split it, such as into reusable workflows";
                    return Err(refused("P0008", message, help));
                }
                return Ok(blob.content().to_vec());
            }
            let target =
                String::from_utf8_lossy(blob.content().get(..blob.size().min(4_096)).unwrap_or_default()).into_owned();
            at = followed(&at, &target).ok_or_else(|| {
                let message = format!("`{path}` is a symbolic link out of the repository, to `{target}`");
                refused("P0007", message, "put the file itself into the repository")
            })?;
        }
        let message = format!("`{path}` is a symbolic link that leads to links");
        Err(refused("P0006", message, "put the file itself into the repository"))
    }

    fn missing(&self, path: &str) -> Box<Diagnostic> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names: Vec<String> = self
            .folder(folder)
            .iter()
            .flat_map(|tree| tree.iter().filter_map(|entry| entry.name().ok().map(str::to_owned)).collect::<Vec<_>>())
            .collect();
        let meant = suggest(name, names.iter().map(String::as_str)).map(|meant| format!("did you mean `{meant}`?"));
        refused("P0001", format!("`{path}` does not exist"), meant.as_deref().unwrap_or("name a file of this commit"))
    }
}

/// Called workflows of the same commit; of others there is nothing here.
impl WorkflowFiles for WorkflowSources<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let path = reference.strip_prefix("./")?;
        if plain_path(path).is_none() {
            return Some(Err(format!("`{reference}` must be a path in this repository, without `..`")));
        }
        Some(self.text(path).map(|text| SourceFile::new(path, text)).map_err(|diagnostic| {
            let help = diagnostic.help.filter(|help| help.starts_with("did you mean"));
            help.map_or(diagnostic.message.clone(), |help| format!("{}; {help}", diagnostic.message))
        }))
    }
}

fn refused(code: &'static str, message: String, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(Code(code), None, message).help(help))
}

/// Whether a file's name is that of a workflow. In a folder where other files may be too, `action.yml` is that of an action.
fn is_workflow(folder: &str, name: &str) -> bool {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    let is_other =
        |stem| matches!(stem, "action" | "docker-compose" | "compose") && !WORKFLOW_FOLDERS.contains(&folder);
    stem.is_some_and(|stem| !stem.is_empty() && !is_other(stem))
}

fn plain_path(path: &str) -> Option<()> {
    let plain = !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    plain.then_some(())
}

/// Where a link in a commit leads; `None` if that is outside.
fn followed(link: &Path, target: &str) -> Option<PathBuf> {
    let mut at = link.parent()?.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => at.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !at.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!at.as_os_str().is_empty()).then_some(at)
}

/// Fails where the mirror itself cannot be read.
pub(super) fn commit_tree<'repository>(
    repository: &'repository Repository,
    id: &str,
) -> Result<Tree<'repository>, MirrorError> {
    let gone = |_| MirrorError::Gone(id.to_owned());
    let commit = Oid::from_str(id).and_then(|id| repository.find_commit(id)).map_err(gone)?;
    commit.tree().map_err(library(repository))
}
