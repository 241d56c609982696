//! Writes the index: one file that is made beside the old one and takes its place when it is whole and on the disk.
//!
//! ```text
//! prefix       what it is, format, length, where the directory lies, digest, checksum of these
//! advisories   one after the other, a checksum before each
//! rows         sorted by release and package, in blocks with a checksum each; KEV and EPSS are rows too
//! directory    the header as JSON, then the first key, place and checksum of each block
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::codec;
use super::header::Header;
use super::index::{Block, FORMAT, MAGIC, PREFIX_BYTES};
use super::model::Advisory;
use super::seen::Watcher;
use crate::finding::{Epss, Kev};

/// How full a block gets before the next one begins. A lookup reads one, so it is a page of the disk's cache.
const BLOCK_BYTES: usize = 4096;
/// The names under which KEV, EPSS and what anyone says of a vulnerability's severity are kept, where releases have theirs.
pub(crate) const KEV: &str = "kev";
pub(crate) const EPSS: &str = "epss";
pub(crate) const SEVERITY: &str = "severity";

/// An index in the making.
pub(crate) struct Builder {
    target: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    offset: u64,
    /// Keys and values, one after the other.
    arena: Vec<u8>,
    rows: Vec<RowPlace>,
    releases: BTreeMap<String, u64>,
    advisories: u64,
    scratch: Vec<u8>,
    watcher: Option<Watcher>,
}

#[derive(Clone, Copy)]
struct RowPlace {
    start: usize,
    key: u32,
    value: u32,
}

impl Builder {
    /// Begins an index that will take the place of `target`.
    pub(crate) fn new(target: &Path) -> io::Result<Self> {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Of its own name, so that two updates at once do not write into one file.
        let unfinished = target.with_extension(format!("{}.unfinished", std::process::id()));
        let mut file = BufWriter::with_capacity(1 << 18, File::create(&unfinished)?);
        file.write_all(&[0; PREFIX_BYTES])?;
        Ok(Self {
            target: target.to_owned(),
            unfinished,
            file,
            digest: Sha256::new(),
            offset: PREFIX_BYTES as u64,
            arena: Vec::new(),
            rows: Vec::new(),
            releases: BTreeMap::new(),
            advisories: 0,
            scratch: Vec::new(),
            watcher: None,
        })
    }

    /// Notes which fixes are new at this time.
    pub(crate) fn watching(mut self, now: Timestamp) -> Self {
        self.watcher = Some(Watcher::new(&self.target, now));
        self
    }

