//! Places of jobs that failed and were kept: to be looked into, and to go on in.
//!
//! One file each. Its head can be read by whoever may read the folder: which job, at which step, what stands. What the
//! job's steps left (outputs, environment, state, values to hide) may hold secrets, so it is sealed with the key of the
//! installation. It does not decide when a place is kept, nor how one is taken up.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use workflow::secret::Secret;

use crate::sealing::Vault;
use crate::store::RunId;
use crate::store::repositories::Sealer as _;

/// What a file is called after its job.
const ENDING: &str = "json";
/// What is sealed at once, in bytes: below [`crate::sealing::SECRET_BYTES_MAX`].
const PIECE_BYTES_MAX: usize = 48 * 1_024;

/// The places of an installation.
#[derive(Debug, Clone)]
pub struct Standing {
    folder: PathBuf,
    vault: Arc<Vault>,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// The run.
    pub run: RunId,
    /// The key of the job run.
    pub job: String,
    /// What runs it: `docker: node:24`, `this machine`.
    pub runner: String,
    /// The step that failed: its place in the job, and its name.
    pub step: Option<(u32, String)>,
    /// Since when it stands.
    pub at: Timestamp,
    /// The container, where it is one.
    pub container: Option<String>,
    /// Folders of this machine that belong to it.
    pub folders: Vec<PathBuf>,
    /// The run that made it, which its container and folders are marked with; absent: that run itself.
    #[serde(default)]
    pub made_by: Option<RunId>,
}

/// What is in it, in clear: never printed, never written.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The lines of the job's journal.
    pub(crate) journal: String,
    /// The environment of the job's steps.
    pub env: Vec<(String, String)>,
    /// Where steps begin, as the job sees it.
    pub cwd: String,
    /// The user of the steps, if it is not the image's.
    pub user: Option<String>,
    /// Values that steps asked to hide.
    pub(crate) found: Vec<String>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside").field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u16,
    stand: Stand,
    sealed: Vec<String>,
}

/// Jobs whose place stands, by the run that made it and key. Without a key of the vault: for those who only have to leave them alone.
#[must_use]
pub fn standing(state: &Path) -> BTreeSet<(String, String)> {
    let made = |stand: Stand| (stand.made_by.unwrap_or(stand.run).to_string(), stand.job);
    list(&state.join("standing")).into_iter().map(made).collect()
}

/// All places, oldest first.
#[must_use]
pub fn stands(state: &Path) -> Vec<Stand> {
    let mut stands = list(&state.join("standing"));
    stands.sort_by_key(|stand| stand.at);
    stands
}

fn list(folder: &Path) -> Vec<Stand> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING));
    files
        .filter_map(|path| serde_json::from_slice::<Kept>(&std::fs::read(path).ok()?).ok())
        .map(|kept| kept.stand)
        .collect()
}

fn path(folder: &Path, run: RunId, job: &str) -> PathBuf {
    folder.join(format!("{run}.{}.{ENDING}", job.replace('/', ".")))
}

fn context(run: RunId, job: &str) -> String {
    format!("standing {run} {job}")
}

impl Standing {
    /// Those below a folder of state.
    #[must_use]
    pub fn of(state: &Path, vault: Arc<Vault>) -> Self {
        Self { folder: state.join("standing"), vault }
    }

    /// Keeps a place.
    ///
    /// # Errors
    /// It cannot be sealed or written.
    pub(crate) fn keep(&self, stand: &Stand, inside: &Inside) -> io::Result<()> {
        let text = serde_json::to_string(inside)?;
        let context = context(stand.run, &stand.job);
        let seal = |piece: &str| self.vault.seal(&context, &Secret::new(piece)).map(|sealed| STANDARD.encode(sealed));
        let sealed: Result<Vec<_>, _> = pieces(&text).into_iter().map(seal).collect();
        let sealed = sealed.map_err(|error| io::Error::other(error.0))?;
        std::fs::create_dir_all(&self.folder)?;
        let path = path(&self.folder, stand.run, &stand.job);
        let part = path.with_extension("part");
        let file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
        serde_json::to_writer(io::BufWriter::new(file), &Kept { v: 1, stand: stand.clone(), sealed })?;
        std::fs::rename(part, path)
    }

    /// A place, and what is in it; `None` where none stands.
    ///
    /// # Errors
    /// The file is damaged, or sealed with another key.
    pub fn open(&self, run: RunId, job: &str) -> io::Result<Option<(Stand, Inside)>> {
        let bytes = match std::fs::read(path(&self.folder, run, job)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kept: Kept = serde_json::from_slice(&bytes)?;
        let context = context(run, job);
        let mut text = String::new();
        for piece in &kept.sealed {
            let sealed = STANDARD.decode(piece).map_err(io::Error::other)?;
            let opened = self.vault.open(&context, &sealed).map_err(|error| io::Error::other(error.0))?;
            text.push_str(opened.expose());
        }
        Ok(Some((kept.stand, serde_json::from_str(&text)?)))
    }

    /// It stands no more, or somebody else has it from now on.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self, run: RunId, job: &str) -> io::Result<()> {
        forget(&self.folder, run, job)
    }
}

/// A place of a folder of state stands no more.
///
/// # Errors
/// The file cannot be removed.
pub fn forget_stand(state: &Path, stand: &Stand) -> io::Result<()> {
    forget(&state.join("standing"), stand.run, &stand.job)
}

fn forget(folder: &Path, run: RunId, job: &str) -> io::Result<()> {
    match std::fs::remove_file(path(folder, run, job)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A text in pieces of whole characters.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let end =
            (0..=rest.len().min(PIECE_BYTES_MAX)).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::KeySource;

    #[test]
    fn what_is_kept_is_sealed_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::new(KeySource::choose(&|_| None, root.path()).read(true).unwrap()));
        let places = Standing::of(root.path(), vault);
        let stand = Stand {
            run: RunId(7),
            job: "deploy/push(1)".into(),
            runner: "this machine".into(),
            step: Some((2, "Test".into())),
            at: Timestamp::UNIX_EPOCH,
            container: None,
            folders: vec!["/x".into()],
            made_by: Some(RunId(3)),
        };
        let long = "hunter22-\u{fc}".repeat(20_000);
        let inside = Inside { journal: long, env: vec![("TOKEN".into(), "hunter22".into())], ..Inside::default() };
        places.keep(&stand, &inside).unwrap();
        assert_eq!(places.open(RunId(7), "deploy/push(1)").unwrap(), Some((stand.clone(), inside)));
        assert_eq!(standing(root.path()), [("3".to_owned(), "deploy/push(1)".to_owned())].into());
        let file = root.path().join("standing/7.deploy.push(1).json");
        assert!(!std::fs::read_to_string(&file).unwrap().contains("hunter22"));
        std::fs::copy(&file, root.path().join("standing/8.other.json")).unwrap();
        assert!(places.open(RunId(8), "other").is_err(), "sealed for another place");
        forget_stand(root.path(), &stand).unwrap();
        assert_eq!(places.open(RunId(7), "deploy/push(1)").unwrap(), None);
    }
}
