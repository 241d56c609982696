//! An artifact in the form that its reader wants: a tar for our own actions and pages, a zip for GitHub's clients.
//!
//! A zip that a client sent is as hostile as any archive of a job: names that lead outside, entries that are no plain
//! files and sizes beyond the bounds are refused when somebody wants its files.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};

use sha2::{Digest as _, Sha256};
use tar::{Builder, Header};
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Artifact, Form, Kept, Zipped};
use crate::blobs::BlobDigest;

/// Entries of a zip.
const ENTRIES_MAX: usize = 500_000;
/// Bytes of all files of a zip together.
const BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;
/// What a tar says of its files.
const MODE: u32 = 0o644;
/// Files larger than this need the long form of a zip's numbers.
const LARGE_BYTES: u64 = u32::MAX as u64;

/// What an artifact's files are read from.
pub struct TarOf {
    /// The archive; what is damaged is an error while it is read, at the latest at its end.
    pub archive: Box<dyn Read + Send>,
    /// Its bytes.
    pub bytes: u64,
    /// Its digest, which is not the artifact's where it was packed anew.
    pub digest: BlobDigest,
}

impl std::fmt::Debug for TarOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarOf").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Kept {
    /// An artifact's files as a tar. What a client sent is packed anew, into a file that is gone with the reader.
    ///
    /// # Errors
    /// It is not there, damaged or hostile.
    pub fn tar_of(&self, artifact: &Artifact) -> io::Result<TarOf> {
        if artifact.form == Form::Tar {
            let (archive, digest) = (Box::new(self.blobs.open(&artifact.digest)?), artifact.digest.clone());
            return Ok(TarOf { archive, bytes: artifact.bytes, digest });
        }
        let content = self.whole(&artifact.digest)?;
        self.made(|tar| match &artifact.form {
            Form::Zip => zip_to_tar(content, tar),
            Form::Tar | Form::File(_) => file_to_tar(content, &artifact.name, artifact.bytes, tar),
        })
    }

    /// An artifact as a client gets it, as the only file of a tar: a zip under its name, or the file that it is.
    ///
    /// # Errors
    /// It is not there or damaged, or cannot be packed.
    pub fn packed_of(&self, artifact: &Artifact) -> io::Result<TarOf> {
        let Zipped { digest, bytes } = self.zip_of(artifact)?;
        let content = self.whole(&digest)?;
        let name = match &artifact.form {
            Form::Tar | Form::Zip => format!("{}.zip", artifact.name),
            Form::File(_) => artifact.name.clone(),
        };
        self.made(|tar| file_to_tar(content, &name, bytes, tar))
    }

    /// The file of a blob, which was read whole and compared with its digest before anything is made of it.
    fn whole(&self, digest: &BlobDigest) -> io::Result<File> {
        io::copy(&mut self.blobs.open(digest)?, &mut io::sink())?;
        self.blobs.open_plain(digest)
    }

    /// A tar in a file that is gone with the reader.
    fn made(&self, make: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<TarOf> {
        let mut tar = tempfile::tempfile_in(&self.folder)?;
        make(&mut tar)?;
        tar.rewind()?;
        let (digest, bytes) = digest_of(&mut tar)?;
        tar.rewind()?;
        Ok(TarOf { archive: Box::new(io::BufReader::with_capacity(1 << 18, tar)), bytes, digest })
    }

    /// What a client downloads: the blob and its bytes. Of an artifact that our own action packed a zip is made once.
    ///
    /// # Errors
    /// It is not there or damaged, or cannot be packed.
    pub fn zip_of(&self, artifact: &Artifact) -> io::Result<Zipped> {
        if artifact.form != Form::Tar {
            return Ok(Zipped { digest: artifact.digest.clone(), bytes: artifact.bytes });
        }
        if let Some(zipped) = artifact.zipped.as_ref().filter(|zipped| self.blobs.open_plain(&zipped.digest).is_ok()) {
            return Ok(zipped.clone());
        }
        let mut file = self.blobs.staging()?;
        tar_to_zip(self.blobs.open(&artifact.digest)?, file.as_file_mut())?;
        let zipped = self.adopted(file)?;
        self.note_artifact(&Artifact { zipped: Some(zipped.clone()), ..artifact.clone() }).map_err(io::Error::other)?;
        Ok(zipped)
    }

    /// The only file of an archive that our own action packed, as a blob that lies as it is.
    ///
    /// # Errors
    /// There is no file in it, it is damaged, or the folder cannot be written.
    pub fn only_file(&self, archive: &BlobDigest) -> io::Result<Zipped> {
        let mut archive = tar::Archive::new(self.blobs.open(archive)?);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let mut file = self.blobs.staging()?;
                io::copy(&mut entry, file.as_file_mut())?;
                return self.adopted(file);
            }
        }
        Err(wrong("there is no file in it".to_owned()))
    }

    fn adopted(&self, mut file: NamedTempFile) -> io::Result<Zipped> {
        file.as_file_mut().rewind()?;
        let (digest, bytes) = digest_of(file.as_file_mut())?;
        self.blobs.adopt(&file.into_temp_path(), &digest)?;
        Ok(Zipped { digest, bytes })
    }

    /// How many files a zip has that lies in a file.
    ///
    /// # Errors
    /// It is none, or holds too much.
    pub fn files_of_zip(file: File) -> io::Result<u64> {
        let archive = ZipArchive::new(io::BufReader::new(file)).map_err(no_zip)?;
        if archive.len() > ENTRIES_MAX {
            return Err(wrong(format!("there are more than {ENTRIES_MAX} files and folders")));
        }
        Ok(archive.file_names().filter(|name| !name.as_ref().is_ok_and(|name| name.ends_with('/'))).count() as u64)
    }
}