    /// Takes in one advisory with everything it affects.
    pub(crate) fn add(&mut self, advisory: &Advisory) -> io::Result<()> {
        if let Some(watcher) = &mut self.watcher {
            watcher.see(advisory);
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        codec::put_advisory(&mut bytes, advisory);
        let offset = self.offset;
        let checksum = crc32fast::hash(&bytes).to_le_bytes();
        self.write(&checksum)?;
        self.write(&bytes)?;
        let length = bytes.len() as u64;
        for affected in &advisory.affected {
            bytes.clear();
            codec::put_row(&mut bytes, offset, length, affected);
            self.row(&affected.release, &affected.name, &bytes);
            match self.releases.get_mut(&affected.release) {
                Some(count) => *count += 1,
                None => {
                    self.releases.insert(affected.release.clone(), 1);
                }
            }
        }
        self.add_severity(advisory, &mut bytes);
        self.advisories += 1;
        self.scratch = bytes;
        Ok(())
    }

    /// Keeps the best vector under the name of the vulnerability, for databases that have none: Debian's and Alpine's.
    fn add_severity(&mut self, advisory: &Advisory, bytes: &mut Vec<u8>) {
        let affected = advisory.affected.iter().filter_map(|affected| affected.rating.as_ref());
        let rating = advisory.ratings.iter().chain(affected).find(|rating| rating.cvss.is_some());
        let Some(rating) = rating.filter(|_| advisory.covers.is_empty()) else { return };
        let names = std::iter::once(&advisory.id).chain(&advisory.aliases);
        for name in names.filter(|name| name.starts_with("CVE-")) {
            bytes.clear();
            codec::put_rating(bytes, rating);
            self.row(SEVERITY, name, bytes);
        }
    }

    pub(crate) fn add_kev(&mut self, id: &str, kev: &Kev) {
        let mut bytes = Vec::new();
        codec::put_kev(&mut bytes, kev);
        self.row(KEV, id, &bytes);
    }

    pub(crate) fn add_epss(&mut self, id: &str, epss: Epss) {
        let mut bytes = Vec::new();
        codec::put_epss(&mut bytes, epss);
        self.row(EPSS, id, &bytes);
    }

    fn row(&mut self, release: &str, name: &str, value: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(release.as_bytes());
        self.arena.push(0);
        self.arena.extend_from_slice(name.as_bytes());
        let key = (self.arena.len() - start) as u32;
        self.arena.extend_from_slice(value);
        self.rows.push(RowPlace { start, key, value: value.len() as u32 });
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Writes the rows and the directory, waits until the disk has them, and puts the file in its place.
    pub(crate) fn finish(mut self, mut header: Header) -> io::Result<()> {
        let blocks = self.write_rows()?;
        header.advisories = self.advisories;
        header.rows = self.releases.values().sum();
        header.releases = std::mem::take(&mut self.releases);
        let mut directory = Vec::new();
        let text = serde_json::to_string(&header).map_err(io::Error::other)?;
        codec::put_text(&mut directory, &text);
        codec::put_number(&mut directory, blocks.len() as u64);
        for (block, key) in &blocks {
            codec::put_number(&mut directory, block.offset);
            codec::put_number(&mut directory, block.length as u64);
            directory.extend_from_slice(&block.checksum.to_le_bytes());
            codec::put_number(&mut directory, key.len() as u64);
            directory.extend_from_slice(key);
        }
        self.file.write_all(&directory)?;
        let prefix = self.prefix(&directory);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&prefix)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        if let Some(watcher) = &self.watcher {
            watcher.save(&self.target)?;
        }
        std::fs::rename(&self.unfinished, &self.target)?;
        if let Some(folder) = self.target.parent() {
            // The new name has to be on the disk as well.
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    fn prefix(&mut self, directory: &[u8]) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(PREFIX_BYTES);
        prefix.extend_from_slice(MAGIC);
        prefix.extend_from_slice(&FORMAT.to_le_bytes());
        prefix.extend_from_slice(&(self.offset + directory.len() as u64).to_le_bytes());
        prefix.extend_from_slice(&self.offset.to_le_bytes());
        prefix.extend_from_slice(&crc32fast::hash(directory).to_le_bytes());
        prefix.extend_from_slice(&std::mem::take(&mut self.digest).finalize());
        let checksum = crc32fast::hash(&prefix);
        prefix.extend_from_slice(&checksum.to_le_bytes());
        debug_assert_eq!(prefix.len(), PREFIX_BYTES, "the prefix has one length");
        prefix
    }

    fn write_rows(&mut self) -> io::Result<Vec<(Block, Vec<u8>)>> {
        let arena = std::mem::take(&mut self.arena);
        let mut rows = std::mem::take(&mut self.rows);
        let whole = |row: &RowPlace| &arena[row.start..row.start + (row.key + row.value) as usize];
        let key = |row: &RowPlace| &arena[row.start..row.start + row.key as usize];
        rows.sort_unstable_by(|left, right| key(left).cmp(key(right)).then_with(|| whole(left).cmp(whole(right))));
        rows.dedup_by(|left, right| left.key == right.key && whole(left) == whole(right));
        let mut blocks = Vec::new();
        let mut block = Vec::with_capacity(BLOCK_BYTES * 2);
        let mut first: Vec<u8> = Vec::new();
        for row in &rows {
            if block.is_empty() {
                first = key(row).to_vec();
            }
            codec::put_number(&mut block, u64::from(row.key));
            codec::put_number(&mut block, u64::from(row.value));
            block.extend_from_slice(whole(row));
            if block.len() >= BLOCK_BYTES {
                blocks.push((self.write_block(&block)?, std::mem::take(&mut first)));
                block.clear();
            }
        }
        if !block.is_empty() {
            blocks.push((self.write_block(&block)?, first));
        }
        Ok(blocks)
    }

    fn write_block(&mut self, bytes: &[u8]) -> io::Result<Block> {
        let block = Block { offset: self.offset, length: bytes.len(), checksum: crc32fast::hash(bytes), key: 0..0 };
        self.write(bytes)?;
        Ok(block)
    }
}

impl Drop for Builder {
    /// A build that failed leaves nothing behind; after one that succeeded there is nothing of that name.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.unfinished);
    }
}
