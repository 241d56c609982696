//! Entries of caches between our own actions and GitHub's clients, whose archives have paths relative to the workspace and
//! are packed with zstd or gzip.

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType};

use super::archive::{BYTES_MAX, Places};
use crate::blobs::BlobDigest;
use crate::kept::{CacheEntry, Kept, digest_of};

/// As well as our own action packs.
const LEVEL: i32 = 1;

/// Where the folders of a job are, as it sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolders {
    /// `GITHUB_WORKSPACE`.
    pub workspace: String,
    /// `HOME`.
    pub home: String,
}

impl JobFolders {
    /// Those that lie elsewhere in another job.
    pub(super) fn places(&self) -> Places {
        let workspace = Path::new(&self.workspace);
        let work = workspace.ancestors().nth(2).unwrap_or(workspace).to_path_buf();
        let mut places = vec![("work", work), ("home", PathBuf::from(&self.home)), ("root", "/".into())];
        places.retain(|(name, folder)| *name == "root" || folder.parent().is_some());
        Places(places)
    }
}

/// Makes of an entry that our own action saved what a client unpacks in its workspace. Nothing names the blob: it goes
/// when blobs are swept.
///
/// # Errors
/// The entry is damaged, or the folder cannot be written.
pub fn cache_for_clients(kept: &Kept, entry: &CacheEntry, folders: &JobFolders) -> io::Result<BlobDigest> {
    let mut file = kept.blobs.staging()?;
    let mut encoder = zstd::Encoder::new(io::BufWriter::with_capacity(1 << 18, file.as_file_mut()), LEVEL)?;
    take_out(kept.blobs.open(&entry.digest)?, &mut encoder, folders)?;
    encoder.finish()?.flush()?;
    io::Seek::rewind(file.as_file_mut())?;
    let (digest, _) = digest_of(file.as_file_mut())?;
    kept.blobs.adopt(&file.into_temp_path(), &digest)?;
    Ok(digest)
}

fn take_out(from: impl Read, to: &mut dyn Write, folders: &JobFolders) -> io::Result<()> {
    let (places, workspace) = (folders.places(), Path::new(&folders.workspace));
    let mut archive = Archive::new(from);
    let mut builder = Builder::new(to);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = to_workspace(workspace, &places.give(&entry.path()?));
        let mut header = entry.header().clone();
        match (header.entry_type(), entry.link_name()?.map(std::borrow::Cow::into_owned)) {
            (EntryType::Link, Some(target)) => {
                let target = to_workspace(workspace, &places.give(&target));
                append(&mut builder, header, &path, Some(&target), io::empty())?;
            }
            (_, Some(target)) => append(&mut builder, header, &path, Some(&target), io::empty())?,
            (_, None) => {
                header.set_size(entry.size());
                append(&mut builder, header, &path, None, &mut entry)?;
            }
        }
    }
    builder.finish()?;
    // What follows the end of the archive belongs to the digest.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(drop)
}

/// An entry whose path may lead upwards, as those of clients do; the builder's own way refuses that.
fn append(
    builder: &mut Builder<&mut dyn Write>,
    mut header: tar::Header,
    path: &Path,
    target: Option<&Path>,
    content: impl Read,
) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut extensions = Vec::new();
    let raw = path.as_os_str().as_bytes();
    if raw.len() < NAME_BYTES {
        let name = &mut header.as_old_mut().name;
        name.fill(0);
        name[..raw.len()].copy_from_slice(raw);
    } else {
        extensions.push(("path", raw));
    }
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.prefix.fill(0);
    }
    if let Some(target) = target {
        let raw = target.as_os_str().as_bytes();
        if raw.len() < NAME_BYTES {
            let name = &mut header.as_old_mut().linkname;
            name.fill(0);
            name[..raw.len()].copy_from_slice(raw);
        } else {
            extensions.push(("linkpath", raw));
        }
    }
    builder.append_pax_extensions(extensions)?;
    header.set_cksum();
    builder.append(&header, content)
}

/// Bytes of a name in the head of an entry.
const NAME_BYTES: usize = 100;

/// The way from the workspace to a path that begins at the root.
fn to_workspace(workspace: &Path, path: &Path) -> PathBuf {
    let all = Path::new("/").join(path);
    let mut below = PathBuf::new();
    for above in workspace.ancestors() {
        if let Ok(rest) = all.strip_prefix(above) {
            let way = below.join(rest);
            return if way.as_os_str().is_empty() { PathBuf::from(".") } else { way };
        }
        below.push("..");
    }
    all
}

