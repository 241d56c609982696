//! Where workflow files are.

use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold workflows, the first that exists counts.
pub const FOLDERS: [&str; 3] = [".github/workflows", ".gitea/workflows", ".forgejo/workflows"];

/// Where a repository keeps actions of its own.
const ACTIONS: &str = ".github/actions";

/// How deep folders are searched.
const DEPTH_MAX: usize = 32;

/// Folders that hold other people's files.
const SKIPPED: [&str; 3] = [".git", "node_modules", "target"];

/// The nearest folder, from `start` upwards, that is the root of a git repository.
pub fn repository_root(start: &Path) -> Option<PathBuf> {
    let start = std::path::absolute(start).ok()?;
    start.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf)
}

/// The folder of workflows below a root.
pub fn default_folder(root: &Path) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| root.join(folder)).find(|folder| folder.is_dir())
}

/// The folders of workflows below a root: those of its settings, else the usual one.
pub fn folders(root: &Path, configured: Option<&[PathBuf]>) -> Vec<PathBuf> {
    match configured {
        Some(folders) => folders.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()).collect(),
        None => default_folder(root).into_iter().collect(),
    }
}

/// The workflow files of a folder, sorted: those of its workflow folder where it has one (a repository), else every
/// `.yml` and `.yaml` in it and, with `recurse`, below it. Symbolic links to folders are not followed. Of a workflow folder all
/// such files are workflows, however they are called, and what lies below it is none, as on GitHub.
///
/// # Errors
/// The folder cannot be read.
pub fn search(folder: &Path, recurse: bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let start = default_folder(folder);
    let start = start.as_deref().unwrap_or(folder);
    let kind: (bool, Kind) = if is_usual(start) { (false, is_yaml) } else { (recurse, is_workflow) };
    walk(start, kind, DEPTH_MAX, &mut found)?;
    found.sort();
    Ok(found)
}

/// The files of actions of a folder, sorted: of a repository that in its root and those below `.github/actions`, else all.
///
/// # Errors
/// The folder cannot be read.
pub fn search_actions(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if default_folder(folder).is_none() && !folder.join(".git").exists() {
        walk(folder, (true, is_action), DEPTH_MAX, &mut found)?;
    } else {
        walk(folder, (false, is_action), DEPTH_MAX, &mut found)?;
        let below = folder.join(ACTIONS);
        if below.is_dir() {
            walk(&below, (true, is_action), DEPTH_MAX, &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

type Kind = fn(&Path) -> bool;

fn walk(folder: &Path, (recurse, kind): (bool, Kind), depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let name = entry.file_name();
            let skipped = SKIPPED.iter().any(|skipped| name == *skipped);
            if recurse && depth > 0 && !skipped {
                walk(&path, (recurse, kind), depth - 1, found)?;
            }
        } else if kind(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a folder is one in which nothing but workflows is.
fn is_usual(folder: &Path) -> bool {
    FOLDERS.iter().any(|workflows| folder.ends_with(workflows))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// Whether a file's name is that of a workflow where other files are too; `action.yml` is that of an action.
fn is_workflow(path: &Path) -> bool {
    is_yaml(path)
        && path.file_stem().is_some_and(|stem| stem != "action" && stem != "docker-compose" && stem != "compose")
}

/// Whether a file is that of an action, wherever it lies but among workflows.
pub fn is_action(path: &Path) -> bool {
    let named = ["action.yml", "action.yaml"].iter().any(|name| path.file_name().is_some_and(|own| own == *name));
    named && !path.parent().is_some_and(is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], recurse: bool, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = search(folder.path(), recurse).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_repository_or_a_folder() {
        check(&["b.yml", "a.yaml", "c.txt", "action.yml"], true, &["a.yaml", "b.yml"]);
        check(&["b.yml", "x/a.yml", "node_modules/c.yml"], true, &["b.yml", "x/a.yml"]);
        check(&["b.yml", "x/a.yml"], false, &["b.yml"]);
        check(&["b.yml", ".github/workflows/ci.yml", ".gitea/workflows/g.yml"], true, &[".github/workflows/ci.yml"]);
        check(&["b.yml", ".forgejo/workflows/ci.yml"], true, &[".forgejo/workflows/ci.yml"]);
        let names =
            [".github/workflows/action.yml", ".github/workflows/compose.yaml", ".github/workflows/data/labels.yml"];
        check(&names, true, &names[..2]);
    }

    fn check_actions(files: &[&str], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = search_actions(folder.path()).unwrap();
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn actions_of_a_repository_or_a_folder() {
        let all =
            ["action.yml", ".github/actions/a/action.yaml", ".github/workflows/action.yml", "x/action.yml", "b.yml"];
        check_actions(&all, &[".github/actions/a/action.yaml", "action.yml"]);
        check_actions(&["b.yml", "x/action.yml", "node_modules/y/action.yml"], &["x/action.yml"]);
    }
}
