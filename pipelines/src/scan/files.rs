//! Files of a repository that scanners other than the inventory look at: all for secrets; Dockerfiles, Terraform and source
//! code for their rules.
//!
//! Links are not followed; what tools put beside the sources (`node_modules`, `.venv`, `target`) is left out, as it is of
//! the inventory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::civil::Date;
use scanners::code;
use scanners::dockerfile;
use scanners::finding::Finding;
use scanners::secret::{Rules, Scanner, Work};
use scanners::terraform;
use walkdir::WalkDir;

use super::Scanners;

/// Folders that hold no sources.
const LEFT_OUT: [&str; 8] = [".git", "node_modules", ".venv", "venv", "__pycache__", ".tox", "target", ".terraform"];
/// Most files of one repository.
const FILES_MAX: usize = 2_000_000;

/// So much of one file of Terraform is read; one that is cut there cannot be read, which is a finding.
const TERRAFORM_BYTES_MAX: usize = 1 << 20;

/// Files of Terraform by their folder: path and text.
type Modules = BTreeMap<String, Vec<(String, String)>>;

/// What the files of a folder say, and what of it could not be read.
pub(super) fn look(
    folder: &Path,
    scanners: Scanners,
    today: Date,
    findings: &mut Vec<Finding>,
    doubts: &mut Vec<String>,
) {
    let mut look = Look {
        scanners,
        secrets: scanners.secrets.then(|| Scanner::new(Rules::built_in())),
        code: scanners.code.then(code::Scanner::default),
        work: Work::default(),
        modules: Modules::new(),
        findings,
    };
    let is_left_out = |name: &OsStr| LEFT_OUT.iter().any(|one| name == *one);
    let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
    let entries = walk
        .filter_entry(|entry| entry.depth() == 0 || !(entry.file_type().is_dir() && is_left_out(entry.file_name())));
    for (count, entry) in entries.enumerate() {
        if count == FILES_MAX {
            doubts.push(format!("there are more than {FILES_MAX} files; the rest was not looked at"));
            break;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                doubts.push(format!("a folder cannot be read: {error}"));
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy().into_owned();
        if let Err(error) = look.at(entry.path(), &path) {
            doubts.push(format!("{path} cannot be read: {error}"));
        }
    }
    for files in look.modules.values() {
        let files: Vec<_> = files.iter().map(|(path, text)| terraform::File { path, text }).collect();
        look.findings.extend(terraform::check(&files, today));
    }
}

/// Who looks at files, and what they found.
struct Look<'a> {
    scanners: Scanners,
    secrets: Option<Scanner>,
    code: Option<code::Scanner>,
    work: Work,
    modules: Modules,
    findings: &'a mut Vec<Finding>,
}

impl Look<'_> {
    fn at(&mut self, file: &Path, path: &str) -> std::io::Result<()> {
        if let Some(secrets) = &self.secrets {
            self.findings.extend(secrets.scan(path, File::open(file)?, None, &mut self.work)?);
        }
        if let Some(code) = self.code.as_ref().filter(|_| code::is_known(path)) {
            self.findings.extend(code.check(path, &text(file, code::FILE_BYTES_MAX)?));
        }
        if !self.scanners.misconfigurations {
            return Ok(());
        }
        if path.ends_with(".tf") {
            let module = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            let text = text(file, TERRAFORM_BYTES_MAX)?;
            self.modules.entry(module).or_default().push((path.to_owned(), text));
        }
        let name = named(path);
        if name != Named::Not {
            let text = text(file, dockerfile::FILE_BYTES_MAX)?;
            if name == Named::Surely || begins_from(&text) {
                self.findings.extend(dockerfile::check(path, &text));
            }
        }
        Ok(())
    }
}

/// A file, up to one byte more than the rules for it take: they say themselves that it is too long.
fn text(file: &Path, bytes_max: usize) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How a file that is called like a Dockerfile is known to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// `Dockerfile` itself.
    Surely,
    /// `Dockerfile.web`, `web.Dockerfile`: if there is a `FROM` in it, and no `dockerfile.rs`.
    Maybe,
    Not,
}

fn named(path: &str) -> Named {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    for kind in ["dockerfile", "containerfile"] {
        if name == kind {
            return Named::Surely;
        }
        let begins = name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'));
        if (begins && !name.ends_with(".dockerignore")) || name.ends_with(&format!(".{kind}")) {
            return Named::Maybe;
        }
    }
    Named::Not
}

fn begins_from(text: &str) -> bool {
    text.lines().any(|line| {
        let word = line.split_whitespace().next();
        word.is_some_and(|word| word.eq_ignore_ascii_case("FROM")) && !line.trim_end().ends_with(';')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfiles_have_many_names() {
        for (path, expected) in [
            ("Dockerfile", Named::Surely),
            ("a/Containerfile", Named::Surely),
            ("a/Dockerfile.web", Named::Maybe),
            ("a/web.dockerfile", Named::Maybe),
            ("src/dockerfile.rs", Named::Maybe),
            ("Dockerfile.dockerignore", Named::Not),
            ("docs/dockerfile-notes.md", Named::Not),
        ] {
            assert_eq!(named(path), expected, "{path}");
        }
        assert!(begins_from("# syntax\nARG A\nfrom debian AS base\n"));
        assert!(!begins_from("//! FROM of a Dockerfile\nuse from::here;\n"));
    }
}
