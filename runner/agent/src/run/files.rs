//! Files for engines that share no directory with the container: small, absolute, one request at a time.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use agent::protocol::{Event, FILE_BYTES_MAX, Ticket};
use bytes::Bytes;

pub(crate) fn write_file(path: &str, mode: u32, append: bool, bytes: &[u8]) -> Result<(), String> {
    let path = absolute(path)?;
    let mut options = OpenOptions::new();
    options.create(true).append(append).write(true).truncate(!append).mode(mode);
    options.open(path).and_then(|mut file| file.write_all(bytes)).map_err(lower)
}

pub(crate) fn read_file(ticket: Ticket, path: &str, offset: u64, max_bytes: u64) -> Result<Event, String> {
    let path = absolute(path)?;
    // Not to hang on a named pipe that nobody writes to.
    let mut file =
        OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path).map_err(lower)?;
    let metadata = file.metadata().map_err(lower)?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let bound = max_bytes.min(FILE_BYTES_MAX as u64);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(bound).read_to_end(&mut bytes)).map_err(lower)?;
    let mode = metadata.permissions().mode() & 0o7777;
    Ok(Event::File { ticket, mode, size: metadata.len(), bytes: Bytes::from(bytes) })
}

pub(crate) fn remove(path: &str) -> Result<(), String> {
    let path = absolute(path)?;
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(lower),
    }
}

pub(crate) fn make_directories(path: &str, mode: u32) -> Result<(), String> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(absolute(path)?).map_err(lower)
}

fn absolute(path: &str) -> Result<&Path, String> {
    let path = Path::new(path);
    if path.is_absolute() { Ok(path) } else { Err(format!("`{}` is not an absolute path", path.display())) }
}

fn lower(error: io::Error) -> String {
    error.to_string().to_lowercase()
}
