//! Archives that a job made, taken in: what is in them is checked entry by entry and written anew.
//!
//! A job may send whatever it likes. Nothing that leads outside, no device and no special bit gets into the store, and
//! there is a bound on everything, so that whoever unpacks the archive later gets plain files below the folder it names.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

/// Entries of an archive.
const ENTRIES_MAX: u64 = 500_000;
/// Bytes of the path of an entry.
const PATH_BYTES_MAX: usize = 4096;
/// Bytes of all files together.
pub(super) const BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;

/// What an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Files and folders with the modes of GitHub's archives; links were followed.
    Artifact,
    /// Files, folders and links with their modes.
    Cache,
}

/// The folders of a job that lie elsewhere in another job: paths below them are kept by their name.
#[derive(Debug, Clone)]
pub(super) struct Places(pub(super) Vec<(&'static str, PathBuf)>);

impl Places {
    /// None: paths stay as they are.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    fn keep(&self, path: &Path) -> PathBuf {
        let found = self.0.iter().find_map(|(name, folder)| {
            let folder = folder.strip_prefix("/").unwrap_or(folder);
            Some(Path::new(name).join(path.strip_prefix(folder).ok()?))
        });
        found.unwrap_or_else(|| path.to_path_buf())
    }

    pub(super) fn give(&self, path: &Path) -> PathBuf {
        let found = self.0.iter().find_map(|(name, folder)| {
            Some(folder.strip_prefix("/").unwrap_or(folder).join(path.strip_prefix(name).ok()?))
        });
        found.unwrap_or_else(|| path.to_path_buf())
    }
}

/// Copies an archive of the store for a job whose folders lie elsewhere.
///
/// # Errors
/// It cannot be read or written.
pub(super) fn give_out(from: impl Read, to: &mut dyn Write, places: &Places) -> io::Result<()> {
    let mut archive = Archive::new(from);
    let mut builder = Builder::new(to);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = places.give(&entry.path()?);
        let mut header = entry.header().clone();
        match (header.entry_type(), entry.link_name()?.map(std::borrow::Cow::into_owned)) {
            (EntryType::Link, Some(target)) => builder.append_link(&mut header, path, places.give(&target))?,
            (_, Some(target)) => builder.append_link(&mut header, path, target)?,
            (_, None) => builder.append_data(&mut header, path, &mut entry)?,
        }
    }
    builder.finish()?;
    // What follows the end of the archive belongs to the digest.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
}

/// What was taken in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TakenIn {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// What is neither a file nor a folder nor a link.
    pub(super) skipped: Vec<PathBuf>,
}

/// Copies an archive entry by entry.
///
/// # Errors
/// It is no archive, too large, or an entry leads outside; a sentence.
pub(super) fn take_in(from: impl Read, to: &mut impl Write, kind: Kind, places: &Places) -> Result<TakenIn, String> {
    let mut archive = Archive::new(from);
    let mut builder = Builder::new(to);
    let mut taken = TakenIn::default();
    let (mut files, mut links, mut entries) = (HashSet::new(), HashSet::new(), 0_u64);
    let unreadable = |error: io::Error| format!("the archive of the files cannot be read: {error}");
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(format!("there are more than {ENTRIES_MAX} files and folders"));
        }
        let path = entry.path().map_err(unreadable)?.into_owned();
        let Some(path) = inside(&path).map_err(|why| format!("{}: {why}", path.display()))? else { continue };
        let path = places.keep(&path);
        if path.ancestors().skip(1).any(|above| links.contains(above)) {
            return Err(format!("{}: it is behind a link of the same archive", path.display()));
        }
        let mut header = Header::new_gnu();
        header.set_mtime(entry.header().mtime().unwrap_or(0));
        header.set_mode(entry.header().mode().unwrap_or(0o644) & 0o777);
        header.set_size(0);
        header.set_entry_type(entry.header().entry_type());
        match (entry.header().entry_type(), kind) {
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => {
                header.set_entry_type(EntryType::Regular);
                let size = entry.size();
                taken.bytes = taken.bytes.saturating_add(size);
                if taken.bytes > BYTES_MAX {
                    return Err(format!("the files have more than {} GiB", BYTES_MAX >> 30));
                }
                taken.files += 1;
                header.set_size(size);
                if kind == Kind::Artifact {
                    header.set_mode(0o644);
                }
                links.remove(&path);
                builder.append_data(&mut header, &path, &mut entry).map_err(|error| error.to_string())?;
                files.insert(path);
            }
            (EntryType::Directory, _) => {
                if kind == Kind::Artifact {
                    header.set_mode(0o755);
                }
                builder.append_data(&mut header, &path, io::empty()).map_err(|error| error.to_string())?;
            }
            (EntryType::Symlink, Kind::Cache) => {
                let target = entry.link_name().map_err(unreadable)?.unwrap_or_default().into_owned();
                header.set_mode(0o777);
                builder.append_link(&mut header, &path, &target).map_err(|error| error.to_string())?;
                links.insert(path);
            }
            (EntryType::Link, _) => {
                let target = entry.link_name().map_err(unreadable)?.unwrap_or_default().into_owned();
                let target = inside(&target).ok().flatten().map(|target| places.keep(&target));
                let target = target.filter(|target| files.contains(target));
                let Some(target) = target else {
                    return Err(format!("{}: it is a hard link to a file that is not part of it", path.display()));
                };
                taken.files += 1;
                builder.append_link(&mut header, &path, &target).map_err(|error| error.to_string())?;
                files.insert(path);
            }
            (_, _) => taken.skipped.push(path),
        }
    }
    builder.finish().map_err(|error| error.to_string())?;
    Ok(taken)
}

