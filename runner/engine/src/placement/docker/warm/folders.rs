//! The folders of a container that was made ahead take the place of those of its job: what is mounted stays mounted when
//! it is renamed.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Makes a folder that any user of a job may write to.
pub(super) fn make_open(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))
}

/// Whether a folder can be renamed to the place of another one.
pub(super) fn on_one_disk(ahead: &Path, job: &Path) -> io::Result<bool> {
    Ok(ahead.metadata()?.dev() == job.metadata()?.dev())
}

/// Puts `ahead` in the place of the job's folder, with what the job has there.
pub(super) fn take_place(ahead: &Path, job: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(job)? {
        let entry = entry?;
        let (from, to) = (entry.path(), ahead.join(entry.file_name()));
        if to.is_dir() {
            // Mounted by itself; the job has put nothing there yet.
            std::fs::remove_dir(&from)?;
        } else {
            std::fs::rename(&from, &to)?;
        }
    }
    // An empty folder gives way.
    std::fs::rename(ahead, job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_finds_what_it_had() {
        let root = tempfile::tempdir().unwrap();
        let (ahead, job) = (root.path().join("ahead"), root.path().join("job"));
        make_open(&ahead.join("_home")).unwrap();
        std::fs::write(ahead.join("agent.sock"), "").unwrap();
        for folder in ["repository/repository", "_home"] {
            std::fs::create_dir_all(job.join(folder)).unwrap();
        }
        std::fs::write(job.join("event.json"), "{}").unwrap();
        let mounted = ahead.metadata().unwrap().ino();
        assert!(on_one_disk(&ahead, &job).unwrap());
        take_place(&ahead, &job).unwrap();
        assert_eq!(job.metadata().unwrap().ino(), mounted);
        for there in ["_home", "agent.sock", "repository/repository", "event.json"] {
            assert!(job.join(there).exists(), "{there}");
        }
        assert!(!ahead.exists());
    }
}
