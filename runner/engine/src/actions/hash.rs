//! What git would call a folder: the id of the tree that its files make, so that they can be compared with a commit.
//!
//! See <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use git2::{ObjectType, Oid};

use crate::git::GitError;

/// How many folders may lie in each other; paths have 4,096 bytes at most.
const DEPTH_MAX: usize = 2048;

/// The tree of a folder. Folders without a file are none in git.
pub(super) fn folder(folder: &Path) -> Result<Oid, GitError> {
    let own = below(folder, DEPTH_MAX)?;
    own.map_or_else(|| hash(ObjectType::Tree, &[]), Ok)
}

fn below(folder: &Path, depth: usize) -> Result<Option<Oid>, GitError> {
    let unread = |reason| GitError::file("read", folder)(reason);
    if depth == 0 {
        return Err(unread(std::io::ErrorKind::InvalidInput.into()));
    }
    let mut entries: Vec<(Vec<u8>, &str, Oid)> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let (path, facts) = (entry.path(), entry.metadata().map_err(unread)?);
        let name = entry.file_name().as_bytes().to_vec();
        let read = |reason| GitError::file("read", &path)(reason);
        if facts.is_dir() {
            let Some(id) = below(&path, depth - 1)? else { continue };
            entries.push((name, "40000", id));
        } else if facts.is_symlink() {
            let target = fs::read_link(&path).map_err(read)?;
            entries.push((name, "120000", hash(ObjectType::Blob, target.as_os_str().as_bytes())?));
        } else {
            let mode = if facts.permissions().mode() & 0o100 == 0 { "100644" } else { "100755" };
            entries.push((name, mode, hash(ObjectType::Blob, &fs::read(&path).map_err(read)?)?));
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    // Names of folders are compared as if they ended in `/`.
    let key = |(name, mode, _): &(Vec<u8>, &str, Oid)| {
        let end: &[u8] = if *mode == "40000" { b"/" } else { b"" };
        [name.as_slice(), end].concat()
    };
    entries.sort_by_cached_key(key);
    let mut tree = Vec::new();
    for (name, mode, id) in entries {
        tree.extend_from_slice(mode.as_bytes());
        tree.push(b' ');
        tree.extend_from_slice(&name);
        tree.push(0);
        tree.extend_from_slice(id.as_bytes());
    }
    hash(ObjectType::Tree, &tree).map(Some)
}

fn hash(kind: ObjectType, content: &[u8]) -> Result<Oid, GitError> {
    Oid::hash_object(kind, content).map_err(GitError::library("hash a file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repository::{TestRepository, git};

    #[test]
    fn a_folder_has_the_id_of_its_tree() {
        let repository = TestRepository::new();
        repository.write("a.txt", "1").write("a/b/c", "2").write("a0", "3").write("run.sh", "4").executable("run.sh");
        repository.link("to", "a/b").commit("all");
        let root = repository.root();
        let tree = git(&root, &["rev-parse", "HEAD^{tree}"]);
        fs::remove_dir_all(root.join(".git")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        assert_eq!(folder(&root).unwrap().to_string(), tree.trim());
        fs::write(root.join("a/b/c"), "changed").unwrap();
        assert_ne!(folder(&root).unwrap().to_string(), tree.trim());
    }
}
