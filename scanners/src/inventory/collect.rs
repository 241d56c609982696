//! Watches a walk through a layer and keeps what its files say.

use std::collections::HashMap;
use std::io;

use super::elf;
use super::facts::{Facts, Found, PathDigest, Said};
use super::formats;
use super::rpm;
use super::wanted::{self, Kind, LockFile};
use super::yarn;
use crate::package::Unread;
use crate::source::{Content, Limits, Node, Random, Visitor};

/// Faults that are told of one layer.
const UNREAD_MAX: usize = 1000;

/// Yarn's lock files of one repository that are open until its manifests are known; of more, all packages count.
const YARN_FILES_MAX: usize = 100;
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What counts in what is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A file system: what is installed.
    Installed,
    /// Sources: what lock files name.
    LockFiles { development: bool },
}

pub(crate) struct Collector<'a> {
    scope: Scope,
    limits: &'a Limits,
    facts: Facts,
    /// Where in `facts.found` a path is, by its digest: a path that comes again replaces what it was.
    places: HashMap<u64, usize>,
    links: Vec<Link>,
    /// Databases of rpm and SQLite's logs beside them, by path.
    databases: Vec<(String, Random)>,
    logs: HashMap<String, Random>,
    /// Yarn's lock files and the `package.json` of repositories, by path: one is understood with the other.
    yarn: Vec<(String, Random)>,
    manifests: HashMap<String, Vec<u8>>,
    pub(crate) entries: u64,
}

/// A wanted path that is another name for a file of the layer.
struct Link {
    path: String,
    target: String,
    kind: Kind,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(scope: Scope, limits: &'a Limits) -> Self {
        Self {
            scope,
            limits,
            facts: Facts::default(),
            places: HashMap::new(),
            links: Vec::new(),
            databases: Vec::new(),
            logs: HashMap::new(),
            yarn: Vec::new(),
            manifests: HashMap::new(),
            entries: 0,
        }
    }

    fn wanted(&self, path: &str, executable: bool) -> Option<Kind> {
        match self.scope {
            Scope::Installed => wanted::installed(path, executable),
            Scope::LockFiles { .. } => wanted::lock_file(path),
        }
    }

    fn development(&self) -> bool {
        matches!(self.scope, Scope::LockFiles { development: true })
    }

    /// Reads Yarn's lock files beside what their projects ask for.
    fn read_yarn(&mut self) {
        for (path, lock) in std::mem::take(&mut self.yarn) {
            let folder = path.strip_suffix("yarn.lock").unwrap_or_default();
            let manifest = self.manifests.get(&format!("{folder}package.json")).map(Vec::as_slice);
            let lock = if lock.length() <= self.limits.file_bytes { lock.bytes(0, lock.length()).ok() } else { None };
            let said = match lock {
                Some(lock) => yarn::parse(&lock, manifest, self.development()),
                None => Said::unread(format!("it cannot be read, or is larger than {} bytes", self.limits.file_bytes)),
            };
            self.keep(&path, said);
        }
    }

    fn unread(&mut self, path: &str, reason: impl Into<String>) {
        if self.facts.unread.len() < UNREAD_MAX {
            self.facts.unread.push(Unread { path: path.to_owned(), layer: None, reason: reason.into() });
        }
    }

    fn read(&mut self, path: &str, kind: Kind, content: &mut dyn Content) -> io::Result<()> {
        let is_of_interest = kind != Kind::Program || content.head().is_ok_and(|head| head.starts_with(elf::MAGIC));
        if !is_of_interest {
            return Ok(());
        }
        let content = match content.random() {
            Ok(content) => content,
            // A file that goes while it is looked at.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if is_end(&error) => return Err(error),
            Err(error) => {
                self.unread(path, format!("it cannot be read: {error}"));
                return Ok(());
            }
        };
        if kind == Kind::RpmSqlite {
            self.databases.push((path.to_owned(), content));
        } else if kind == Kind::RpmLog {
            self.logs.insert(path.to_owned(), content);
        } else if kind == Kind::Lock(LockFile::Yarn) && self.yarn.len() < YARN_FILES_MAX {
            self.yarn.push((path.to_owned(), content));
        } else if kind == Kind::NodePackage && matches!(self.scope, Scope::LockFiles { .. }) {
            if content.length() <= MANIFEST_BYTES_MAX {
                self.manifests.insert(path.to_owned(), content.bytes(0, content.length())?);
            }
        } else {
            let said = formats::read(kind, path, &content, self.limits, self.development());
            self.keep(path, said);
        }
        Ok(())
    }

