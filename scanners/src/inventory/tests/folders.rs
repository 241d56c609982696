//! Folders that are no image: file systems and repositories.

use std::path::Path;

use super::{held, lines};
use crate::inventory::{Options, read};
use crate::source::{Source, SourceError};

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_repository_is_its_lock_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "services/a/requirements.txt", "flask==0.12\n");
    put(
        root,
        "services/a/package.json",
        r#"{"name":"shop","version":"1","dependencies":{"a":"1"},"devDependencies":{"t":"1"}}"#,
    );
    put(root, "services/a/yarn.lock", "a@1:\n  version \"1.0.0\"\n\nt@1:\n  version \"1.0.0\"\n");
    put(root, "node_modules/x/package-lock.json", r#"{"packages":{"node_modules/x":{"version":"1"}}}"#);
    put(root, ".git/requirements.txt", "flask==0.1\n");
    std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", root.join("poetry.lock")).unwrap();
    let inventory = read(Source::at(root, None).unwrap(), &Options::default()).unwrap();
    assert_eq!(lines(&inventory), ["npm a 1.0.0", "pypi flask 0.12"]);
    let location = &inventory.packages[1].locations[0];
    assert_eq!((location.path.as_str(), location.line, location.layer), ("services/a/requirements.txt", Some(1), None));
    assert!(inventory.unread.is_empty(), "{:?}", inventory.unread);
    assert!(matches!(Source::at(&root.join("gone"), None), Err(SourceError::NotFound { .. })));
    let file = Source::Repository(held(&root.join("services/a/yarn.lock")));
    assert!(matches!(read(file, &Options::default()), Err(SourceError::Unreadable { .. })));
}

#[test]
fn a_root_folder_is_what_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n");
    put(root, "lib/apk/db/installed", "P:musl\nV:1.2.4-r2\n\n");
    put(root, "srv/package-lock.json", r#"{"packages":{"node_modules/x":{"version":"1"}}}"#);
    put(root, "proc/1/root/srv/node_modules/x/package.json", r#"{"name":"x","version":"1"}"#);
    assert!(matches!(Source::at(root, None).unwrap(), Source::RootFolder(_)));
    let inventory = read(Source::at(root, None).unwrap(), &Options::default()).unwrap();
    assert_eq!(lines(&inventory), ["apk musl 1.2.4-r2"]);
    assert_eq!(inventory.os.unwrap().version, "3.19.1");
}