/// The digest and the length of what is left of a reader.
///
/// # Errors
/// It cannot be read.
pub(crate) fn digest_of(mut from: impl Read) -> io::Result<(BlobDigest, u64)> {
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut from, &mut hash)?;
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((BlobDigest::try_from(hex).map_err(io::Error::other)?, bytes))
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn no_zip(error: impl std::fmt::Display) -> io::Error {
    wrong(format!("it is no zip that can be read: {error}"))
}

fn header(bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(MODE);
    header
}

fn file_to_tar(content: File, name: &str, bytes: u64, tar: &mut File) -> io::Result<()> {
    let mut builder = Builder::new(tar);
    builder.append_data(&mut header(bytes), name, content)?;
    builder.finish()
}

/// A name that stays below a folder on every system.
fn safe(name: &str) -> io::Result<&str> {
    let leads_outside = name.starts_with('/') || name.split('/').any(|part| part == "..");
    if name.is_empty() || leads_outside {
        return Err(wrong(format!("{name:?}: its path leads outside")));
    }
    if name.contains(['\\', '\0']) || name.as_bytes().get(1) == Some(&b':') {
        return Err(wrong(format!("{name:?}: its path is none of this system")));
    }
    Ok(name)
}

fn zip_to_tar(content: File, tar: &mut File) -> io::Result<()> {
    let mut archive = ZipArchive::new(io::BufReader::new(content)).map_err(no_zip)?;
    if archive.len() > ENTRIES_MAX {
        return Err(wrong(format!("there are more than {ENTRIES_MAX} files and folders")));
    }
    let mut builder = Builder::new(tar);
    let mut names = std::collections::HashSet::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(no_zip)?;
        let name = safe(&entry.name().map_err(no_zip)?)?.trim_end_matches('/').to_owned();
        if entry.is_dir() {
            let mut folder = header(0);
            folder.set_entry_type(tar::EntryType::Directory);
            folder.set_mode(0o755);
            builder.append_data(&mut folder, &name, io::empty())?;
            continue;
        }
        if entry.is_symlink() {
            return Err(wrong(format!("{name}: it is no plain file")));
        }
        if !names.insert(name.clone()) {
            return Err(wrong(format!("{name}: it is there twice")));
        }
        let bytes = entry.size();
        total = total.saturating_add(bytes);
        if total > BYTES_MAX {
            return Err(wrong(format!("the files have more than {} GiB", BYTES_MAX >> 30)));
        }
        // What it says of its size is what is read of it: not more, and less is an error.
        let mut exact = Exact { left: bytes, inner: entry };
        builder.append_data(&mut header(bytes), &name, &mut exact)?;
        exact.end(&name)?;
    }
    builder.finish()
}

