//! Content by its SHA-256: written once, compressed, checked whenever it is read, removed when nothing names it.
//!
//! A blob is written to a file of its own, flushed, and renamed, so that one that can be named is whole. Where a power cut may
//! cost what was made last ([`Flush::Later`]) nobody waits for the disk: what did not get there is found by its digest. What comes packed
//! already (zips, caches of clients) lies as it is, under a name that says so, and can be read from any place. It knows
//! nothing of what the content is for; who names blobs keeps them from being removed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::scratch;

/// Blobs younger than this are not removed: whoever wrote one may be about to name it.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// The largest window that a blob may ask memory for, as a power of two: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;

/// End of the names of files of blobs that lie as they are.
const PLAIN: &str = ".plain";

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct BlobStore {
    folder: PathBuf,
    flush: Flush,
}

/// When a blob has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Before it can be named.
    First,
    /// When the system likes. The end of a process loses nothing of it.
    Later,
}

/// What names a blob.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobDigest(String);

/// A digest that is none.
#[derive(Debug, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits in lower case")]
pub struct BadDigest;

impl BlobDigest {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BlobDigest {
    type Error = BadDigest;

    fn try_from(text: String) -> Result<Self, BadDigest> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hex) { Ok(Self(text)) } else { Err(BadDigest) }
    }
}

impl From<BlobDigest> for String {
    fn from(digest: BlobDigest) -> Self {
        digest.0
    }
}

impl BlobStore {
    /// Blobs below a folder, which is made when the first one is written.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, flush: Flush::First }
    }

    /// The same with another rule for what is written.
    #[must_use]
    pub fn flushed(self, flush: Flush) -> Self {
        Self { flush, ..self }
    }

    /// When what is written has to be on the disk.
    #[must_use]
    pub const fn flush(&self) -> Flush {
        self.flush
    }

    /// Does with a file or a folder what the rule says.
    fn settle(&self, file: &File) -> io::Result<()> {
        match self.flush {
            Flush::First => file.sync_all(),
            Flush::Later => Ok(()),
        }
    }

    /// Begins a blob; what is written to it counts once it is finished.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn writer(&self, level: i32) -> io::Result<BlobWriter> {
        std::fs::create_dir_all(&self.folder)?;
        let file = scratch::file(&self.folder)?;
        let encoder = zstd::Encoder::new(file, level)?;
        Ok(BlobWriter { store: self.clone(), encoder, hash: Sha256::new(), bytes: 0 })
    }

    fn path(&self, digest: &BlobDigest) -> PathBuf {
        self.folder.join(&digest.0[..2]).join(&digest.0[2..])
    }

    fn plain_path(&self, digest: &BlobDigest) -> PathBuf {
        self.folder.join(&digest.0[..2]).join(format!("{}{PLAIN}", &digest.0[2..]))
    }

    /// A new file on the disk of the blobs, which removes itself unless it is adopted.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn staging(&self) -> io::Result<tempfile::NamedTempFile> {
        std::fs::create_dir_all(&self.folder)?;
        scratch::file(&self.folder)
    }

    /// Makes a file on the disk of the blobs one of them, as it is. That it has this digest, the caller has made sure of.
    ///
    /// # Errors
    /// It cannot be flushed or renamed.
    pub fn adopt(&self, file: &Path, digest: &BlobDigest) -> io::Result<()> {
        self.settle(&File::open(file)?)?;
        let path = self.plain_path(digest);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
            std::fs::rename(file, &path)?;
            self.settle(&File::open(folder)?)?;
        }
        Ok(())
    }

    /// The file of a blob that lies as it is. What is read of it is not checked.
    ///
    /// # Errors
    /// There is none.
    pub fn open_plain(&self, digest: &BlobDigest) -> io::Result<File> {
        File::open(self.plain_path(digest))
    }

    /// Removes one that is damaged. Whoever names it finds it missing.
    pub fn discard(&self, digest: &BlobDigest) {
        for path in [self.path(digest), self.plain_path(digest)] {
            // The other form was never there.
            let _gone = std::fs::remove_file(path);
        }
    }

    /// Reads a blob. At its end what was read is compared with its name: a difference is an error of the kind
    /// [`io::ErrorKind::InvalidData`].
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn open(&self, digest: &BlobDigest) -> io::Result<BlobReader> {
        let source = match self.open_plain(digest) {
            Ok(file) => Source::Plain(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut decoder = zstd::Decoder::new(File::open(self.path(digest))?)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Source::Packed(decoder)
            }
            Err(error) => return Err(error),
        };
        Ok(BlobReader { source, hash: Sha256::new(), expect: digest.0.clone() })
    }

    /// Removes what killed processes had half written.
    pub fn remove_abandoned(&self) {
        scratch::remove_abandoned(&self.folder, 0);
    }

    /// Removes blobs that are not named, but for young ones. Gives how many bytes of the disk that freed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sweep(&self, named: &BTreeSet<BlobDigest>) -> io::Result<u64> {
        self.remove_abandoned();
        let mut freed = 0;
        for entry in walkdir::WalkDir::new(&self.folder).max_depth(2).into_iter().flatten() {
            let Ok(facts) = entry.metadata() else { continue };
            let age = facts.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if !facts.is_file() || age.is_none_or(|age| age < YOUNG) {
                continue;
            }
            let is_named = name_of(entry.path()).is_some_and(|digest| named.contains(&digest));
            if !is_named && std::fs::remove_file(entry.path()).is_ok() {
                freed += facts.len();
            }
        }
        Ok(freed)
    }
}

