//! `pipe scan db update`: fetches what is new, makes an index of it beside the old one, and only then puts both in place.
//!
//! Records that changed since the last time come one by one, by OSV's list of changes (`modified_id.csv`,
//! <https://google.github.io/osv.dev/data/>); where there are many, the whole archive comes. An update that fails or is killed
//! leaves the old files and the old index, and what it had fetched for the next one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::database::{Database, Fetched, STATE, State};
use super::error::BuildError;
use super::fetch::{self, Came, DownloadError};
pub use super::fetch::{Answer, Fetch, FetchError, Request, Resume};
use super::index::Index;
use super::source::{self, INCREMENTS, Source};

/// Most records of one ecosystem that are fetched one by one.
const INCREMENT_RECORDS_MAX: usize = 1000;
/// Where files lie until the index of them is made.
const STAGE: &str = ".update";
/// How long what a failed update fetched is good for the next one.
const STAGED_HOURS_MAX: i64 = 24;
const LOCK: &str = ".lock";
const ARCHIVE: &str = "all.zip";

/// What is fetched, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Folder of OSV's archives, without a slash at its end.
    pub osv_url: String,
    /// Ecosystems as OSV names them.
    pub ecosystems: Vec<String>,
    /// Other documents: the name of the file and its address.
    pub documents: Vec<(String, String)>,
}

impl Default for Plan {
    /// The ecosystems of the languages and of distributions; Debian's tracker and Alpine's database, which say what will not be
    /// fixed and what never was affected, where the records of OSV have the severities; KEV and EPSS.
    fn default() -> Self {
        let ecosystems = [
            "npm",
            "PyPI",
            "Go",
            "Maven",
            "RubyGems",
            "crates.io",
            "Packagist",
            "Debian",
            "Alpine",
            "Ubuntu",
            "AlmaLinux",
            "Rocky Linux",
        ];
        let mut documents = vec![
            ("debian-tracker.json".to_owned(), "https://security-tracker.debian.org/tracker/data/json".to_owned()),
            (
                "kev.json".to_owned(),
                "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json".to_owned(),
            ),
            ("epss.csv.gz".to_owned(), "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz".to_owned()),
        ];
        for branch in ["v3.18", "v3.19", "v3.20", "v3.21", "v3.22", "v3.23", "edge"] {
            for repository in ["main", "community"] {
                documents.push((
                    format!("alpine-secdb/{branch}/{repository}.json"),
                    format!("https://secdb.alpinelinux.org/{branch}/{repository}.json"),
                ));
            }
        }
        Self {
            osv_url: "https://storage.googleapis.com/osv-vulnerabilities".to_owned(),
            ecosystems: ecosystems.map(str::to_owned).to_vec(),
            documents,
        }
    }
}

/// What an update tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    NotModified { name: String },
    Fetched { name: String, bytes: u64 },
    Increments { ecosystem: String, records: usize },
    Indexing,
}

/// What an update brought.
#[derive(Debug)]
pub struct Updated {
    pub index: Index,
    /// Whether anything was new.
    pub changed: bool,
}

/// Why nothing was updated. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error("another update of {} is going on", folder.display())]
    Busy { folder: PathBuf },
    #[error("{0}; the advisories from before stay in use, and the next update goes on from here")]
    Fetch(#[from] FetchError),
    #[error("{} cannot be read or written: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{0}; the advisories from before stay in use")]
    Build(#[from] BuildError),
}

impl From<DownloadError> for UpdateError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Fetch(error) => Self::Fetch(error),
            DownloadError::Io { path, error } => Self::Io { path, error },
        }
    }
}