/// So many bytes, no more and no fewer.
struct Exact<R> {
    left: u64,
    inner: R,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let read = self.inner.read(&mut bytes[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<R: Read> Exact<R> {
    /// The end is read too, where the checksum is compared.
    fn end(&mut self, name: &str) -> io::Result<()> {
        let more = self.inner.read(&mut [0])?;
        if self.left != 0 || more != 0 {
            return Err(wrong(format!("{name}: it has not the size that the zip says")));
        }
        Ok(())
    }
}

fn tar_to_zip(from: impl Read, file: &mut File) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    let mut writer = ZipWriter::new(io::BufWriter::with_capacity(1 << 18, file));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).compression_level(Some(1));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.to_str().ok_or_else(|| wrong(format!("{}: its name is not UTF-8", path.display())))?;
        let options = options.large_file(entry.size() > LARGE_BYTES);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            writer.add_directory(name, options).map_err(io::Error::other)?;
        } else if kind.is_file() {
            writer.start_file(name, options).map_err(io::Error::other)?;
            io::copy(&mut entry, &mut writer)?;
        } else {
            // A hard link of our own archives names a file before it, which a zip cannot say.
            return Err(wrong(format!("{}: clients cannot have a hard link; upload its file alone", path.display())));
        }
    }
    // What follows the end of the archive belongs to the digest.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    writer.finish().map_err(io::Error::other)?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(entries: &[(&str, &str)]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ZipWriter::new(&mut file);
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn p02_a_zip_that_leads_outside_is_refused() {
        let check = |names: &[&str], expect: Result<u64, &str>| {
            let entries: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
            let mut tar = tempfile::tempfile().unwrap();
            let got = zip_to_tar(zip(&entries), &mut tar);
            match expect {
                Ok(files) => {
                    got.unwrap();
                    tar.rewind().unwrap();
                    let folder = tempfile::tempdir().unwrap();
                    assert_eq!(super::super::unpack(&tar, folder.path()).unwrap(), files);
                }
                Err(text) => assert!(got.as_ref().is_err_and(|error| error.to_string().contains(text)), "{got:?}"),
            }
        };
        check(&["a", "b/c", "ä..b"], Ok(3));
        check(&["../../x"], Err("leads outside"));
        check(&["a/../../x"], Err("leads outside"));
        check(&["/etc/x"], Err("leads outside"));
        check(&["C:\\x"], Err("none of this system"));
        check(&["a\\..\\x"], Err("none of this system"));
    }

    /// A zip of one file that says another size of itself, in both of its places.
    fn lying(content: &str, size: u32) -> File {
        use std::os::unix::fs::FileExt as _;
        let file = zip(&[("a", content)]);
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).unwrap();
        let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        for at in [22, directory + 24] {
            file.write_all_at(&size.to_le_bytes(), at as u64).unwrap();
        }
        (&file).rewind().unwrap();
        file
    }

    #[test]
    fn p05_a_zip_gives_no_more_than_it_says() {
        let zeros = "0".repeat(10 << 20);
        for (content, size) in [(zeros.as_str(), 1), (&zeros, 0), ("short", u32::MAX - 1)] {
            let mut tar = tempfile::tempfile().unwrap();
            let got = zip_to_tar(lying(content, size), &mut tar);
            assert!(got.is_err(), "{size}: {got:?}");
            assert!(tar.metadata().unwrap().len() < 4096, "{size}: {} bytes", tar.metadata().unwrap().len());
        }
        let honest = u32::try_from(zeros.len()).unwrap();
        zip_to_tar(lying(&zeros, honest), &mut tempfile::tempfile().unwrap()).unwrap();
    }

    #[test]
    fn there_and_back() {
        let mut tar = tempfile::tempfile().unwrap();
        zip_to_tar(zip(&[("a/b", "hello"), ("c", &"long ".repeat(100_000))]), &mut tar).unwrap();
        tar.rewind().unwrap();
        let mut again = tempfile::tempfile().unwrap();
        tar_to_zip(&tar, &mut again).unwrap();
        let mut archive = ZipArchive::new(&again).unwrap();
        let mut text = String::new();
        archive.by_name("c").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.len(), archive.len()), (500_000, 2));
        assert_eq!(Kept::files_of_zip(again).unwrap(), 2);
        assert!(Kept::files_of_zip(tempfile::tempfile().unwrap()).is_err());
    }
}
