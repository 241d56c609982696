//! Folders and files for what is not whole yet, in places that outlive a process: their names say whose they are, so that the next
//! process removes those of one that was killed, and ends what that one had started in them.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::{NamedTempFile, TempDir};

use crate::folders::is_alive;

/// What their names begin with.
const PREFIX: &str = ".of-";
/// Looks for processes that are started while others are killed.
const ROUNDS_MAX: usize = 20;

/// Makes one of this process.
///
/// # Errors
/// The file system said no.
pub(crate) fn folder(parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir_in(parent)
}

/// The same of a file.
///
/// # Errors
/// The file system said no.
pub(crate) fn file(parent: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempfile_in(parent)
}

/// Removes those of processes that are gone, up to so many folders deep, and ends programs whose home they are.
pub(crate) fn remove_abandoned(parent: &Path, depth: usize) {
    for abandoned in abandoned(parent, depth) {
        let removed = if abandoned.is_dir() {
            end_programs(&abandoned);
            std::fs::remove_dir_all(&abandoned)
        } else {
            std::fs::remove_file(&abandoned)
        };
        if let Err(error) = removed {
            tracing::warn!(path = %abandoned.display(), %error, "this of a killed process is left");
        }
    }
}

fn abandoned(parent: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        if owner.is_some_and(|process: u32| !is_alive(process)) {
            found.push(entry.path());
        } else if owner.is_none() && depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(self::abandoned(&entry.path(), depth - 1));
        }
    }
    found
}

/// Ends programs whose HOME lies in a folder.
fn end_programs(folder: &Path) {
    let wanted = [b"HOME=", folder.as_os_str().as_encoded_bytes()].concat();
    let lives_there = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut entries = environment.split(|byte| *byte == 0);
        entries.any(|entry| entry.strip_prefix(&wanted[..]).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
    };
    for _ in 0..ROUNDS_MAX {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let left: Vec<i32> = processes.filter(lives_there).collect();
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may just have ended.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_began_is_removed_and_its_programs_end() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("owner/repo");
        std::fs::create_dir_all(&place).unwrap();
        let own = folder(&place).unwrap();
        // No process has the highest number that Linux gives.
        let dead = place.join(".of-4194304-x");
        std::fs::create_dir_all(dead.join("home")).unwrap();
        let half = place.join(".of-4194304-y");
        std::fs::write(&half, "half").unwrap();
        let own_file = file(&place).unwrap();
        let other = place.join("commit");
        std::fs::create_dir(&other).unwrap();
        let mut program = std::process::Command::new("sleep");
        let mut program = program.arg("600").env("HOME", dead.join("home")).spawn().unwrap();
        // Spawned, but maybe not the program it will be.
        while !std::fs::read(format!("/proc/{}/cmdline", program.id())).unwrap().starts_with(b"sleep") {
            std::thread::yield_now();
        }
        let waiting = std::thread::spawn(move || program.wait());
        remove_abandoned(root.path(), 2);
        assert!(!waiting.join().unwrap().unwrap().success());
        assert!(!dead.exists() && !half.exists() && other.exists() && own.path().exists() && own_file.path().exists());
        std::fs::create_dir_all(dead.join("deep")).unwrap();
        remove_abandoned(root.path(), 1);
        assert!(dead.exists(), "not so deep");
    }
}
