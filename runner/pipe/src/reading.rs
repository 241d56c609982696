//! A workflow file read and checked: its text from the disk, its meaning from crate `workflow`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use workflow::catalogue::Catalogue;
use workflow::check::audits::{self, Beside, Levels};
use workflow::check::{Checked, check, check_action};
use workflow::diagnostic::Diagnostic;
use workflow::model::Workflow;
use workflow::read::{ReadOptions, read_workflow};
use workflow::source::{FileId, SourceFile, SourceMap, Span};

use crate::files::{self, Elsewhere, FOLDERS, LocalFiles};
use crate::render::Finding;

/// A file that was looked at.
#[derive(Debug)]
pub struct Reading {
    /// The name that messages use.
    pub name: String,
    /// Its text and those of the workflows that it calls; empty where it could not be read.
    pub sources: SourceMap,
    /// The workflow, unless there are errors.
    pub workflow: Option<Workflow>,
    /// What was found, by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Reading {
    /// In the form that is rendered.
    pub fn finding(&self) -> Finding<'_> {
        Finding { file: &self.name, sources: &self.sources, diagnostics: &self.diagnostics }
    }
}

/// How to read.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The repository's root, if there is one: links out of it are refused, called workflows are found from there.
    pub root: Option<PathBuf>,
    /// Largest file in bytes.
    pub bytes_max: u64,
    /// The actions that steps may use, as far as they are known.
    pub actions: Catalogue,
    /// Where called workflows of other repositories come from; absent: they are left unread.
    pub elsewhere: Option<Elsewhere>,
    /// How bad what audits find is; absent: they are not done.
    pub audits: Option<Audits>,
}

/// What audits go by.
#[derive(Debug, Clone, Default)]
pub struct Audits {
    /// The levels that somebody set.
    pub levels: Levels,
    /// `owner/repo@ref` of each action whose commit is written down.
    pub locked: HashSet<String>,
}

impl Reader {
    /// Reads a file under a name.
    pub fn read(&self, path: &Path, name: String) -> Reading {
        let text = match files::read(path, self.root.as_deref(), self.bytes_max) {
            Ok(text) => text,
            Err(problem) => {
                let diagnostics = vec![problem.diagnostic(&name)];
                return Reading { name, sources: SourceMap::default(), workflow: None, diagnostics };
            }
        };
        let called =
            LocalFiles { root: self.root_of(path), bytes_max: self.bytes_max, elsewhere: self.elsewhere.clone() };
        let options = ReadOptions::default();
        if files::is_action(path) {
            return self.read_action(path, name, called);
        }
        let read = read_workflow(SourceFile::new(name.clone(), text), &called, &options);
        let Checked { mut sources, mut diagnostics } = check(&read, &called, &options, &self.actions);
        self.audit(read.workflow.as_ref(), &called, (&mut sources, &mut diagnostics));
        Reading { name, sources, workflow: read.workflow, diagnostics }
    }

    /// The same of an action's file, with the actions that it uses.
    fn read_action(&self, path: &Path, name: String, mut files: LocalFiles) -> Reading {
        // Without `..` and links: it is found again by the path that leads to it from the root.
        let whole = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let own =
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| whole(Path::new(".")), whole);
        files.root = whole(&files.root);
        if !own.starts_with(&files.root) {
            files.root.clone_from(&own);
        }
        let folder = own.strip_prefix(&files.root).unwrap_or(Path::new(""));
        let read = check_action(&folder.to_string_lossy(), &files, &ReadOptions::default(), &self.actions);
        let Checked { mut sources, mut diagnostics } = read.checked;
        self.audit(read.user.as_ref(), &files, (&mut sources, &mut diagnostics));
        // What is about the workflow that uses it is about nobody's.
        let is_there = |span: &Span| span.file != FileId(0);
        diagnostics.retain(|found| found.span.as_ref().is_some_and(is_there));
        diagnostics.iter_mut().for_each(|found| found.related.retain(|(span, _)| is_there(span)));
        Reading { name, sources, workflow: None, diagnostics }
    }

    fn audit(
        &self,
        workflow: Option<&Workflow>,
        files: &LocalFiles,
        (sources, diagnostics): (&mut SourceMap, &mut Vec<Diagnostic>),
    ) {
        if let (Some(Audits { levels, locked }), Some(workflow)) = (&self.audits, workflow) {
            let beside = Beside { files, options: &ReadOptions::default(), locked };
            let found = audits::audit(workflow, sources, beside);
            levels.settle(diagnostics, found, sources);
        }
    }

    /// Reads files, each under its name, by several threads; the readings come in the order of the files.
    pub fn read_all(&self, files: &[(PathBuf, String)]) -> Vec<Reading> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(files.len()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
        let work = || {
            let mut mine = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((path, name)) = files.get(index) else { break };
                mine.push((index, self.read(path, name.clone())));
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
        };
        if threads < 2 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(work);
                }
            });
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, reading)| reading).collect()
    }

    /// Where the paths of called workflows start: at the repository's root, or above the workflow folder, or beside the
    /// file.
    fn root_of(&self, path: &Path) -> PathBuf {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if let Some(root) = self.root.as_ref().filter(|root| path.starts_with(root)) {
            return root.clone();
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        let above = FOLDERS.iter().find(|name| folder.ends_with(name)).and_then(|_| folder.parent()?.parent());
        above.unwrap_or(folder).to_path_buf()
    }
}