/// Brings a database up to date.
///
/// # Errors
/// When anything of the plan could not be fetched, is damaged, or cannot be written. Nothing has changed then.
pub fn update(
    database: &Database,
    plan: &Plan,
    fetch: &dyn Fetch,
    now: Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Updated, UpdateError> {
    let folder = database.folder();
    let io_error = |error| UpdateError::Io { path: folder.to_owned(), error };
    std::fs::create_dir_all(folder.join(STAGE)).map_err(io_error)?;
    let lock = File::create(folder.join(LOCK)).map_err(io_error)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(UpdateError::Busy { folder: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => return Err(io_error(error)),
    }
    let stage = folder.join(STAGE);
    let state = staged_state(&stage).map_or_else(|| database.state(), Ok)?;
    let mut round = Round { folder, stage, fetch, now, state, progress, staged: BTreeMap::new() };
    for ecosystem in &plan.ecosystems {
        round.ecosystem(&plan.osv_url, ecosystem)?;
    }
    for (name, url) in &plan.documents {
        round.document(name, url)?;
    }
    round.save().map_err(io_error)?;
    let Round { stage, state, staged, progress, .. } = round;
    let changed = !staged.is_empty();
    if changed || !database.index_path().exists() {
        progress(Progress::Indexing);
        let sources = together(folder, &staged)?;
        if sources.is_empty() {
            return Err(BuildError::Empty { folder: folder.to_owned() }.into());
        }
        if let Err(error) = database.build_of(&sources, &state, now) {
            // What came is no good: it must not be taken up again.
            std::fs::remove_dir_all(&stage).map_err(io_error)?;
            return Err(error.into());
        }
        put_in_place(folder, &staged).map_err(io_error)?;
    }
    std::fs::rename(stage.join(STATE), folder.join(STATE)).map_err(io_error)?;
    std::fs::remove_dir_all(&stage).map_err(io_error)?;
    let index = database.open(now)?;
    Ok(Updated { index, changed })
}

/// What an update that failed had noted of the files it had fetched.
fn staged_state(stage: &Path) -> Option<State> {
    serde_json::from_slice(&std::fs::read(stage.join(STATE)).ok()?).ok()
}

/// One update that is going on.
struct Round<'a> {
    folder: &'a Path,
    stage: PathBuf,
    fetch: &'a dyn Fetch,
    now: Timestamp,
    state: State,
    progress: &'a mut dyn FnMut(Progress),
    /// What came, by its place below the folder.
    staged: BTreeMap<String, PathBuf>,
}

impl Round<'_> {
    fn document(&mut self, name: &str, url: &str) -> Result<(), UpdateError> {
        if self.is_staged(name) {
            return Ok(());
        }
        let known = self.state.sources.get(name).filter(|known| known.url == url && self.folder.join(name).is_file());
        let etag = known.and_then(|known| known.etag.clone());
        self.whole(name, url, etag.as_deref(), None)
    }

    /// Fetches a whole file unless the server says that it is the one of `etag`.
    fn whole(&mut self, name: &str, url: &str, etag: Option<&str>, cursor: Option<String>) -> Result<(), UpdateError> {
        let target = self.stage.join(name);
        let came = fetch::download(self.fetch, url, etag, &target)?;
        let entry = self.state.sources.entry(name.to_owned());
        let fetched =
            entry.or_insert_with(|| Fetched { url: url.to_owned(), fetched: self.now, etag: None, cursor: None });
        fetched.fetched = self.now;
        fetched.url = url.to_owned();
        match came {
            Came::NotModified => (self.progress)(Progress::NotModified { name: name.to_owned() }),
            Came::New { etag, bytes } => {
                fetched.etag = etag;
                fetched.cursor = cursor;
                self.staged.insert(name.to_owned(), target);
                (self.progress)(Progress::Fetched { name: name.to_owned(), bytes });
            }
        }
        self.save().map_err(|error| UpdateError::Io { path: self.stage.clone(), error })
    }

    /// Whether a file came whole in an update that failed later, not long ago: it is used and not fetched again.
    fn is_staged(&mut self, name: &str) -> bool {
        let target = self.stage.join(name);
        let known = self.state.sources.get(name);
        let recent = known.is_some_and(|known| self.now.duration_since(known.fetched).as_hours() < STAGED_HOURS_MAX);
        let staged = recent && target.is_file();
        if staged {
            self.staged.insert(name.to_owned(), target);
        }
        staged
    }

    /// Notes what came, for an update that follows if this one fails.
    fn save(&self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.state).map_err(io::Error::other)?;
        std::fs::write(self.stage.join(STATE), text)
    }

    /// An ecosystem's records: those that changed, or all of them.
    fn ecosystem(&mut self, base: &str, ecosystem: &str) -> Result<(), UpdateError> {
        let address = ecosystem.replace(' ', "%20");
        let name = format!("osv-scanner/{ecosystem}/{ARCHIVE}");
        if self.is_staged(&name) {
            return Ok(());
        }
        let known = self.state.sources.get(&name).filter(|_| self.folder.join(&name).is_file());
        let cursor = known.and_then(|known| known.cursor.clone());
        let (latest, changed) = self.changes(&format!("{base}/{address}/modified_id.csv"), cursor.as_deref())?;
        match changed {
            Some(ids) => {
                for id in &ids {
                    let target = format!("osv-scanner/{ecosystem}/{INCREMENTS}/{id}.json");
                    let path = self.stage.join(&target);
                    let _ = std::fs::remove_file(&path);
                    fetch::download(self.fetch, &format!("{base}/{address}/{id}.json"), None, &path)?;
                    self.staged.insert(target, path);
                }
                if let Some(fetched) = self.state.sources.get_mut(&name) {
                    fetched.fetched = self.now;
                    fetched.cursor = latest.or(cursor);
                }
                (self.progress)(Progress::Increments { ecosystem: ecosystem.to_owned(), records: ids.len() });
                Ok(())
            }
            // The list was read before the archive, so that no change falls between the two.
            None => self.whole(&name, &format!("{base}/{address}/{ARCHIVE}"), None, latest),
        }
    }

    /// The time of the latest change, and the names of what changed after `cursor`; no names when the whole archive has to come.
    fn changes(&self, url: &str, cursor: Option<&str>) -> Result<(Option<String>, Option<Vec<String>>), UpdateError> {
        let mut latest: Option<String> = None;
        let mut ids = Vec::new();
        let mut many = cursor.is_none();
        fetch::download_lines(self.fetch, url, |line| {
            // The newest come first.
            let Some((time, id)) = line.trim().split_once(',') else { return true };
            if latest.is_none() {
                latest = Some(time.to_owned());
            }
            if many || cursor.is_some_and(|cursor| !is_later(time, cursor)) {
                return false;
            }
            let id = id.rsplit('/').next().unwrap_or(id);
            if is_file_name(id) {
                ids.push(id.to_owned());
            }
            many = ids.len() > INCREMENT_RECORDS_MAX;
            !many
        })?;
        Ok((latest, (!many).then_some(ids)))
    }
}

