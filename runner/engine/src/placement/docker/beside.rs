//! Containers beside that of a job: in its network, with its folders, and nothing of theirs runs before those are known to
//! be the job's.
//!
//! The engine follows links on the way to a folder that it mounts, and a job's steps can put links where its own folders are.
//! So each of those is opened here without following any, a word is written into it, and the agent inside has to read the
//! same. The agent is ours and does nothing else before.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::address::hex;
use crate::inside::Inside;
use crate::placement::client::AgentClient;
use crate::placement::{Beside, JobSpec, Mount, PlacementError};

/// Bytes of a word that nobody guesses.
const WORD_BYTES: usize = 16;

const REPLACED: &str = "a step has put something else in its place";

/// Whether what the container sees are the job's folders.
pub(super) async fn check(client: &AgentClient, spec: &JobSpec, beside: &Beside) -> Result<(), PlacementError> {
    for mount in spec.mounts.iter().filter(|mount| beside.of_job.contains(&mount.inside)) {
        let failed =
            |reason: String| PlacementError::File { action: "mount", path: mount.inside.clone().into(), reason };
        let mark = Mark::write(mount).map_err(|error| failed(format!("{REPLACED} ({error})")))?;
        let seen = client.read_file(&format!("{}/{}", mount.inside, mark.name), (WORD_BYTES * 2) as u64).await;
        if !seen.is_ok_and(|seen| seen.is_some_and(|seen| *seen == *mark.word.as_bytes())) {
            return Err(failed(REPLACED.to_owned()));
        }
    }
    Ok(())
}

/// A file with a word in it, which goes with it.
struct Mark {
    folder: OwnedFd,
    name: String,
    word: String,
}

impl Mark {
    fn write(mount: &Mount) -> std::io::Result<Self> {
        let mut random = [0; WORD_BYTES * 2];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let (name, word) = random.split_at(WORD_BYTES);
        let (name, word) = (format!(".pipe-{}", hex(name)), hex(word));
        let folder = Inside::workspace(&mount.host)?.try_clone()?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(folder.as_fd(), name.as_str(), flags, Mode::from_bits_truncate(0o644))?;
        let this = Self { folder, name, word };
        std::io::Write::write_all(&mut std::fs::File::from(file), this.word.as_bytes())?;
        Ok(this)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // A step may have removed it, and then there is nothing to remove.
        let _gone = unlinkat(self.folder.as_fd(), self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}