/// Copies an archive that a client made of a cache for this job: its paths are relative to the workspace, and may lead out
/// of it as far as the root.
///
/// # Errors
/// It cannot be read or written, or an entry is no file, folder or link.
pub(super) fn give_clients(from: impl Read, to: &mut dyn Write, workspace: &Path) -> io::Result<()> {
    let mut from = io::BufReader::with_capacity(1 << 18, from);
    let is_gzip = io::BufRead::fill_buf(&mut from)?.starts_with(&[0x1f, 0x8b]);
    let unpacked: Box<dyn Read + '_> = if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(&mut from))
    } else {
        Box::new(zstd::Decoder::with_buffer(&mut from)?)
    };
    let mut archive = Archive::new(unpacked);
    let mut builder = Builder::new(to);
    let mut bytes = 0_u64;
    for entry in archive.entries()? {
        let mut entry = entry?;
        bytes = bytes.saturating_add(entry.size());
        if bytes > BYTES_MAX {
            return Err(io::Error::other(format!("the files have more than {} GiB", BYTES_MAX >> 30)));
        }
        let path = from_workspace(workspace, &entry.path()?);
        let mut header = entry.header().clone();
        header.set_mode(header.mode()? & 0o777);
        match (header.entry_type(), entry.link_name()?.map(std::borrow::Cow::into_owned)) {
            (EntryType::Link, Some(target)) => {
                builder.append_link(&mut header, path, from_workspace(workspace, &target))?;
            }
            (EntryType::Symlink, Some(target)) => builder.append_link(&mut header, path, target)?,
            (EntryType::Regular | EntryType::Continuous | EntryType::Directory, _) => {
                builder.append_data(&mut header, path, &mut entry)?;
            }
            (_, _) => return Err(io::Error::other(format!("{}: it is no plain file", path.display()))),
        }
    }
    builder.finish()?;
    drop(archive);
    // What follows the end of the archive belongs to the digest.
    io::copy(&mut from, &mut io::sink()).map(drop)
}

/// Where a path leads from the workspace, without the root before it.
fn from_workspace(workspace: &Path, path: &Path) -> PathBuf {
    let mut all = PathBuf::new();
    for component in workspace.join(path).components() {
        match component {
            Component::Normal(name) => all.push(name),
            Component::ParentDir => drop(all.pop()),
            Component::RootDir | Component::Prefix(_) | Component::CurDir => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::archive::tests::raw;
    use super::*;

    fn paths(archive: &[u8]) -> Vec<(PathBuf, Option<PathBuf>)> {
        let mut archive = Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap());
        let both = |entry: tar::Entry<'_, _>| {
            (entry.path().unwrap().into_owned(), entry.link_name().unwrap().map(|link| link.into_owned()))
        };
        entries.map(both).collect()
    }

    #[test]
    fn our_entries_are_what_clients_unpack() {
        let folders = JobFolders { workspace: "/home/runner/work/r/r".into(), home: "/home/runner".into() };
        let long = format!("work/r/r/{}", "deep/".repeat(16));
        let made: Vec<u8> = [
            raw("work/r/r/node_modules/a", b'0', 0o644, "", b"hello"),
            raw("home/.npm/b", b'0', 0o600, "", b"x"),
            raw("root/opt/c", b'2', 0o777, "../d", b""),
            raw(&format!("{long}e"), b'0', 0o644, "", b""),
            vec![0; 1024],
        ]
        .concat();
        let mut got = Vec::new();
        take_out(&made[..], &mut got, &folders).unwrap();
        let expect = [
            ("node_modules/a".to_owned(), None),
            ("../../../.npm/b".to_owned(), None),
            ("../../../../../opt/c".to_owned(), Some(PathBuf::from("../d"))),
            (format!("{}e", &long["work/r/r/".len()..]), None),
        ];
        let expect: Vec<_> = expect.map(|(path, link)| (PathBuf::from(path), link)).into();
        assert_eq!(paths(&got), expect);
        // And back.
        let mut back = Vec::new();
        let packed = zstd::encode_all(&got[..], 1).unwrap();
        give_clients(&packed[..], &mut back, Path::new(&folders.workspace)).unwrap();
        assert_eq!(paths(&back)[1].0, Path::new("home/runner/.npm/b"));
        assert_eq!(paths(&back)[2].0, Path::new("opt/c"));
    }

    #[test]
    fn paths_of_clients_begin_at_the_workspace() {
        for (path, expect) in [
            ("a/b", "home/w/r/r/a/b"),
            ("../../_temp/x", "home/w/_temp/x"),
            ("/root/.npm", "root/.npm"),
            ("../../../../../../etc/x", "etc/x"),
        ] {
            assert_eq!(from_workspace(Path::new("/home/w/r/r"), Path::new(path)), Path::new(expect), "{path}");
        }
    }

    #[test]
    fn an_archive_of_a_client_is_given_to_a_job() {
        let made: Vec<u8> =
            [raw("x/y", b'0', 0o4755, "", b"hello"), raw("../z", b'2', 0o777, "y", b""), vec![0; 1024]].concat();
        let packed = zstd::encode_all(&made[..], 1).unwrap();
        let mut got = Vec::new();
        give_clients(&packed[..], &mut got, Path::new("/w/r/r")).unwrap();
        let mut archive = Archive::new(&got[..]);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().into_owned(), entry.header().mode().unwrap()))
            .collect();
        assert_eq!(entries, [("w/r/r/x/y".into(), 0o755), ("w/r/z".into(), 0o777)]);
        let device = zstd::encode_all(&[raw("d", b'3', 0o666, "", b""), vec![0; 1024]].concat()[..], 1).unwrap();
        assert!(give_clients(&device[..], &mut Vec::new(), Path::new("/w")).is_err());
    }
}
