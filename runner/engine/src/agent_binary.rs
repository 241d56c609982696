//! The agent's program, embedded, so that `pipe` is one file: what it is, and putting it where a container can mount it.
//!
//! It is for the machine that `pipe` was built for; a daemon of another architecture needs a `pipe` built for that one.
//! Built by `build.rs`. See ARCHITECTURE.md, decision 3.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// A static executable that needs nothing of the image that it runs in.
pub const AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pipe-agent"));

/// The SHA-256 of [`AGENT`] in hexadecimal; told by `build.rs`, so that no process reads the agent for it.
pub const DIGEST: &str = env!("PIPE_AGENT_DIGEST");

/// The agent as an executable file in `directory`, which is made if absent: written once for each version.
///
/// The name holds the digest, so that a running container keeps the file that it mounted when `pipe` is replaced.
///
/// # Errors
/// The directory cannot be made or written to.
pub fn install(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join(format!("pipe-agent-{}", &DIGEST[..16]));
    let whole = fs::metadata(&path).is_ok_and(|found| found.len() == AGENT.len() as u64);
    if whole {
        return Ok(path);
    }
    fs::create_dir_all(directory)?;
    // Under another name first: several runs may begin at once, and none may start half a program.
    let partial = directory.join(format!(".pipe-agent-{}", std::process::id()));
    let mut file = File::options().create(true).truncate(true).read(true).write(true).open(&partial)?;
    if !copied(&mut file).unwrap_or(false) {
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(AGENT)?;
    }
    file.set_permissions(Permissions::from_mode(0o755))?;
    drop(file);
    fs::rename(&partial, &path)?;
    Ok(path)
}

/// Copies the agent from the file of this program: what a server never reads of itself costs it no memory. Whether that is
/// what came of it.
fn copied(to: &mut File) -> io::Result<bool> {
    let Some(offset) = offset(&fs::read_to_string("/proc/self/maps")?, AGENT.as_ptr().addr()) else { return Ok(false) };
    let mut program = File::open("/proc/self/exe")?;
    program.seek(SeekFrom::Start(offset))?;
    io::copy(&mut program.take(AGENT.len() as u64), to)?;
    to.rewind()?;
    let mut digest = Sha256::new();
    io::copy(to, &mut digest)?;
    Ok(format!("{:x}", digest.finalize()) == DIGEST)
}

/// Where in its file an address lies. See <https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html>.
fn offset(maps: &str, address: usize) -> Option<u64> {
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let address = u64::try_from(address).ok()?;
    maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (begin, end) = words.next()?.split_once('-')?;
        let (begin, end, offset) = (number(begin)?, number(end)?, number(words.nth(1)?)?);
        (begin..end).contains(&address).then(|| offset + (address - begin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_found_in_our_own_file() {
        assert_eq!(format!("{:x}", Sha256::digest(AGENT)), DIGEST);
        let maps = "55-56 r--p 00000000 08:01 1 /bin/a b\n1000-2000 r-xp 00003000 08:01 1 /bin/a b\n3000-4000 rw-p 00000000 00:00 0 \n";
        for (address, expect) in [(0x1000, Some(0x3000)), (0x1fff, Some(0x3fff)), (0x2000, None), (0x3001, Some(1))] {
            assert_eq!(offset(maps, address), expect, "{address:x}");
        }
        let mut file = tempfile::tempfile().unwrap();
        assert!(copied(&mut file).unwrap());
        assert_eq!(file.metadata().unwrap().len(), AGENT.len() as u64);
    }

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
