//! Walks a folder as a layer: one of overlay2's, a file system that lies in a folder, or a repository.
//!
//! No link is followed, neither in the walk nor when a file is opened, so nothing outside the folder is ever read. overlay2
//! marks what a layer removes by devices 0:0 and extended attributes
//! (<https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories>).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, RawDir, fgetxattr, statat};

use super::held::{Held, file_in, folder_in, shown};
use super::walk::{Content, HEAD_BYTES};
use super::{Limits, Node, Random, Visitor};

/// How deep folders are gone through: each one on the way is held open.
const DEPTH_MAX: usize = 200;
/// Names that are asked of the kernel at once.
const NAMES_BYTES: usize = 32 * 1024;

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

/// Folders of a repository that hold nothing that was written there, whatever looks at it.
const NOT_SOURCES: [&str; 6] = [".git", "node_modules", ".venv", "__pycache__", ".terraform", ".tox"];
/// Folders that hold nothing that was written there if the tool that makes them has left its mark: sources may be called so too.
const MARKED: [(&str, &str); 3] = [("target", "CACHEDIR.TAG"), ("venv", "pyvenv.cfg"), ("env", "pyvenv.cfg")];
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
pub(crate) fn visit_folder(root: &Held, manner: Manner, limits: &Limits, visitor: &mut dyn Visitor) -> io::Result<()> {
    let mut walk =
        Walk { manner, seen: 0, limits, visitor, waiting: Vec::new(), names: Vec::with_capacity(NAMES_BYTES) };
    walk.list("", root.again()?, 0).map_err(|fault| match fault {
        Fault::Listing(error) | Fault::Visitor(error) => error,
    })?;
    // Their order is of no consequence, but the last one first keeps few folders open.
    while let Some(Waiting { path, parent, name, depth }) = walk.waiting.pop() {
        let listed = folder_in(parent.as_fd(), &*name).map_err(Fault::Listing).and_then(|open| {
            drop(parent);
            if walk.is_made_by_a_tool(&name, &open) {
                return Ok(());
            }
            walk.folder(&path, &open)?;
            walk.list(&path, open, depth)
        });
        match listed {
            Ok(()) => {}
            Err(Fault::Listing(error)) => walk.visitor.odd(&path, &format!("it cannot be listed: {error}")),
            Err(Fault::Visitor(error)) => return Err(error),
        }
    }
    Ok(())
}

enum Fault {
    Listing(io::Error),
    Visitor(io::Error),
}

/// A folder that is still to be listed.
struct Waiting {
    path: String,
    parent: Arc<OwnedFd>,
    name: CString,
    depth: usize,
}

struct Walk<'a> {
    manner: Manner,
    seen: u64,
    limits: &'a Limits,
    visitor: &'a mut dyn Visitor,
    waiting: Vec<Waiting>,
    names: Vec<u8>,
}

impl Walk<'_> {
    fn list(&mut self, folder: &str, open: OwnedFd, depth: usize) -> Result<(), Fault> {
        let open = Arc::new(open);
        let mut names = std::mem::take(&mut self.names);
        let mut entries = RawDir::new(&*open, names.spare_capacity_mut());
        let mut listed = Ok(());
        while let Some(entry) = entries.next() {
            listed = match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => Ok(()),
                Ok(entry) => self.entry(folder, &open, entry.file_name(), entry.file_type(), depth),
                Err(error) => Err(Fault::Listing(error.into())),
            };
            if listed.is_err() {
                break;
            }
        }
        self.names = names;
        listed
    }

    fn entry(
        &mut self,
        folder: &str,
        open: &Arc<OwnedFd>,
        name: &CStr,
        mut kind: FileType,
        depth: usize,
    ) -> Result<(), Fault> {
        self.seen += 1;
        if self.seen > self.limits.entries {
            let reason = format!("it has more than {} entries", self.limits.entries);
            return Err(Fault::Visitor(io::Error::other(reason)));
        }
        let text = shown(name);
        let path = if folder.is_empty() { text.clone() } else { format!("{folder}/{text}") };
        let mut content = OnDisk { folder: open.as_fd(), name };
        // Some file systems do not say it with the name.
        if kind == FileType::Unknown {
            kind = match content.kind() {
                Ok(kind) => kind,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(Fault::Listing(error)),
            };
        }
        if kind == FileType::Directory {
            if self.is_left_out(&path, &text) {
                return Ok(());
            }
            if depth >= DEPTH_MAX {
                self.visitor.odd(&path, "it lies too deep");
                return Ok(());
            }
            self.waiting.push(Waiting { path, parent: Arc::clone(open), name: name.to_owned(), depth: depth + 1 });
            return Ok(());
        }
        let node = if kind == FileType::RegularFile {
            match content.file_node(&text) {
                Ok(node) => node,
                // A file that goes while it is looked at: a repository that is worked in.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(Fault::Listing(error)),
            }
        } else if self.manner == Manner::Overlay && kind == FileType::CharacterDevice && content.is_whiteout() {
            Node::Whiteout
        } else {
            Node::Other
        };
        self.visitor.entry(&path, node, &mut content).map_err(Fault::Visitor)
    }

    fn folder(&mut self, path: &str, open: &OwnedFd) -> Result<(), Fault> {
        let mut content = OnDisk { folder: open.as_fd(), name: c"." };
        self.visitor.entry(path, Node::Directory, &mut content).map_err(Fault::Visitor)?;
        if self.manner == Manner::Overlay && is_opaque(open) {
            self.visitor.entry(path, Node::Opaque, &mut content).map_err(Fault::Visitor)?;
        }
        Ok(())
    }

    fn is_made_by_a_tool(&self, name: &CStr, open: &OwnedFd) -> bool {
        let mark = MARKED.iter().find(|(folder, _)| folder.as_bytes() == name.to_bytes());
        let is_there = |mark: &str| statat(open, mark, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        self.manner == Manner::Repository && mark.is_some_and(|(_, mark)| is_there(mark))
    }

    fn is_left_out(&self, path: &str, name: &str) -> bool {
        match self.manner {
            Manner::Overlay => false,
            Manner::Root => NOT_FILES.contains(&path),
            Manner::Repository => NOT_SOURCES.contains(&name),
        }
    }
}

