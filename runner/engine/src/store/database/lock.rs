//! Who uses the file: a server alone, or local runs together. The kernel frees the lock of a process that is gone.
//!
//! Follows <https://man7.org/linux/man-pages/man2/flock.2.html>.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::{Sharing, StoreError, beside, database_error};

/// Longest process id that is read back.
const PID_BYTES_MAX: u64 = 20;

/// Held as long as the file is used.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "dropping it frees the lock")] Flock<File>);

pub(super) fn take(path: &Path, sharing: Sharing) -> Result<Lock, StoreError> {
    let name = beside(path, "lock");
    let open = File::options().create(true).truncate(false).read(true).write(true).open(&name);
    let file = open.map_err(|error| database_error(path, &format!("open {}: {error}", name.display())))?;
    let how = match sharing {
        Sharing::Alone => FlockArg::LockExclusiveNonblock,
        Sharing::Shared => FlockArg::LockSharedNonblock,
    };
    match Flock::lock(file, how) {
        Ok(mut held) => {
            if sharing == Sharing::Alone {
                name_owner(&mut held).map_err(|error| database_error(path, &error))?;
            }
            Ok(Lock(held))
        }
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            // A text that cannot be read only makes the message shorter.
            drop((&mut file).take(PID_BYTES_MAX).read_to_string(&mut text));
            let by =
                text.trim().parse::<u32>().map_or_else(|_| "another pipe".to_owned(), |pid| format!("process {pid}"));
            Err(StoreError::InUse { path: path.display().to_string(), by })
        }
        Err((_, error)) => Err(database_error(path, &format!("lock {}: {error}", name.display()))),
    }
}

fn name_owner(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
