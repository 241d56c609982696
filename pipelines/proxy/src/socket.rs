//! Unix sockets in folders whose names are longer than an address may be.
//!
//! The kernel takes about a hundred bytes (unix(7)); a folder of state may lie deeper. Then it is opened, and named by
//! its descriptor.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Longest path that fits an address.
const PATH_BYTES_MAX: usize = 100;

/// A path for the same socket that fits. What comes with it has to live as long as the path is used.
pub(crate) fn short(path: &Path) -> io::Result<(Option<File>, PathBuf)> {
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((None, path.to_owned()));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((None, path.to_owned()));
    };
    let folder = File::open(folder)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((Some(folder), short))
}
