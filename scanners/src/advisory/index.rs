//! The index of all advisories on this machine: one file, read by positioned reads of what a lookup needs.
//!
//! Opening reads the directory only. Each block and each advisory carries a checksum that is compared when it is read, so that a
//! file that was changed or cut is an error wherever that is, at the price of what was read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::build::{EPSS, KEV, SEVERITY};
use super::codec::{self, Reader};
use super::error::IndexError;
use super::header::{Header, SourceInfo};
use super::model::Advisory;
use super::seen::Fixes;
use crate::finding::{Epss, Kev, Rating};

pub(crate) const MAGIC: &[u8; 8] = b"pipe-adv";
/// Counts up whenever an older program could misread the file.
pub(crate) const FORMAT: u32 = 2;
/// Magic, format, length of the file, place and checksum of the directory, digest, checksum of all these.
pub(crate) const PREFIX_BYTES: usize = 8 + 4 + 8 + 8 + 4 + 32 + 4;
/// Largest directory and largest advisory that are read: what is longer is damage.
const DIRECTORY_BYTES_MAX: u64 = 1 << 30;
const ADVISORY_BYTES_MAX: usize = 16 << 20;
/// How much is read at a time where advisories lie.
const WINDOW_BYTES: usize = 4096;
/// How much is hashed at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Where a block of rows lies.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) checksum: u32,
    /// Where its first key lies in the directory.
    pub(crate) key: Range<usize>,
}

/// An index that is open for reading. It may be used by several threads at once.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    file: File,
    header: Header,
    digest: [u8; 32],
    /// Where the part that the digest is of ends.
    content_end: u64,
    directory: Vec<u8>,
    blocks: Vec<Block>,
    /// Since when fixes are there, as far as that was seen.
    pub(super) fixes: Option<Fixes>,
}

