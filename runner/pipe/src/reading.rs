//! A workflow file read and checked: its text from the disk, its meaning from crate `workflow`.

use std::path::{Path, PathBuf};

use workflow::diagnostic::{Code, Diagnostic};
use workflow::source::{FileId, SourceFile, SourceMap, Span};
use workflow::yaml::{self, Ending};

use crate::files::{self, LocalFiles};
use crate::render::Finding;

/// A file that was looked at.
#[derive(Debug)]
pub struct Reading {
    /// The name that messages use.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its text and those of the workflows that it calls; empty where it could not be read.
    pub sources: SourceMap,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
}

impl Reading {
    /// In the form that is rendered.
    pub fn finding(&self) -> Finding<'_> {
        Finding { file: &self.name, sources: &self.sources, diagnostics: &self.diagnostics }
    }

    /// Whether it cannot run.
    pub fn is_invalid(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// How to read.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The repository's root, if there is one: links out of it are refused, names start there.
    pub root: Option<PathBuf>,
    /// Largest file in bytes.
    pub bytes_max: u64,
}

impl Reader {
    /// Reads a file under a name.
    pub fn read(&self, path: &Path, name: String) -> Reading {
        let mut sources = SourceMap::default();
        let diagnostics = match files::read(path, self.root.as_deref(), self.bytes_max) {
            Err(problem) => vec![problem.diagnostic(&name)],
            Ok(text) => {
                let stream = yaml::parse(&text, FileId(0));
                let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
                sources.add(SourceFile::new(name.clone(), text));
                syntax(&stream.ending, end)
            }
        };
        Reading { name, path: path.to_path_buf(), sources, diagnostics }
    }

    /// Where called workflows lie: below the root, or below the folder that a file's workflow folder is in.
    pub fn called(&self, path: &Path) -> LocalFiles {
        let folder = path.parent().unwrap_or(Path::new("."));
        let root = self.root.clone().unwrap_or_else(|| folder.to_path_buf());
        LocalFiles { root, bytes_max: self.bytes_max }
    }
}

fn syntax(ending: &Ending, end: u32) -> Vec<Diagnostic> {
    let code = Code("P0010");
    match ending {
        Ending::Complete => Vec::new(),
        Ending::Empty => vec![Diagnostic::error(code, Span::new(FileId(0), 0, end), "the file holds only comments")],
        Ending::AnotherDocument(span) => {
            vec![Diagnostic::error(code, *span, "a second document starts here, a workflow is one")]
        }
        Ending::Broken(error) => vec![Diagnostic::error(code, error.span, error.message.trim_end_matches('.'))],
    }
}
