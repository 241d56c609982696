//! Writes the files of an action: those of a commit, or of a folder as they lie there.
//!
//! Names come from a repository of others, so each part of a path is checked; submodules are left out, and links that lead
//! out of the repository too, as whoever reads them later is not this process. See research/security-reliability.md 1.3.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use git2::{Oid, Repository};

use crate::git::{FileKind, GitError, SnapshotFile, commit_files, working_files};

/// Writes the files of a commit into a folder that is not there yet.
pub(super) fn write_commit(repository: &Repository, commit: Oid, to: &Path) -> Result<(), GitError> {
    fs::create_dir_all(to).map_err(GitError::file("create", to))?;
    for SnapshotFile { path, kind, id } in commit_files(repository, commit)? {
        let Some(id) = id.filter(|_| kind != FileKind::Submodule) else { continue };
        let blob = repository.find_blob(id).map_err(GitError::library("read a file of the commit"))?;
        write(to, &path, kind, blob.content())?;
    }
    Ok(())
}

/// Writes the files of a folder as they lie there: what git knows of or would, or all where it is no repository.
pub(super) fn write_folder(folder: &Path, to: &Path) -> Result<(), GitError> {
    fs::create_dir_all(to).map_err(GitError::file("create", to))?;
    for path in paths(folder)? {
        let from = folder.join(&path);
        let facts = fs::symlink_metadata(&from).map_err(GitError::file("read", &from))?;
        if facts.is_symlink() {
            let target = fs::read_link(&from).map_err(GitError::file("read", &from))?;
            write(to, &path, FileKind::Link, target.as_os_str().as_bytes())?;
        } else if facts.is_file() {
            let is_program = std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o100 != 0;
            let kind = if is_program { FileKind::Executable } else { FileKind::Plain };
            let content = fs::read(&from).map_err(GitError::file("read", &from))?;
            write(to, &path, kind, &content)?;
        }
    }
    Ok(())
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, GitError> {
    if let Ok(repository) = crate::git::open(folder) {
        let files = working_files(&repository)?.files;
        return Ok(files.into_iter().filter(|file| file.kind != FileKind::Submodule).map(|file| file.path).collect());
    }
    let entries = walkdir::WalkDir::new(folder).into_iter().filter_entry(|entry| entry.file_name() != ".git");
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| GitError::file("read", folder)(error.into()))?;
        if !entry.file_type().is_dir()
            && let Ok(path) = entry.path().strip_prefix(folder)
        {
            paths.push(path.to_path_buf());
        }
    }
    Ok(paths)
}

fn write(to: &Path, path: &Path, kind: FileKind, content: &[u8]) -> Result<(), GitError> {
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    if !path.components().all(is_name) || path.components().next().is_none() {
        return Ok(());
    }
    let file = to.join(path);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(GitError::file("create", folder))?;
    }
    let mode = match kind {
        FileKind::Plain => 0o644,
        FileKind::Executable => 0o755,
        FileKind::Link => {
            let target = Path::new(std::ffi::OsStr::from_bytes(content));
            if stays(path, target) {
                std::os::unix::fs::symlink(target, &file).map_err(GitError::file("create", &file))?;
            }
            return Ok(());
        }
        FileKind::Submodule => return Ok(()),
    };
    let options =
        fs::File::options().write(true).create_new(true).mode(mode).custom_flags(nix::libc::O_NOFOLLOW).open(&file);
    options.and_then(|mut file| file.write_all(content)).map_err(GitError::file("create", &file))
}

/// Whether a link at `path` leads to something below the root. Links are never written through: a file is created where
/// nothing is, and a folder that is a link is none of this root's.
fn stays(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_left_out() {
        for (path, target, expect) in [
            ("a", "b", true),
            ("a", "../b", false),
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a/b", "/etc/passwd", false),
            ("a/b", "x/../../../c", false),
        ] {
            assert_eq!(stays(Path::new(path), Path::new(target)), expect, "{path} -> {target}");
        }
    }

    #[test]
    fn a_folder_is_copied_as_it_lies() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        fs::create_dir_all(from.join("d/.git")).unwrap();
        fs::write(from.join("d/.git/config"), "no").unwrap();
        fs::write(from.join("d/action.yml"), "yes").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.join("out")).unwrap();
        std::os::unix::fs::symlink("d/action.yml", from.join("in")).unwrap();
        let to = root.path().join("to");
        write_folder(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("in")).unwrap(), "yes");
        assert!(!to.join("out").exists() && fs::symlink_metadata(to.join("out")).is_err());
        assert!(!to.join("d/.git").exists());
        for path in ["../x", "/x", "a/../../x", ".GIT/config", "a/.git/x", ""] {
            write(&to, Path::new(path), FileKind::Plain, b"no").unwrap();
        }
        assert!(!root.path().join("x").exists() && !to.join(".GIT").exists() && !to.join("a").exists());
    }
}