impl Index {
    /// Opens the index at `path`, without comparing more than its directory.
    ///
    /// # Errors
    /// When it is missing, damaged, of another format or cannot be read, each by its own name.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let io_error = |error: io::Error| {
            let path = path.to_owned();
            if error.kind() == io::ErrorKind::NotFound {
                IndexError::Missing { path }
            } else {
                IndexError::Io { path, error }
            }
        };
        let corrupt = |what: &str| IndexError::Corrupt { path: path.to_owned(), what: what.to_owned() };
        let file = File::open(path).map_err(io_error)?;
        let length = file.metadata().map_err(io_error)?.len();
        let mut prefix = [0; PREFIX_BYTES];
        file.read_exact_at(&mut prefix, 0).map_err(|_| corrupt("it is too short to be an index"))?;
        if !prefix.starts_with(MAGIC) {
            return Err(corrupt("it is no index"));
        }
        let found = u32::from_le_bytes(array(&prefix, 8));
        if found != FORMAT {
            return Err(IndexError::Format { path: path.to_owned(), found, supported: FORMAT });
        }
        if crc32fast::hash(&prefix[..PREFIX_BYTES - 4]) != u32::from_le_bytes(array(&prefix, PREFIX_BYTES - 4)) {
            return Err(corrupt("the checksum of its first bytes is wrong"));
        }
        let expected = u64::from_le_bytes(array(&prefix, 12));
        if length != expected {
            return Err(corrupt(&format!("it has {length} bytes and should have {expected}")));
        }
        let content_end = u64::from_le_bytes(array(&prefix, 20));
        let size = length.checked_sub(content_end).filter(|size| *size <= DIRECTORY_BYTES_MAX);
        let size =
            size.and_then(|size| usize::try_from(size).ok()).ok_or_else(|| corrupt("its directory is misplaced"))?;
        let mut directory = vec![0; size];
        file.read_exact_at(&mut directory, content_end).map_err(io_error)?;
        if crc32fast::hash(&directory) != u32::from_le_bytes(array(&prefix, 28)) {
            return Err(corrupt("the checksum of its directory is wrong"));
        }
        let (header, blocks) = read_directory(&directory).ok_or_else(|| corrupt("its directory cannot be read"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            digest: array(&prefix, 32),
            content_end,
            directory,
            blocks,
            fixes: Fixes::of(path),
        })
    }

    /// What it was made of, and when.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// `sha256:…` of all advisories in it: equal data has equal digests, whenever it was fetched.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.digest {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// When the oldest of its sources was fetched.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.oldest().map_or(self.header.created, |source| source.fetched)
    }

    /// The same with later times of fetching, where a server has said since that nothing changed.
    pub(crate) fn refetched(mut self, fetched: &BTreeMap<String, Timestamp>) -> Self {
        for source in &mut self.header.sources {
            let name = source.name.strip_suffix(super::source::INCREMENTS).map(|folder| format!("{folder}all.zip"));
            if let Some(later) = fetched.get(name.as_ref().unwrap_or(&source.name)) {
                source.fetched = *later;
            }
        }
        self
    }

    fn oldest(&self) -> Option<&SourceInfo> {
        self.header.sources.iter().min_by_key(|source| source.fetched)
    }

    /// Refuses an index of which a source was fetched longer ago than `max`.
    ///
    /// # Errors
    /// [`IndexError::Stale`], with the source and its age.
    pub fn check_age(&self, now: Timestamp, max: Duration) -> Result<(), IndexError> {
        let Some(oldest) = self.oldest() else { return Ok(()) };
        let age = now.duration_since(oldest.fetched);
        if age.as_secs() <= i64::try_from(max.as_secs()).unwrap_or(i64::MAX) {
            return Ok(());
        }
        Err(IndexError::Stale {
            source_name: oldest.name.clone(),
            age_hours: age.as_hours(),
            max_hours: i64::try_from(max.as_secs() / 3600).unwrap_or(i64::MAX),
        })
    }

    /// Reads everything and compares it with the digest.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] when anything has changed since the index was made.
    pub fn verify(&self) -> Result<(), IndexError> {
        let mut digest = Sha256::new();
        let mut offset = PREFIX_BYTES as u64;
        let mut chunk = vec![0; CHUNK_BYTES];
        while offset < self.content_end {
            let left = usize::try_from(self.content_end - offset).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            self.read_at(&mut chunk[..left], offset)?;
            digest.update(&chunk[..left]);
            offset += left as u64;
        }
        if digest.finalize().as_slice() == self.digest {
            Ok(())
        } else {
            Err(self.corrupt("its digest is another one"))
        }
    }

    /// What CISA says of a vulnerability (`CVE-…`), if it is known to be exploited.
    ///
    /// # Errors
    /// When the file is damaged there or cannot be read.
    pub fn kev(&self, id: &str) -> Result<Option<Kev>, IndexError> {
        Ok(self.known(&mut [Page::default(), Page::default(), Page::default()], id)?.kev)
    }

    /// How likely it is that a vulnerability (`CVE-…`) is exploited.
    ///
    /// # Errors
    /// When the file is damaged there or cannot be read.
    pub fn epss(&self, id: &str) -> Result<Option<Epss>, IndexError> {
        Ok(self.known(&mut [Page::default(), Page::default(), Page::default()], id)?.epss)
    }

    /// Everything that is kept under the name of a vulnerability (`CVE-…`); looked up in the order of names it is fastest.
    pub(crate) fn known(&self, pages: &mut [Page; 3], id: &str) -> Result<Known, IndexError> {
        let mut known = Known::default();
        let [kev, epss, severity] = pages;
        self.each_value(kev, &key(KEV, id), |bytes| {
            known.kev = codec::kev(bytes);
            known.kev.is_some()
        })?;
        self.each_value(epss, &key(EPSS, id), |bytes| {
            known.epss = codec::epss(bytes);
            known.epss.is_some()
        })?;
        self.each_value(severity, &key(SEVERITY, id), |bytes| match codec::rating(bytes) {
            Some(rating) => {
                known.ratings.push(rating);
                true
            }
            None => false,
        })?;
        Ok(known)
    }

    /// Calls `take` with each value of a key; false from it says that the value cannot be read. `page` keeps the block that was
    /// read last, for lookups in the order of keys.
    pub(crate) fn each_value(
        &self,
        page: &mut Page,
        key: &[u8],
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), IndexError> {
        let first_key = |number: usize| self.blocks.get(number).map(|block| &self.directory[block.key.clone()]);
        // Lookups in order are often in the block that was read last.
        let again = page.number.filter(|number| {
            first_key(*number).is_some_and(|first| first < key) && first_key(number + 1).is_none_or(|next| next > key)
        });
        // Rows of a key may begin at the end of the block before the first that starts with it.
        let start = again.unwrap_or_else(|| {
            self.blocks.partition_point(|block| &self.directory[block.key.clone()] < key).saturating_sub(1)
        });
        for number in start..self.blocks.len() {
            if first_key(number).is_some_and(|first| first > key) {
                break;
            }
            self.turn_to(page, number)?;
            let behind = page.searched.as_slice() <= key;
            let mut reader = Reader(&page.bytes[if behind { page.reached } else { 0 }..]);
            let mut reached = page.bytes.len() - reader.0.len();
            while !reader.0.is_empty() {
                let (row_key, value) = entry(&mut reader).ok_or_else(|| self.corrupt("a row cannot be read"))?;
                match row_key.cmp(key) {
                    Ordering::Less => reached = page.bytes.len() - reader.0.len(),
                    Ordering::Equal if take(value) => {}
                    Ordering::Equal => return Err(self.corrupt("a row cannot be read")),
                    Ordering::Greater => {
                        page.reached = reached;
                        page.searched.clear();
                        page.searched.extend_from_slice(key);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a block unless it is the one that was read last.
    fn turn_to(&self, page: &mut Page, number: usize) -> Result<(), IndexError> {
        let Some(block) = self.blocks.get(number).filter(|_| page.number != Some(number)) else { return Ok(()) };
        page.number = None;
        page.reached = 0;
        page.searched.clear();
        page.bytes.resize(block.length, 0);
        self.read_at(&mut page.bytes, block.offset)?;
        if crc32fast::hash(&page.bytes) != block.checksum {
            return Err(self.corrupt(&format!("the checksum of block {number} is wrong")));
        }
        page.number = Some(number);
        Ok(())
    }

    /// The advisory that a row names. `window` keeps what was read last: advisories of one package often lie side by side.
    pub(crate) fn advisory(&self, window: &mut Window, offset: u64, length: usize) -> Result<Advisory, IndexError> {
        const CHECKSUM_BYTES: usize = 4;
        if length > ADVISORY_BYTES_MAX {
            return Err(self.corrupt("an advisory is too long"));
        }
        let length = length + CHECKSUM_BYTES;
        if window.get(offset, length).is_none() {
            let left = usize::try_from(self.content_end.saturating_sub(offset)).unwrap_or(usize::MAX);
            window.start = offset;
            window.bytes.resize(WINDOW_BYTES.min(left).max(length), 0);
            if let Err(error) = self.read_at(&mut window.bytes, offset) {
                window.bytes.clear();
                return Err(error);
            }
        }
        let bytes = window.get(offset, length).ok_or_else(|| self.corrupt("an advisory is misplaced"))?;
        let (checksum, bytes) = bytes.split_at(CHECKSUM_BYTES);
        if crc32fast::hash(bytes).to_le_bytes() != checksum {
            return Err(self.corrupt("the checksum of an advisory is wrong"));
        }
        codec::advisory(bytes).ok_or_else(|| self.corrupt("an advisory cannot be read"))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), IndexError> {
        self.file.read_exact_at(bytes, offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                self.corrupt("it has become shorter")
            } else {
                IndexError::Io { path: self.path.clone(), error }
            }
        })
    }

    fn corrupt(&self, what: &str) -> IndexError {
        IndexError::Corrupt { path: self.path.clone(), what: what.to_owned() }
    }
}

/// The block that was read last.
#[derive(Debug, Default)]
pub(crate) struct Page {
    number: Option<usize>,
    bytes: Vec<u8>,
    /// Where the first row is that is not before the key that was searched last.
    reached: usize,
    searched: Vec<u8>,
}

/// Bytes that were read last.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }
}

/// What is kept under the name of a vulnerability.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) kev: Option<Kev>,
    pub(crate) epss: Option<Epss>,
    /// What other databases than the package's say of its severity.
    pub(crate) ratings: Vec<Rating>,
}

