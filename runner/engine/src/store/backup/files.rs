//! Files of a backup: logs that are copied as far as they are, and digests.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::{Kept, StoreError, file_error};
use crate::store::audit::hexadecimal;

/// Copies `runs/*/logs` of a server's folder.
pub(super) fn copy_logs(data: &Path, target: &Path) -> Result<Vec<Kept>, StoreError> {
    let mut kept = Vec::new();
    for entry in WalkDir::new(data.join("runs")).follow_links(false).sort_by_file_name() {
        // A run may be pruned while it is looked at.
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_file() {
            continue;
        }
        let Ok(below) = entry.path().strip_prefix(data) else { continue };
        let copy = target.join(below);
        let folder = copy.parent().map_or_else(PathBuf::new, Path::to_owned);
        std::fs::create_dir_all(&folder).map_err(|error| file_error("write the backup", &folder, &error))?;
        std::fs::copy(entry.path(), &copy).map_err(|error| file_error("copy", entry.path(), &error))?;
        kept.push(describe(target, &copy)?);
    }
    Ok(kept)
}

/// Length and digest of a file below a folder.
pub(super) fn describe(folder: &Path, path: &Path) -> Result<Kept, StoreError> {
    let work = || {
        let mut file = File::open(path)?;
        let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 256 * 1_024]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((bytes, digest.finalize()));
            }
            digest.update(&buffer[..read]);
            bytes += read as u64;
        }
    };
    let (bytes, digest) = work().map_err(|error: std::io::Error| file_error("read", path, &error))?;
    let below = path.strip_prefix(folder).unwrap_or(path);
    Ok(Kept { path: below.to_string_lossy().into_owned(), bytes, sha256: hexadecimal(&digest) })
}
