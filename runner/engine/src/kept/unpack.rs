//! The files of an artifact on this machine. An archive may come from a server that is not trusted: nothing is written
//! outside the folder, nothing but plain files and folders is made, and nothing that is there is changed.

use std::io::{self, Read};
use std::path::Path;

use tar::{Archive, EntryType};

/// Unpacks below a folder, which is made. Gives how many files there are.
///
/// # Errors
/// The archive is damaged or hostile, a file is there already, or the folder cannot be written. What was written stays.
pub fn unpack(archive: impl Read, folder: &Path) -> io::Result<u64> {
    let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let mut archive = Archive::new(archive);
    archive.set_overwrite(false);
    let mut files = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        let is_file = matches!(kind, EntryType::Regular | EntryType::Link);
        if !is_file && kind != EntryType::Directory {
            return Err(wrong(format!("{}: it is no plain file", path.display())));
        }
        files += u64::from(is_file);
        match entry.unpack_in(&folder) {
            Ok(true) => {}
            Ok(false) => return Err(wrong(format!("{}: its path leads outside", path.display()))),
            Err(error) => return Err(cause(&path, &folder, error)),
        }
    }
    // What follows the end of the archive belongs to the digest.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(files)
}

/// The crate's errors name only what it did.
fn cause(path: &Path, folder: &Path, error: io::Error) -> io::Error {
    if folder.join(path).symlink_metadata().is_ok_and(|facts| !facts.is_dir()) {
        return io::Error::new(io::ErrorKind::AlreadyExists, format!("{}: it is there already", path.display()));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, kind, link) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            let content: &[u8] = if *kind == EntryType::Regular { b"x" } else { b"" };
            header.set_size(content.len() as u64);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().div_ceil(512) * 512, 0);
        }
        bytes.extend_from_slice(&[0; 1024]);
        bytes
    }

    #[test]
    fn what_a_server_sends_stays_in_its_folder() {
        use EntryType::{Fifo, Link, Regular, Symlink};
        let check = |entries: &[(&str, EntryType, &str)], expected: Result<u64, &str>| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("victim"), "old").unwrap();
            let below = folder.path().join("to");
            std::fs::create_dir(&below).unwrap();
            std::fs::write(below.join("there"), "old").unwrap();
            let got = unpack(&archive(entries)[..], &below).map_err(|error| error.to_string());
            assert_eq!(std::fs::read(folder.path().join("victim")).unwrap(), b"old");
            assert_eq!(std::fs::read(below.join("there")).unwrap(), b"old");
            match expected {
                Ok(files) => assert_eq!(got, Ok(files)),
                Err(text) => assert!(got.as_ref().is_err_and(|error| error.contains(text)), "{got:?}"),
            }
        };
        check(&[("a/b", Regular, ""), ("a/c", Link, "a/b")], Ok(2));
        check(&[("../victim", Regular, "")], Err("leads outside"));
        check(&[("l", Symlink, "..")], Err("no plain file"));
        check(&[("p", Fifo, "")], Err("no plain file"));
        check(&[("there", Regular, "")], Err("there already"));
        check(&[("h", Link, "../victim")], Err(""));
    }
}