/// A path below the folder; `None` for the folder itself.
fn inside(path: &Path) -> Result<Option<PathBuf>, &'static str> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > PATH_BYTES_MAX {
        return Err("its path is too long");
    }
    if bytes.contains(&0) {
        return Err("its path holds a zero byte");
    }
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
            Component::ParentDir => return Err("its path leads outside"),
        }
    }
    Ok(Some(inside).filter(|path| !path.as_os_str().is_empty()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An entry whose header says exactly this, whatever a builder would refuse.
    pub(in super::super) fn raw(name: &str, kind: u8, mode: u32, link: &str, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        bytes
    }

    fn taken(entries: &[Vec<u8>], kind: Kind) -> Result<String, String> {
        let mut archive = entries.concat();
        archive.extend_from_slice(&[0; 1024]);
        let mut out = Vec::new();
        let taken = take_in(&archive[..], &mut out, kind, &Places::none())?;
        let mut shown = Vec::new();
        for entry in Archive::new(&out[..]).entries().unwrap() {
            let entry = entry.unwrap();
            let (path, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
            let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            shown.push(format!("{path}{link} {mode:o} {}", entry.size()));
        }
        shown.extend(taken.skipped.iter().map(|path| format!("without {}", path.display())));
        Ok(shown.join(", "))
    }

    #[test]
    fn hostile_archives() {
        use Kind::{Artifact, Cache};
        let file = |name: &str| raw(name, b'0', 0o644, "", b"x");
        let check = |entries: &[Vec<u8>], kind, expect: Result<&str, &str>| {
            let got = taken(entries, kind);
            assert_eq!(
                got.as_deref().map_err(String::as_str),
                expect.as_ref().map(|text| &**text).map_err(|text| &**text)
            );
        };
        check(&[file("./a/b")], Artifact, Ok("a/b 644 1"));
        // P02: paths that lead outside.
        check(&[file("../../x")], Artifact, Err("../../x: its path leads outside"));
        check(&[file("a/../../x")], Artifact, Err("a/../../x: its path leads outside"));
        check(&[file("/etc/x")], Cache, Err("/etc/x: its path is absolute"));
        // P03: links.
        check(
            &[raw("l", b'2', 0o777, "/tmp/f", b""), file("l/pwn")],
            Cache,
            Err("l/pwn: it is behind a link of the same archive"),
        );
        check(&[raw("l", b'2', 0o777, "/tmp/f", b"")], Artifact, Ok("without l"));
        check(&[raw("l", b'2', 0o777, "a", b"")], Cache, Ok("l -> a 777 0"));
        check(
            &[raw("h", b'1', 0o644, "/etc/passwd", b"")],
            Cache,
            Err("h: it is a hard link to a file that is not part of it"),
        );
        check(&[file("a"), raw("h", b'1', 0o644, "a", b"")], Cache, Ok("a 644 1, h -> a 644 0"));
        // P06: special bits and devices.
        check(&[raw("s", b'0', 0o6755, "", b"x")], Cache, Ok("s 755 1"));
        check(&[raw("s", b'0', 0o6755, "", b"x")], Artifact, Ok("s 644 1"));
        check(&[raw("c", b'3', 0o644, "", b""), raw("p", b'6', 0o644, "", b"")], Cache, Ok("without c, without p"));
        // Torn ones.
        assert!(taken(&[file("a")[..500].to_vec()], Cache).is_err());
        assert!(take_in(&b"not an archive at all".repeat(100)[..], &mut Vec::new(), Cache, &Places::none()).is_err());
    }

    #[test]
    fn folders_that_lie_elsewhere() {
        let places =
            |work: &str| Places(vec![("work", work.into()), ("home", "/home/me".into()), ("root", "/".into())]);
        let file = |name: &str| raw(name, b'0', 0o644, "", b"x");
        let mut archive = [
            file("./w/1/r/a"),
            raw("w/1/r/h", b'1', 0o644, "w/1/r/a", b""),
            raw("w/1/r/l", b'2', 0o777, "../x", b""),
            file("home/me/b"),
            file("etc/c"),
        ]
        .concat();
        archive.extend_from_slice(&[0; 1024]);
        let (mut kept, mut given) = (Vec::new(), Vec::new());
        take_in(&archive[..], &mut kept, Kind::Cache, &places("/w/1")).unwrap();
        give_out(&kept[..], &mut given, &places("/w/2")).unwrap();
        let list = |archive: &[u8]| {
            let mut archive = Archive::new(archive);
            let shown = archive.entries().unwrap().map(|entry| {
                let entry = entry.unwrap();
                let link = entry.link_name().unwrap().map(|link| format!(">{}", link.display())).unwrap_or_default();
                format!("{}{link}", entry.path().unwrap().display())
            });
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(list(&kept), "work/r/a work/r/h>work/r/a work/r/l>../x home/b root/etc/c");
        assert_eq!(list(&given), "w/2/r/a w/2/r/h>w/2/r/a w/2/r/l>../x home/me/b etc/c");
    }

    /// P04: what the extended header says of the size holds for the whole, so nothing of the content is read as an entry.
    #[test]
    fn sizes_that_disagree() {
        let hidden = raw("hidden", b'0', 0o644, "", b"evil");
        let mut outer = raw("outer", b'0', 0o644, "", b"");
        let size = format!("{}", hidden.len());
        let record = |length: usize| format!("{length} size={size}\n");
        let length = record(10).len();
        let pax = raw("pax", b'x', 0o644, "", record(length).as_bytes());
        outer.extend_from_slice(&hidden);
        let got = taken(&[pax, outer], Kind::Cache).unwrap();
        assert!(!got.contains("hidden"), "{got}");
    }

    /// The same block again and again, without end.
    struct Endless<'a>(&'a [u8], usize);

    impl Read for Endless<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let read = (&self.0[self.1..]).read(bytes)?;
            self.1 = (self.1 + read) % self.0.len();
            Ok(read)
        }
    }

    /// Each is refused by what its headers say: nobody waits for the content.
    #[test]
    fn p05_bombs_are_refused() {
        let check = |archive: &mut dyn Read, expect: &str| {
            let got = take_in(archive, &mut io::sink(), Kind::Cache, &Places::none());
            assert!(got.as_ref().is_err_and(|why| why.contains(expect)), "{expect}: {got:?}");
        };
        let mut large = Header::new_gnu();
        large.set_path("a").unwrap();
        large.set_size(BYTES_MAX + 1);
        large.set_cksum();
        check(&mut large.as_bytes().as_slice(), "more than 20 GiB");
        check(&mut Endless(&raw("d", b'5', 0o755, "", b""), 0), "more than 500000 files and folders");
        let long = raw("././@LongLink", b'L', 0, "", "a/".repeat(PATH_BYTES_MAX).as_bytes());
        check(&mut [long, raw("a", b'0', 0o644, "", b"")].concat().as_slice(), "its path is too long");
    }
}
