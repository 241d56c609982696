//! Finding a program as `execvp` does, but in the `PATH` of the environment that the program will have, and saying why not.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// Where programs are looked for when the environment has no `PATH`.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file that `program` means, relative to the process' working directory.
///
/// Errors are lower-case fragments for the user.
pub(crate) fn find_program(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, String> {
    let shown = program.display();
    if program.is_empty() {
        return Err("the name of the program is empty".to_owned());
    }
    if program.as_bytes().contains(&b'/') {
        let file = PathBuf::from(program);
        return match file.metadata() {
            Ok(found) if found.is_dir() => Err(format!("`{shown}` is a directory")),
            Ok(_) if !is_executable(&file) => Err(format!("`{shown}` is not executable")),
            Ok(_) => Ok(file),
            Err(error) => Err(format!("no program `{shown}`: {error}")),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        // An empty entry means the working directory.
        let directory = if directory.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(directory) };
        let file = Path::new(directory).join(program);
        if file.is_file() {
            if is_executable(&file) {
                return Ok(file);
            }
            refused = Some(file);
        }
    }
    Err(match refused {
        Some(file) => format!("`{}` is not executable", file.display()),
        None => format!("no program `{shown}` in PATH ({})", path.display()),
    })
}

fn is_executable(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok()
}

/// Why the kernel would not run a file that is there and executable.
pub(crate) fn explain_exec(program: &Path, error: Errno) -> String {
    let shown = program.display();
    if error == Errno::ENOENT {
        match interpreter(program) {
            Some(name) => {
                format!("`{shown}` names the interpreter `{}`, which is not there", name.display())
            }
            None => format!("`{shown}` needs a loader that is not there: it is built for another system or C library"),
        }
    } else if error == Errno::ENOEXEC {
        let machine = std::env::consts::ARCH;
        format!("`{shown}` is neither a program for this machine ({machine}) nor a script that begins with `#!`")
    } else if error == Errno::E2BIG {
        "arguments and environment together are too long for the kernel".to_owned()
    } else {
        // The kernel's own text says enough.
        format!("`{shown}`: {}", error.desc().to_lowercase())
    }
}

/// What follows `#!` in the first line.
fn interpreter(program: &Path) -> Option<OsString> {
    use std::io::Read as _;
    let mut head = Vec::new();
    std::fs::File::open(program).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.split(|byte| *byte == b' ' || *byte == b'\t').find(|word| !word.is_empty())?;
    // A carriage return at the end is the usual reason; it must be seen.
    Some(OsString::from(OsStr::from_bytes(name).to_string_lossy().replace('\r', "\\r")))
}
