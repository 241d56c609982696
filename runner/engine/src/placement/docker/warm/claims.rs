//! Which job has taken which container: its labels cannot be changed, so it stands in a file of its name. Written before
//! the job uses it, so that a later process knows whose it is; without a file it is nobody's.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::placement::JobIdentity;

/// Says whose it is; gives the file.
pub(super) fn write(folder: &Path, name: &str, job: &JobIdentity) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(name);
    std::fs::write(&file, format!("{}\n{}", job.run, job.job))?;
    Ok(file)
}

/// All, by the name of what was taken: run and job.
pub(in crate::placement::docker) fn all(folder: &Path) -> HashMap<String, (String, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let claim = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).ok()?;
        let (run, job) = text.split_once('\n')?;
        Some((entry.file_name().into_string().ok()?, (run.to_owned(), job.to_owned())))
    };
    entries.filter_map(claim).collect()
}

/// Removes the folder, unless something in it was taken and may be in use.
pub(super) fn remove_empty(folder: &Path) {
    // What stays is looked at by the next start.
    let _kept = std::fs::remove_dir(folder);
}

/// Removes those of things that are gone.
pub(super) fn keep_only(folder: &Path, is_there: impl Fn(&str, &str) -> bool) {
    let stale = |(_, (run, job)): &(String, (String, String))| !is_there(run, job);
    all(folder).into_iter().filter(stale).for_each(|(name, _)| {
        // One that stays speaks of nothing.
        let _kept = std::fs::remove_file(folder.join(name));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_read_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("claims");
        assert_eq!(all(&folder), HashMap::new());
        let job = |run: &str, job: &str| JobIdentity { run: run.into(), job: job.into(), attempt: 1 };
        write(&folder, "x", &job("7", "a(1)/b")).unwrap();
        write(&folder, "y", &job("8", "c")).unwrap();
        std::fs::write(folder.join("cut"), "").unwrap();
        let expect = [("x", ("7", "a(1)/b")), ("y", ("8", "c"))];
        let expect = expect.map(|(name, (run, job))| (name.to_owned(), (run.to_owned(), job.to_owned())));
        assert_eq!(all(&folder), expect.into());
        keep_only(&folder, |run, _| run == "8");
        assert_eq!(all(&folder).into_keys().collect::<Vec<_>>(), ["y"]);
        remove_empty(&folder);
        assert!(folder.exists());
        keep_only(&folder, |_, _| false);
        std::fs::remove_file(folder.join("cut")).unwrap();
        remove_empty(&folder);
        assert!(!folder.exists());
    }
}