impl Known {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.kev.is_none() && self.epss.is_none() && self.ratings.is_empty()
    }
}

/// The key of a package in a release.
pub(crate) fn key(release: &str, name: &str) -> Vec<u8> {
    [release.as_bytes(), &[0], name.as_bytes()].concat()
}

/// A key and its value.
fn entry<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let (key, value) = (reader.length()?, reader.length()?);
    Some((reader.bytes(key)?, reader.bytes(value)?))
}

fn read_directory(bytes: &[u8]) -> Option<(Header, Vec<Block>)> {
    let mut reader = Reader(bytes);
    let header = serde_json::from_str(reader.text()?).ok()?;
    let count = reader.length()?;
    let mut blocks = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let offset = reader.number()?;
        let length = reader.length()?;
        let checksum = u32::from_le_bytes(reader.bytes(4)?.try_into().ok()?);
        let key_length = reader.length()?;
        let start = bytes.len() - reader.0.len();
        reader.bytes(key_length)?;
        blocks.push(Block { offset, length, checksum, key: start..start + key_length });
    }
    Some((header, blocks))
}

/// The bytes at a place in the prefix, which is long enough.
fn array<const LENGTH: usize>(prefix: &[u8; PREFIX_BYTES], at: usize) -> [u8; LENGTH] {
    std::array::from_fn(|index| prefix[at + index])
}
