//! Secrets from files. Never from arguments: those are in everybody's list of processes.

use std::io::Read as _;
use std::path::Path;

use workflow::secret::Secret;

use crate::exit::Failure;

/// Longest secret or token that is read from a file.
const SECRET_BYTES_MAX: u64 = 64 * 1_024;

/// A secret of a file (`-`: standard input), without the line break at its end.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn read_secret(path: &Path, what: &str) -> Result<Secret, Failure> {
    let cannot =
        |error: std::io::Error| Failure::usage(format!("cannot read the {what} from `{}`: {error}", path.display()));
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
            .map_err(cannot)?;
    }
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(Failure::usage(format!("the {what} in `{}` is empty", path.display())));
    }
    Ok(Secret::new(text))
}
