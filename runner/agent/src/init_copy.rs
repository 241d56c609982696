//! `pipe-agent init-copy DESTINATION`: puts the binary into a volume, where an engine cannot mount it (init containers).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::complain;

pub(crate) fn init_copy(arguments: &[OsString]) -> ExitCode {
    let [destination] = arguments else {
        return complain("usage: pipe-agent init-copy DESTINATION", 2);
    };
    let mut destination = PathBuf::from(destination);
    if destination.is_dir() {
        destination.push("pipe-agent");
    }
    match copy(&destination) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("pipe-agent: cannot copy to {}: {error}", destination.display()), 1),
    }
}

/// Under another name first, so that whoever finds the file finds it whole.
fn copy(destination: &Path) -> std::io::Result<()> {
    let mut partial = destination.as_os_str().to_owned();
    partial.push(".partial");
    fs::copy("/proc/self/exe", &partial)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))?;
    fs::rename(&partial, destination)
}
