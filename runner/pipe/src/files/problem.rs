//! Why a file's text cannot be had, as a diagnostic.

use std::path::{Path, PathBuf};

use workflow::diagnostic::{Code, Diagnostic, suggest};
use workflow::yaml::DecodeError;

use super::find::is_action;

/// What stands in the way.
#[derive(Debug)]
pub enum Problem {
    /// There is no such file; perhaps one of these, in the same folder, was meant.
    Missing(Vec<String>),
    /// A symbolic link to nothing.
    DanglingLink(PathBuf),
    /// A symbolic link out of the repository.
    LeavingLink(PathBuf),
    /// A device, a pipe, a socket.
    NoFile,
    /// It may not be read, or the disk fails.
    Unreadable(std::io::Error),
    /// Larger than the limit, both in bytes.
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Nothing in it, or only white space.
    Empty,
    /// No UTF-8.
    Undecodable(DecodeError),
}

impl Problem {
    /// The diagnostic; the file is named where it is shown.
    pub fn diagnostic(&self, name: &str) -> Diagnostic {
        match self {
            Self::Missing(neighbours) => {
                let file = name.rsplit('/').next().unwrap_or(name);
                let meant = suggest(file, neighbours.iter().map(String::as_str));
                let diagnostic = Diagnostic::error(Code("P0001"), None, format!("`{name}` does not exist"));
                match meant {
                    Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
                    None => diagnostic.help("name a workflow file, or a folder that holds some"),
                }
            }
            Self::Unreadable(error) => {
                let diagnostic = Diagnostic::error(Code("P0002"), None, format!("`{name}` cannot be read: {error}"));
                diagnostic.help("check the permissions of the file and of the folders above it")
            }
            Self::Empty => {
                let least = if is_action(Path::new(name)) {
                    "an action has at least `runs:`"
                } else {
                    "a workflow has at least `on:` and `jobs:`"
                };
                Diagnostic::error(Code("P0003"), None, format!("`{name}` is empty")).help(least)
            }
            Self::Undecodable(error @ (DecodeError::Binary { .. } | DecodeError::NotUtf8 { .. })) => {
                Diagnostic::error(Code("P0004"), None, format!("`{name}` is not text: {error}"))
                    .help("save it as UTF-8")
            }
            Self::Undecodable(DecodeError::Utf16) => {
                Diagnostic::error(Code("P0005"), None, format!("`{name}` is encoded as UTF-16"))
                    .help(format!("save it as UTF-8, such as with `iconv -f UTF-16 -t UTF-8 {name}`"))
            }
            Self::DanglingLink(target) => {
                let message = format!("`{name}` is a symbolic link to `{}`, which does not exist", target.display());
                Diagnostic::error(Code("P0006"), None, message).help("remove the link or make its target")
            }
            Self::LeavingLink(target) => {
                let message = format!("`{name}` is a symbolic link out of the repository, to `{}`", target.display());
                Diagnostic::error(Code("P0007"), None, message).help("put the file itself into the repository")
            }
            Self::TooLarge { size, limit } => {
                let message = format!("`{name}` has {size} bytes; a workflow file may have {limit}");
                Diagnostic::error(Code("P0008"), None, message)
                    .help("split it, such as into reusable workflows, or raise `limits.workflow-file` in the settings")
            }
            Self::NoFile => Diagnostic::error(Code("P0009"), None, format!("`{name}` is not a regular file"))
                .help("name a workflow file, or a folder that holds some"),
        }
    }
}
