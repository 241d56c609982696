//! Which workflows are meant: `-W` as a file, a folder or a name, else the repository's workflow folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use workflow::diagnostic::suggest;

use crate::actions::Names;
use crate::args::{ActionArgs, Global, Selection};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::files::{self, Elsewhere, FOLDERS};
use crate::reading::{Reader, Reading};

/// The workflows of a command.
#[derive(Debug)]
pub struct Workflows {
    /// Settings.
    pub settings: Settings,
    /// The files, read, in the order of their names.
    pub readings: Vec<Reading>,
}

impl Workflows {
    /// Finds and reads them.
    ///
    /// # Errors
    /// Nothing is found, or a setting is wrong. Mistakes in workflows are in their readings.
    pub fn load(selection: &Selection, more: Option<&str>, global: &Global) -> Result<Self, Failure> {
        Self::load_with(selection, more, global, None)
    }

    /// The same with called workflows of other repositories, which are fetched as the flags say; only what is locked, if so.
    ///
    /// # Errors
    /// As [`Self::load`]; also, that the lock cannot be read.
    pub fn load_with(
        selection: &Selection,
        more: Option<&str>,
        global: &Global,
        actions: Option<(&ActionArgs, Names)>,
    ) -> Result<Self, Failure> {
        let root = files::repository_root(Path::new("."));
        let settings = Settings::load(global, root.as_deref())?;
        let bytes_max = settings.limits.workflow_file_bytes;
        let elsewhere = match (actions, &root) {
            (Some((args, names)), Some(root)) => {
                let lock = (names == Names::Locked).then(|| crate::actions::lock(root)).transpose()?;
                let store = crate::actions::store(args, lock, &settings.paths.cache);
                Some(Elsewhere(Arc::new(if names == Names::Anew { store.asking_anew() } else { store })))
            }
            (Some(_) | None, _) => None,
        };
        let reader = Reader { root: root.clone(), bytes_max, actions: pipelines::catalogue(), elsewhere, audits: None };
        let top = root.map_or_else(|| std::path::absolute("."), Ok).unwrap_or_else(|_| PathBuf::from("."));
        let folders = files::folders(&top, settings.workflows.as_deref());
        let finder = Finder { top: &top, folders: &folders, reader: &reader, recurse: !selection.no_recurse };
        let wanted: Vec<&str> = selection.workflows.iter().map(String::as_str).chain(more).collect();
        let mut paths = Vec::new();
        for word in &wanted {
            paths.extend(finder.find(word)?);
        }
        if wanted.is_empty() {
            paths = finder.all()?;
        }
        let mut seen = std::collections::BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        let named = paths.into_iter().map(|path| {
            let name = files::display_name(&path, Some(&top));
            (path, name)
        });
        let readings = reader.read_all(&named.collect::<Vec<_>>());
        Ok(Self { settings, readings })
    }
}

struct Finder<'a> {
    top: &'a Path,
    folders: &'a [PathBuf],
    reader: &'a Reader,
    recurse: bool,
}

impl Finder<'_> {
    /// Every workflow of the repository.
    fn all(&self) -> Result<Vec<PathBuf>, Failure> {
        if self.folders.is_empty() {
            return Err(no_folder(self.top));
        }
        let found = self.own()?;
        if found.is_empty() {
            let folders: Vec<_> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
            let message = format!("there are no workflow files in {}", folders.join(", "));
            return Err(Failure::new(Exit::Nothing, message));
        }
        Ok(found)
    }

    /// The files of the repository's folders. GitHub reads only the folder itself.
    fn own(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        for folder in self.folders {
            found.extend(search(folder, false)?);
        }
        Ok(found)
    }

    fn find(&self, word: &str) -> Result<Vec<PathBuf>, Failure> {
        for path in [absolute(Path::new(word)), self.top.join(word)] {
            if path.is_dir() {
                let found = search(&path, self.recurse)?;
                let message = || format!("there are no workflow files in `{word}`");
                return if found.is_empty() { Err(Failure::new(Exit::Nothing, message())) } else { Ok(found) };
            }
            if path.is_file() || path.is_symlink() {
                return Ok(vec![path]);
            }
        }
        let all = self.own()?;
        let by_file = all.iter().find(|path| {
            let part = |part: Option<&std::ffi::OsStr>| part.is_some_and(|part| part == word);
            part(path.file_stem()) || part(path.file_name())
        });
        if let Some(path) = by_file {
            return Ok(vec![path.clone()]);
        }
        self.by_name(word, all)
    }

    /// By `name:`, as written or in other capitals.
    fn by_name(&self, word: &str, all: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
        let mut names = Vec::new();
        for path in all {
            let reading = self.reader.read(&path, String::new());
            let name = reading.workflow.and_then(|workflow| workflow.name).map(|name| name.value);
            if name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(word)) {
                return Ok(vec![path]);
            }
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            names.extend(name);
        }
        let near = suggest(word, names.iter().map(String::as_str));
        let help = near.map_or_else(
            || "`-W` takes a file, a folder or a workflow's name; `pipe list` shows the workflows".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Err(Failure::usage(format!("there is no workflow `{word}`")).help(help))
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn search(folder: &Path, recurse: bool) -> Result<Vec<PathBuf>, Failure> {
    files::search(folder, recurse)
        .map_err(|error| Failure::environment(format!("cannot read `{}`: {error}", folder.display())))
}

/// There are no workflows below a root.
pub fn no_folder(top: &Path) -> Failure {
    let folders: Vec<_> = FOLDERS.iter().map(|folder| format!("`{folder}`")).collect();
    Failure::new(Exit::Nothing, format!("there is no {} in `{}`", folders.join(", "), top.display()))
        .help("name workflow files: `-W FILE`, or `pipe check FILE…`")
}