    fn keep(&mut self, path: &str, mut said: Said) {
        for reason in std::mem::take(&mut said.unread) {
            self.unread(path, reason);
        }
        if !said.is_empty() {
            self.places.insert(PathDigest::of(path.as_bytes()), self.facts.found.len());
            self.facts.found.push(Found { path: path.to_owned(), said });
        }
    }

    /// Paths that are wanted and whose content was not among what was walked through as wanted: targets of hard links,
    /// each with the links that lead there. They take a second walk.
    pub(crate) fn missing(&mut self) -> HashMap<String, Vec<(String, Kind)>> {
        let mut missing: HashMap<String, Vec<(String, Kind)>> = HashMap::new();
        for link in std::mem::take(&mut self.links) {
            let place = self.places.get(&PathDigest::of(link.target.as_bytes())).copied();
            match place.and_then(|place| self.facts.found.get(place)) {
                Some(found) => {
                    let said = found.said.clone();
                    self.keep(&link.path, said);
                }
                // Each name of a program is looked at when it comes first.
                None if link.kind == Kind::Program => {}
                None => missing.entry(link.target).or_default().push((link.path, link.kind)),
            }
        }
        missing
    }

    /// What was found out, and what was not.
    pub(crate) fn finish(mut self) -> Facts {
        self.read_yarn();
        for (path, database) in std::mem::take(&mut self.databases) {
            if database.length() > self.limits.random_bytes {
                self.unread(&path, format!("it has {} bytes, more than are read", database.length()));
                continue;
            }
            let log = self.logs.get(&format!("{path}-wal")).filter(|log| log.length() > 0);
            let said = rpm::sqlite(&database, log);
            self.keep(&path, said);
        }
        self.facts.found.retain(|found| !found.path.is_empty());
        self.facts
    }

    /// A path that comes again is no longer what it was.
    fn forget(&mut self, digest: u64) {
        if let Some(place) = self.places.remove(&digest)
            && let Some(found) = self.facts.found.get_mut(place)
        {
            found.path.clear();
            found.said = Said::default();
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

impl Visitor for Collector<'_> {
    fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()> {
        self.entries += 1;
        let digest = PathDigest::of(path.as_bytes());
        match node {
            Node::Directory => self.facts.directories.push(digest),
            Node::Opaque => self.facts.opaque.push(digest),
            Node::Whiteout => self.facts.covered.push(digest),
            Node::Other => {
                self.facts.covered.push(digest);
                self.forget(digest);
            }
            Node::Sparse { .. } => {
                self.facts.covered.push(digest);
                self.forget(digest);
                if self.wanted(path, false).is_some() {
                    self.unread(path, "it is stored as a sparse file, which is not read");
                }
            }
            Node::HardLink { target } => {
                self.facts.covered.push(digest);
                self.forget(digest);
                // Whether the target may be executed is not said here.
                if let Some(kind) = self.wanted(path, true) {
                    self.links.push(Link { path: path.to_owned(), target, kind });
                }
            }
            Node::File { executable, .. } => {
                self.facts.covered.push(digest);
                self.forget(digest);
                if let Some(kind) = self.wanted(path, executable) {
                    return self.read(path, kind, content);
                }
            }
        }
        Ok(())
    }

    fn odd(&mut self, path: &str, reason: &str) {
        self.unread(path, reason);
    }
}

/// The second walk: reads files under the names that link to them.
pub(crate) struct LinkTargets<'c, 'a> {
    pub(crate) collector: &'c mut Collector<'a>,
    pub(crate) missing: HashMap<String, Vec<(String, Kind)>>,
}

impl LinkTargets<'_, '_> {
    /// Names what is still missing.
    pub(crate) fn give_up(self, reason: &str) {
        let mut links: Vec<_> = self.missing.into_values().flatten().collect();
        links.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (path, _) in links {
            self.collector.unread(&path, reason);
        }
    }
}

impl Visitor for LinkTargets<'_, '_> {
    fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()> {
        if !matches!(node, Node::File { .. }) {
            return Ok(());
        }
        let Some(links) = self.missing.remove(path) else { return Ok(()) };
        let content = content.random()?;
        for (link, kind) in links {
            let said = formats::read(kind, &link, &content, self.collector.limits, false);
            self.collector.keep(&link, said);
        }
        Ok(())
    }

    fn odd(&mut self, _path: &str, _reason: &str) {}
}