/// Times of that list have fractions of a second or none.
fn is_later(time: &str, cursor: &str) -> bool {
    match (time.parse::<Timestamp>(), cursor.parse::<Timestamp>()) {
        (Ok(time), Ok(cursor)) => time > cursor,
        _ => time > cursor,
    }
}

/// Names of records become names of files.
fn is_file_name(id: &str) -> bool {
    !id.is_empty()
        && !id.starts_with('.')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte))
}

/// The sources as they will be: what came in the place of what was there, and older increments unless their archive came anew.
fn together(folder: &Path, staged: &BTreeMap<String, PathBuf>) -> Result<Vec<Source>, UpdateError> {
    let mut sources: Vec<Source> = source::find(folder)?;
    sources.retain(|source| {
        let replaced =
            source.name.strip_suffix(INCREMENTS).is_some_and(|of| staged.contains_key(&format!("{of}{ARCHIVE}")));
        !replaced && !staged.contains_key(&source.name)
    });
    source::sort(&mut sources);
    let mut came = Vec::new();
    let mut folders = std::collections::BTreeSet::new();
    for (name, path) in staged {
        match name.rsplit_once('/') {
            Some((of, _)) if of.ends_with(INCREMENTS) => {
                if let Some(parent) = path.parent().filter(|_| folders.insert(of.to_owned())) {
                    came.extend(source::known(parent.to_owned(), of.to_owned())?);
                }
            }
            _ => came.extend(source::known(path.clone(), name.clone())?),
        }
    }
    source::sort(&mut came);
    // Of two increments of a name the one that came now counts; archives come behind all increments.
    let (first, rest): (Vec<_>, Vec<_>) = came.into_iter().partition(Source::is_increments);
    let mut all = first;
    let mut others = sources;
    others.extend(rest);
    source::sort(&mut others);
    all.extend(others);
    Ok(all)
}

fn put_in_place(folder: &Path, staged: &BTreeMap<String, PathBuf>) -> io::Result<()> {
    for (name, path) in staged {
        let target = folder.join(name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
            if name.ends_with(ARCHIVE) {
                match std::fs::remove_dir_all(parent.join(INCREMENTS)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
        }
        std::fs::rename(path, target)?;
    }
    Ok(())
}
