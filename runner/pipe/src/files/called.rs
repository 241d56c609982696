//! Workflows that a workflow calls: those of the same repository, and others where somebody may fetch them. Otherwise those
//! are left unread.

use std::path::{Component, Path, PathBuf};

use workflow::diagnostic::{Diagnostic, suggest};
use workflow::read::WorkflowFiles;
use workflow::source::SourceFile;

use super::{Elsewhere, Problem, display_name, text};

/// The files below one root.
#[derive(Debug, Clone)]
pub struct LocalFiles {
    /// The repository's root.
    pub root: PathBuf,
    /// Largest file in bytes.
    pub bytes_max: u64,
    /// Other repositories.
    pub elsewhere: Option<Elsewhere>,
}

impl WorkflowFiles for LocalFiles {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let Some(path) = reference.strip_prefix("./").map(Path::new) else {
            return Some(self.elsewhere.as_ref()?.read(reference, self.bytes_max));
        };
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Some(Err(format!("`{reference}` must be a path in this repository, without `..`")));
        }
        let full = self.root.join(path);
        let name = display_name(&full, Some(&self.root));
        Some(match text::read(&full, Some(&self.root), self.bytes_max) {
            Ok(text) => Ok(SourceFile::new(name, text)),
            Err(problem) => {
                let diagnostic = problem.diagnostic(&name);
                let meant = self.neighbour(&full);
                let help = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                Err(format!("{}{help}", diagnostic.message))
            }
        })
    }

    fn broken(&self, path: &str) -> Option<Diagnostic> {
        let full = self.root.join(path.strip_prefix("./")?);
        match text::read(&full, Some(&self.root), self.bytes_max) {
            Ok(_) | Err(Problem::Missing(_)) => None,
            Err(problem) => Some(problem.diagnostic(&display_name(&full, Some(&self.root)))),
        }
    }
}

impl LocalFiles {
    /// A file of a similar name in the same folder.
    fn neighbour(&self, path: &Path) -> Option<String> {
        let wanted = path.file_name()?.to_str()?;
        let entries = std::fs::read_dir(path.parent()?).ok()?.flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        suggest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_there_and_cannot_be_read_is_no_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("action.yml"), "").unwrap();
        std::fs::write(folder.path().join("good.yml"), "runs: {}").unwrap();
        symlink("gone", folder.path().join("link.yml")).unwrap();
        let files = LocalFiles { root: folder.path().to_path_buf(), bytes_max: 100, elsewhere: None };
        let broken = |name: &str| files.broken(name).map(|found| (found.code.0, found.message, found.help.unwrap()));
        let empty = ("P0003", "`action.yml` is empty".to_owned(), "an action has at least `runs:`".to_owned());
        assert_eq!(broken("./action.yml"), Some(empty));
        assert_eq!(broken("./link.yml").map(|(code, ..)| code), Some("P0006"));
        assert_eq!((broken("./good.yml"), broken("./missing.yml")), (None, None));
    }
}
