//! The text of one workflow file, bounded, with a clear word about whatever is no text.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use workflow::yaml;

use super::Problem;

/// Largest workflow file by default: 500 KiB and a little.
pub const WORKFLOW_BYTES_MAX: u64 = 512 * 1024;

/// Reads a file. With a `root`, links out of it are refused.
///
/// # Errors
/// [`Problem`].
pub fn read(path: &Path, root: Option<&Path>, limit: u64) -> Result<String, Problem> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(absent(path, error)),
    };
    if let Some(root) = root {
        stays_inside(path, root)?;
    }
    if !metadata.is_file() {
        return Err(Problem::NoFile);
    }
    if metadata.len() > limit {
        return Err(Problem::TooLarge { size: metadata.len(), limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    // It may grow while it is read.
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    let size = read.map_err(Problem::Unreadable)? as u64;
    if size > limit {
        return Err(Problem::TooLarge { size, limit });
    }
    let text = yaml::decode(&bytes).map_err(Problem::Undecodable)?;
    if text.trim().is_empty() { Err(Problem::Empty) } else { Ok(text) }
}

fn absent(path: &Path, error: std::io::Error) -> Problem {
    if error.kind() != ErrorKind::NotFound {
        return Problem::Unreadable(error);
    }
    if let Ok(target) = fs::read_link(path) {
        return Problem::DanglingLink(target);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    Problem::Missing(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Refuses a path that leads out of `root` by symbolic links, when it is written as lying inside.
fn stays_inside(path: &Path, root: &Path) -> Result<(), Problem> {
    let written: PathBuf = std::path::absolute(path).map_err(Problem::Unreadable)?;
    let link = written.ancestors().take_while(|part| *part != root).any(Path::is_symlink);
    if !written.starts_with(root) || !link {
        return Ok(());
    }
    let real = fs::canonicalize(path).map_err(Problem::Unreadable)?;
    let inside = fs::canonicalize(root).is_ok_and(|root| real.starts_with(root));
    if inside { Ok(()) } else { Err(Problem::LeavingLink(real)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(prepare: impl FnOnce(&Path), expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("repository");
        fs::create_dir(&root).unwrap();
        prepare(&root);
        let result = read(&root.join("ci.yml"), Some(&root), 100);
        let text = match result {
            Ok(text) => text,
            Err(problem) => {
                let diagnostic = problem.diagnostic("ci.yml");
                format!("{}: {} ({})", diagnostic.code.0, diagnostic.message, diagnostic.help.unwrap())
            }
        };
        let shown = text.replace(&folder.path().display().to_string(), "");
        assert_eq!(shown, expected);
    }

    fn write(content: &'static [u8]) -> impl FnOnce(&Path) {
        move |root| fs::write(root.join("ci.yml"), content).unwrap()
    }

    #[test]
    fn texts_are_read() {
        check(write(b"on: push"), "on: push");
        check(write(b"\xEF\xBB\xBFon: push"), "on: push");
        check(
            |root| {
                fs::write(root.join("real.yml"), "on: push").unwrap();
                symlink("real.yml", root.join("ci.yml")).unwrap();
            },
            "on: push",
        );
    }

    #[test]
    fn whatever_is_no_text_is_named() {
        let large = "P0008: `ci.yml` has 101 bytes; a workflow file may have 100 (split it, such as into reusable \
                     workflows, or raise `limits.workflow-file` in the settings)";
        check(|root| fs::write(root.join("ci.yml"), [b'a'; 101]).unwrap(), large);
        check(write(b" \n"), "P0003: `ci.yml` is empty (a workflow has at least `on:` and `jobs:`)");
        check(
            write(b"\xFF\xFEo\0n\0"),
            "P0005: `ci.yml` is encoded as UTF-16 (save it as UTF-8, such as with `iconv -f UTF-16 -t UTF-8 ci.yml`)",
        );
        check(
            write(b"\x7fELF\0\x01"),
            "P0004: `ci.yml` is not text: the file is binary: it has a zero byte at offset 4 (save it as UTF-8)",
        );
        check(
            |root| fs::create_dir(root.join("ci.yml")).unwrap(),
            "P0009: `ci.yml` is not a regular file (name a workflow file, or a folder that holds some)",
        );
        check(
            |root| fs::write(root.join("ci.yaml"), "").unwrap(),
            "P0001: `ci.yml` does not exist (did you mean `ci.yaml`?)",
        );
        check(
            |root| symlink("gone.yml", root.join("ci.yml")).unwrap(),
            "P0006: `ci.yml` is a symbolic link to `gone.yml`, which does not exist (remove the link or make its target)",
        );
        check(
            |root| {
                fs::write(root.join("../outside.yml"), "on: push").unwrap();
                symlink("../outside.yml", root.join("ci.yml")).unwrap();
            },
            "P0007: `ci.yml` is a symbolic link out of the repository, to `/outside.yml` (put the file itself into the \
             repository)",
        );
    }
}