/// Docker as root writes `trusted.`, rootless engines write `user.`.
fn is_opaque(folder: &OwnedFd) -> bool {
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0; 4];
        fgetxattr(folder, *name, &mut value).is_ok_and(|length| length == 1 && value[0] == b'y')
    })
}

/// A file of the folder that is walked through.
struct OnDisk<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
}

impl OnDisk<'_> {
    fn kind(&self) -> io::Result<FileType> {
        Ok(FileType::from_raw_mode(statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
    }

    /// Asking for the mode of each file would take longer than all the rest, so it is asked of what may be a program.
    fn file_node(&self, name: &str) -> io::Result<Node> {
        if name.rsplit_once('.').is_some_and(|(_, ending)| NOT_PROGRAMS.contains(&ending)) {
            return Ok(Node::File { bytes: 0, executable: false });
        }
        let stat = statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Node::File { bytes: u64::try_from(stat.st_size).unwrap_or(0), executable: stat.st_mode & 0o111 != 0 })
    }

    fn is_whiteout(&self) -> bool {
        statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_rdev == 0)
    }
}

impl Content for OnDisk<'_> {
    fn head(&mut self) -> io::Result<Vec<u8>> {
        let random = self.random()?;
        let mut head = vec![0; HEAD_BYTES];
        let length = random.read_at(0, &mut head)?;
        head.truncate(length);
        Ok(head)
    }

    fn random(&mut self) -> io::Result<Random> {
        file_in(self.folder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Puts a link in the place of a folder once something in it has been shown, and reads afterwards.
    struct Swap {
        folder: PathBuf,
        outside: PathBuf,
        at: &'static str,
        read: Vec<(String, String)>,
    }

    impl Visitor for Swap {
        fn entry(&mut self, path: &str, node: Node, content: &mut dyn Content) -> io::Result<()> {
            if path == self.at {
                std::fs::rename(self.folder.join("a"), self.folder.with_extension("moved"))?;
                std::os::unix::fs::symlink(&self.outside, self.folder.join("a"))?;
            }
            if matches!(node, Node::File { .. }) {
                let content = content.random()?;
                let text = content.bytes(0, content.length())?;
                self.read.push((path.to_owned(), String::from_utf8_lossy(&text).into_owned()));
            }
            Ok(())
        }

        fn odd(&mut self, path: &str, reason: &str) {
            self.read.push((path.to_owned(), reason.to_owned()));
        }
    }

    #[test]
    fn a_folder_that_is_swapped_for_a_link_leads_nowhere() {
        for at in ["a", "a/file"] {
            let scratch = tempfile::tempdir().unwrap();
            let (folder, outside) = (scratch.path().join("in"), scratch.path().join("out"));
            std::fs::create_dir_all(folder.join("a")).unwrap();
            std::fs::write(folder.join("a/file"), "inside").unwrap();
            std::fs::create_dir(&outside).unwrap();
            std::fs::write(outside.join("file"), "outside").unwrap();
            std::fs::write(outside.join("more"), "outside").unwrap();
            let held = Held::at(&folder).unwrap();
            let mut swap = Swap { folder, outside, at, read: Vec::new() };
            visit_folder(&held, Manner::Repository, &Limits::default(), &mut swap).unwrap();
            assert_eq!(swap.read, [("a/file".to_owned(), "inside".to_owned())], "swapped at {at}");
        }
    }

    #[test]
    fn folders_without_end_are_odd() {
        let scratch = tempfile::tempdir().unwrap();
        let mut folder = Held::at(scratch.path()).unwrap().again().unwrap();
        for _ in 0..=DEPTH_MAX {
            rustix::fs::mkdirat(&folder, "d", rustix::fs::Mode::RWXU).unwrap();
            folder = folder_in(folder.as_fd(), "d").unwrap();
        }
        let held = Held::at(scratch.path()).unwrap();
        let empty = scratch.path().to_owned();
        let mut swap = Swap { folder: empty.clone(), outside: empty, at: "nothing", read: Vec::new() };
        visit_folder(&held, Manner::Root, &Limits::default(), &mut swap).unwrap();
        assert_eq!(swap.read.len(), 1);
        assert_eq!(swap.read[0].1, "it lies too deep");
    }
}
