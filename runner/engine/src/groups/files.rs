//! Groups among processes: who takes part in a group has a ticket in its folder, a named pipe that is locked for as long as
//! the process wants it. The kernel gives locks back when a process ends, however it ends.
//!
//! Tickets are numbered: each waits for the one before it, so turns come in order. Who comes tells those before it, through
//! their pipes, that it takes their place. A short lock of one more file keeps arrivals apart.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use sha2::{Digest as _, Sha256};
use workflow::run::PENDING_MAX;

use crate::store::RunId;

/// What arrivals lock.
const LIST: &str = "list";
/// How often a folder is looked for that others remove as they leave.
const FOLDER_TRIES_MAX: usize = 100;
/// Longest text of a call.
const CALL_BYTES_MAX: u64 = 64;

/// Where the folders of groups are.
#[derive(Debug, Clone)]
pub(super) struct GroupFiles(PathBuf);

/// What somebody who comes tells those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// Its run.
    pub(super) by: RunId,
    /// Whether it takes the place of the one that has the group.
    pub(super) of_running: bool,
    /// Whether it takes the places of those that wait.
    pub(super) of_waiting: bool,
}

/// A place in a group. It is left by dropping it.
#[derive(Debug)]
pub(super) struct Ticket {
    folder: PathBuf,
    number: u64,
    /// Others wait for its end.
    lock: Option<Flock<File>>,
}

/// What coming gives.
pub(super) enum Came {
    /// A place, and whether somebody is before it.
    In { ticket: Ticket, waits: bool },
    /// So many wait that there is no place.
    Full,
}

impl GroupFiles {
    pub(super) const fn below(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn folder(&self, group: &str) -> PathBuf {
        let digest = Sha256::digest(group.to_lowercase());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(name)
    }

    /// Tells others of a group who comes. `own`: who is in it here.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(super) fn call(&self, group: &str, call: Call, own: Option<&Ticket>) -> io::Result<()> {
        let folder = self.folder(group);
        if !folder.exists() {
            return Ok(());
        }
        let _list = lock_list(&folder)?;
        for number in numbers(&folder)?.into_iter().filter(|number| own.is_none_or(|own| own.number != *number)) {
            if is_live(&folder, number)? {
                tell(&folder, number, call);
            }
        }
        Ok(())
    }

    /// Comes into a group behind all that are in it.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(super) fn come(&self, group: &str) -> io::Result<Came> {
        let folder = self.folder(group);
        let list = lock_list(&folder)?;
        let mut before = Vec::new();
        let mut last = 0;
        for number in numbers(&folder)? {
            last = last.max(number);
            if is_live(&folder, number)? {
                before.push(number);
            }
        }
        // One of them has it.
        if before.len() > PENDING_MAX {
            return Ok(Came::Full);
        }
        let number = last + 1;
        let path = path(&folder, number);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Both ends: it never waits for another, and whoever reads comes to the end when it is closed.
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
        drop(list);
        Ok(Came::In { ticket: Ticket { folder, number, lock: Some(lock) }, waits: !before.is_empty() })
    }
}

impl Ticket {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What waits until nobody is before it any more; for a thread.
    pub(super) fn turn(&self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (folder, number) = (self.folder.clone(), self.number);
        move || wait_for_turn(&folder, number)
    }

    /// What hears calls until the ticket is gone; for a thread.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn calls(&self) -> io::Result<impl Iterator<Item = Call> + Send + use<>> {
        let mut pipe = OpenOptions::new().read(true).open(path(&self.folder, self.number))?;
        Ok(std::iter::from_fn(move || next_call(&mut pipe)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(path(&self.folder, self.number));
        drop(self.lock.take());
        // The last one takes the folder along, unless somebody comes.
        if let Ok(list) = OpenOptions::new().write(true).open(self.folder.join(LIST))
            && let Ok(_list) = Flock::lock(list, FlockArg::LockExclusiveNonblock)
            && numbers(&self.folder).is_ok_and(|numbers| numbers.is_empty())
        {
            let _another_time = std::fs::remove_file(self.folder.join(LIST));
            let _another_time = std::fs::remove_dir(&self.folder);
        }
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(number.to_string())
}

/// Tickets of a folder, in their order.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The lock of arrivals, of a folder that is there.
fn lock_list(folder: &Path) -> io::Result<Flock<File>> {
    let path = folder.join(LIST);
    for _ in 0..FOLDER_TRIES_MAX {
        std::fs::create_dir_all(folder)?;
        let file = match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        // Who left meanwhile may have removed it.
        if std::fs::metadata(&path).ok().map(|there| there.ino()) == Some(lock.metadata()?.ino()) {
            return Ok(lock);
        }
    }
    Err(io::Error::other("others remove it all the time"))
}

/// `None`: it is gone.
fn open_to_wait(folder: &Path, number: u64) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path(folder, number)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a ticket's process lives and wants it; else it goes.
fn is_live(folder: &Path, number: u64) -> io::Result<bool> {
    let Some(file) = open_to_wait(folder, number)? else { return Ok(false) };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, error)) => Err(error.into()),
        Ok(_) => {
            let _gone_already = std::fs::remove_file(path(folder, number));
            Ok(false)
        }
    }
}

fn wait_for_turn(folder: &Path, number: u64) -> io::Result<()> {
    loop {
        // Nobody comes before it any more.
        let mut before = None;
        for other in numbers(folder)?.into_iter().rev().filter(|other| *other < number) {
            if is_live(folder, other)? {
                before = Some(other);
                break;
            }
        }
        let Some(before) = before else { return Ok(()) };
        if let Some(file) = open_to_wait(folder, before)? {
            let _gone = Flock::lock(file, FlockArg::LockShared).map_err(|(_, error)| error)?;
        }
    }
}

fn tell(folder: &Path, number: u64, call: Call) {
    let word = match (call.of_running, call.of_waiting) {
        (true, true) => "all",
        (true, false) => "running",
        (false, true) => "waiting",
        (false, false) => return,
    };
    let pipe = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(path(folder, number));
    if let Err(error) = pipe.and_then(|mut pipe| pipe.write_all(format!("{word} {}\n", call.by).as_bytes())) {
        tracing::debug!(%error, "one of a concurrency group is ending, or was told often");
    }
}

/// The next line; `None` when the ticket is gone.
fn next_call(pipe: &mut File) -> Option<Call> {
    loop {
        let mut line = Vec::new();
        let mut byte = [0];
        while pipe.read(&mut byte).ok().filter(|read| *read > 0).is_some() && byte[0] != b'\n' {
            if line.len() as u64 >= CALL_BYTES_MAX {
                return None;
            }
            line.push(byte[0]);
        }
        if byte[0] != b'\n' {
            return None;
        }
        let line = String::from_utf8(line).ok()?;
        let (word, by) = line.split_once(' ')?;
        // What a newer program says otherwise is for nobody here.
        if let (Ok(by), "all" | "running" | "waiting") = (by.parse(), word) {
            return Some(Call { by: RunId(by), of_running: word != "waiting", of_waiting: word != "running" });
        }
    }
}
