//! Walks a folder as a layer: one of overlay2's, a file system that lies in a folder, or a repository.
//!
//! No link is followed, neither in the walk nor when a file is opened, so nothing outside the folder is ever read. overlay2
//! marks what a layer removes by devices 0:0 and extended attributes
//! (<https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories>).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::walk::{Content, HEAD_BYTES};
use super::{Limits, Node, Random, Visitor};

/// Deeper folders than any path can name.
const DEPTH_MAX: usize = 2048;

/// How a folder is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Devices 0:0 and opaque attributes have their meaning.
    Overlay,
    /// All files count, except what the kernel shows as files.
    Root,
    /// Without what version control and package managers keep.
    Repository,
}

/// Folders of a repository that hold nothing that was written there.
const NOT_SOURCES: [&str; 6] = [".git", "node_modules", ".venv", "__pycache__", ".terraform", ".tox"];
/// Folders of a running system that hold no files.
const NOT_FILES: [&str; 3] = ["proc", "sys", "dev"];
/// Files of these kinds are not programs, so whether they may be executed is not asked.
const NOT_PROGRAMS: [&str; 34] = [
    "py", "pyc", "pyi", "js", "mjs", "cjs", "ts", "map", "json", "md", "txt", "html", "css", "h", "hpp", "c", "rb",
    "pm", "pl", "gz", "xz", "list", "md5sums", "svg", "png", "xml", "yml", "yaml", "toml", "conf", "mo", "sh", "a",
    "symbols",
];

/// Shows what lies in a folder. What cannot be listed is told as odd, and the walk goes on.
///
/// # Errors
/// When the folder itself cannot be listed, or the visitor ends the walk.
pub(crate) fn visit_folder(root: &Path, manner: Manner, limits: &Limits, visitor: &mut dyn Visitor) -> io::Result<()> {
    let mut walk = Walk { manner, seen: 0, limits, visitor };
    // The folders that are still to be listed. Their order is of no consequence.
    let mut folders = vec![(String::new(), root.to_owned(), 0)];
    while let Some((folder, at, depth)) = folders.pop() {
        match walk.list(&folder, &at, depth, &mut folders) {
            Ok(()) => {}
            Err(Fault::Listing(error)) if !folder.is_empty() => {
                walk.visitor.odd(&folder, &format!("it cannot be listed: {error}"));
            }
            Err(Fault::Listing(error) | Fault::Visitor(error)) => return Err(error),
        }
    }
    Ok(())
}

enum Fault {
    Listing(io::Error),
    Visitor(io::Error),
}

struct Walk<'a> {
    manner: Manner,
    seen: u64,
    limits: &'a Limits,
    visitor: &'a mut dyn Visitor,
}

impl Walk<'_> {
    fn list(
        &mut self,
        folder: &str,
        at: &Path,
        depth: usize,
        folders: &mut Vec<(String, PathBuf, usize)>,
    ) -> Result<(), Fault> {
        for entry in fs::read_dir(at).map_err(Fault::Listing)? {
            let entry = entry.map_err(Fault::Listing)?;
            self.seen += 1;
            if self.seen > self.limits.entries {
                let reason = format!("it has more than {} entries", self.limits.entries);
                return Err(Fault::Visitor(io::Error::other(reason)));
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(Fault::Listing)?;
            if kind.is_dir() {
                if self.is_left_out(&path, &name) {
                    continue;
                }
                if depth >= DEPTH_MAX {
                    self.visitor.odd(&path, "it lies too deep");
                    continue;
                }
                self.folder(&path, &entry.path()).map_err(Fault::Visitor)?;
                folders.push((path, entry.path(), depth + 1));
                continue;
            }
            let node = if kind.is_file() {
                match file_node(&entry, &name) {
                    Ok(node) => node,
                    // A file that goes while it is looked at: a repository that is worked in.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(Fault::Listing(error)),
                }
            } else if self.manner == Manner::Overlay && kind.is_char_device() && is_whiteout(&entry) {
                Node::Whiteout
            } else {
                Node::Other
            };
            self.visitor.entry(&path, node, &mut OnDisk { path: entry.path() }).map_err(Fault::Visitor)?;
        }
        Ok(())
    }

    fn folder(&mut self, path: &str, at: &Path) -> io::Result<()> {
        self.visitor.entry(path, Node::Directory, &mut OnDisk { path: at.to_owned() })?;
        if self.manner == Manner::Overlay && is_opaque(at) {
            self.visitor.entry(path, Node::Opaque, &mut OnDisk { path: at.to_owned() })?;
        }
        Ok(())
    }

    fn is_left_out(&self, path: &str, name: &str) -> bool {
        match self.manner {
            Manner::Overlay => false,
            Manner::Root => NOT_FILES.contains(&path),
            Manner::Repository => NOT_SOURCES.contains(&name),
        }
    }
}

/// Asking for the mode of each file would take longer than all the rest, so it is asked of what may be a program.
fn file_node(entry: &fs::DirEntry, name: &str) -> io::Result<Node> {
    if name.rsplit_once('.').is_some_and(|(_, ending)| NOT_PROGRAMS.contains(&ending)) {
        return Ok(Node::File { bytes: 0, executable: false });
    }
    let metadata = entry.metadata()?;
    Ok(Node::File { bytes: metadata.len(), executable: metadata.permissions().mode() & 0o111 != 0 })
}

fn is_whiteout(entry: &fs::DirEntry) -> bool {
    entry.metadata().is_ok_and(|metadata| metadata.rdev() == 0)
}

/// Docker as root writes `trusted.`, rootless engines write `user.`.
fn is_opaque(folder: &Path) -> bool {
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0; 4];
        rustix::fs::lgetxattr(folder, *name, &mut value).is_ok_and(|length| length == 1 && value[0] == b'y')
    })
}

/// A file of the folder that is walked through.
struct OnDisk {
    path: PathBuf,
}

impl OnDisk {
    fn open(&self) -> io::Result<File> {
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no longer a file"));
        }
        Ok(file)
    }
}

impl Content for OnDisk {
    fn head(&mut self) -> io::Result<Vec<u8>> {
        let random = Random::whole(self.open()?)?;
        let mut head = vec![0; HEAD_BYTES];
        let length = random.read_at(0, &mut head)?;
        head.truncate(length);
        Ok(head)
    }

    fn random(&mut self) -> io::Result<Random> {
        Random::whole(self.open()?)
    }
}