fn name_of(path: &Path) -> Option<BlobDigest> {
    let (start, rest) = (path.parent()?.file_name()?.to_str()?, path.file_name()?.to_str()?);
    let rest = rest.strip_suffix(PLAIN).unwrap_or(rest);
    BlobDigest::try_from(format!("{start}{rest}")).ok()
}

/// A blob that is being written.
pub struct BlobWriter {
    store: BlobStore,
    encoder: zstd::Encoder<'static, tempfile::NamedTempFile>,
    hash: Sha256,
    bytes: u64,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

impl BlobWriter {
    /// Makes it one that can be named. Gives its name, its length and how much of the disk it takes.
    ///
    /// # Errors
    /// It cannot be written whole.
    pub fn finish(self) -> io::Result<(BlobDigest, u64, u64)> {
        let file = self.encoder.finish()?;
        self.store.settle(file.as_file())?;
        let stored = file.as_file().metadata()?.len();
        let digest = BlobDigest(self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        let path = self.store.path(&digest);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
            // The same content again is as good, and young again.
            file.persist(&path).map_err(|error| error.error)?;
            self.store.settle(&File::open(folder)?)?;
        }
        Ok((digest, self.bytes, stored))
    }
}

/// A blob that is being read.
pub struct BlobReader {
    source: Source,
    hash: Sha256,
    expect: String,
}

enum Source {
    Packed(zstd::Decoder<'static, io::BufReader<File>>),
    Plain(File),
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Packed(decoder) => decoder.read(bytes),
            Self::Plain(file) => file.read(bytes),
        }
    }
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader").field("expect", &self.expect).finish_non_exhaustive()
    }
}

impl Read for BlobReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let corrupt = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let expect = &self.expect;
        let read =
            self.source.read(bytes).map_err(|error| corrupt(format!("the blob {expect} is damaged: {error}")))?;
        if read == 0 && !bytes.is_empty() {
            let got: String = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            if got != *expect {
                return Err(corrupt(format!("the blob {expect} is damaged: its digest is {got}")));
            }
        }
        self.hash.update(&bytes[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(store: &BlobStore, digest: &BlobDigest) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        store.open(digest)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::new(folder.path().join("blobs"));
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let write = |content: &[u8]| {
            let mut writer = store.writer(3).unwrap();
            writer.write_all(content).unwrap();
            writer.finish().unwrap()
        };
        let (digest, bytes, stored) = write(&content);
        assert_eq!((bytes, store.path(&digest).metadata().unwrap().len()), (content.len() as u64, stored));
        assert_eq!(write(&content).0, digest);
        assert_eq!(read(&store, &digest).unwrap(), content);
        assert_eq!(write(b"").0.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        // Each byte that is changed, each cut is found.
        let whole = std::fs::read(store.path(&digest)).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 50) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(store.path(&digest), &damaged).unwrap();
            // A bit that changes nothing of the content is no damage to it.
            assert!(read(&store, &digest).map_or(true, |read| read == content), "byte {at}");
            std::fs::write(store.path(&digest), &whole[..at]).unwrap();
            assert!(read(&store, &digest).is_err(), "cut at {at}");
        }
        // Another blob under the name.
        std::fs::write(store.path(&digest), zstd::encode_all(&b"other"[..], 1).unwrap()).unwrap();
        assert_eq!(read(&store, &digest).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // Young ones stay, old ones only if they are named.
        let (half, begun) = (store.folder.join(".of-4194304-x"), store.staging().unwrap());
        std::fs::write(&half, "of a killed process").unwrap();
        assert_eq!(store.sweep(&BTreeSet::new()).unwrap(), 0);
        assert!(!half.exists() && begun.path().exists());
        let old = SystemTime::now() - YOUNG * 2;
        File::options().write(true).open(store.path(&digest)).unwrap().set_modified(old).unwrap();
        assert_eq!(store.sweep(&BTreeSet::from([digest.clone()])).unwrap(), 0);
        assert!(store.sweep(&BTreeSet::new()).unwrap() > 0 && store.open(&digest).is_err());
    }

    #[test]
    fn what_lies_as_it_is_is_read_checked_swept_and_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::new(folder.path().join("blobs"));
        let digest =
            BlobDigest::try_from("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned())
                .unwrap();
        let adopt = |content: &[u8]| {
            let mut file = store.staging().unwrap();
            file.write_all(content).unwrap();
            store.adopt(&file.into_temp_path(), &digest).unwrap();
        };
        adopt(b"abc");
        assert_eq!(read(&store, &digest).unwrap(), b"abc");
        let old = SystemTime::now() - YOUNG * 2;
        store.open_plain(&digest).unwrap();
        File::options().write(true).open(store.plain_path(&digest)).unwrap().set_modified(old).unwrap();
        assert_eq!(store.sweep(&BTreeSet::from([digest.clone()])).unwrap(), 0);
        assert_eq!(store.sweep(&BTreeSet::new()).unwrap(), 3);
        adopt(b"abd");
        assert_eq!(read(&store, &digest).unwrap_err().kind(), io::ErrorKind::InvalidData);
        store.discard(&digest);
        assert_eq!(store.open(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn names() {
        for bad in ["", "../../etc/passwd", &"A".repeat(64), &"0".repeat(63), &"/".repeat(64)] {
            assert!(BlobDigest::try_from((*bad).to_owned()).is_err(), "{bad}");
        }
    }
}
