//! Secrets that lie in files of this machine, each alone in its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use workflow::secret::Secret;

/// A secret in a file that only its owner reads, without the line break at its end.
///
/// # Errors
/// It cannot be read, or others can read it too; a sentence about the file.
pub fn secret(path: &Path) -> Result<Secret, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if facts.permissions().mode() & 0o077 != 0 {
        return Err("others can read it; run `chmod 600` on it".to_owned());
    }
    Ok(Secret::new(std::fs::read_to_string(path).map_err(|error| error.to_string())?.trim()))
}
