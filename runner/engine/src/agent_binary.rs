//! The agent's program, embedded, so that `pipe` is one file: what it is, and putting it where a container can mount it.
//!
//! It is for the machine that `pipe` was built for; a daemon of another architecture needs a `pipe` built for that one.
//! Built by `build.rs`. See ARCHITECTURE.md, decision 3.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

/// A static executable that needs nothing of the image that it runs in.
pub const AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pipe-agent"));

/// The SHA-256 of [`AGENT`] in hexadecimal.
pub fn digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| format!("{:x}", Sha256::digest(AGENT)))
}

/// The agent as an executable file in `directory`, which is made if absent: written once for each version.
///
/// The name holds the digest, so that a running container keeps the file that it mounted when `pipe` is replaced.
///
/// # Errors
/// The directory cannot be made or written to.
pub fn install(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join(format!("pipe-agent-{}", &digest()[..16]));
    let whole = fs::metadata(&path).is_ok_and(|found| found.len() == AGENT.len() as u64);
    if whole {
        return Ok(path);
    }
    fs::create_dir_all(directory)?;
    // Under another name first: several runs may begin at once, and none may start half a program.
    let partial = directory.join(format!(".pipe-agent-{}", std::process::id()));
    let mut file = File::create(&partial)?;
    file.write_all(AGENT)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    drop(file);
    fs::rename(&partial, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_agent_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = install(&directory.path().join("cache")).unwrap();
        assert_eq!(install(&directory.path().join("cache")).unwrap(), path);
        let output = std::process::Command::new(path).arg("--version").output().unwrap();
        assert_eq!(output.stdout, format!("pipe-agent {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    }

    #[test]
    fn it_needs_no_loader() {
        // The ELF program header PT_INTERP names the loader; a static program has none. Read as ELF64 lays it out.
        let word = |at: usize, length: usize| {
            AGENT[at..at + length].iter().rev().fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
        };
        let (headers, size, count) = (word(32, 8), word(54, 2), word(56, 2));
        assert_eq!(&AGENT[..4], b"\x7fELF");
        for at in 0..count {
            assert_ne!(word(headers + at * size, 4), 3, "a loader is named");
        }
    }
}
