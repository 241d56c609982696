//! What clients send in blocks, until it is whole.
//!
//! Blocks come in any order, several at once, and a list says at the end how they follow. Clients number their blocks, so
//! where one will lie is guessed when it comes: then the file is whole as soon as the last block is, and its digest is
//! made, and the disk written, while the rest still comes. Where a guess was wrong the blocks are put together at the end. All of it is on the
//! disk, so that a process that takes a job up takes its uploads up too.

mod places;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use engine::blobs::{BlobDigest, Flush};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(crate) use places::Extent;
use places::{State, too_large};

/// Bytes of one upload: as many as a built-in action takes.
pub(crate) const UPLOAD_BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;
/// Blocks of one, as Azure has it.
pub(crate) const BLOCKS_MAX: usize = 50_000;
/// Uploads of one job that are open at once.
const OPEN_MAX: usize = 1_000;
/// Nobody finishes what was begun longer ago.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Read at once for the digest.
const HASHED_BYTES: usize = 1 << 20;
/// Sent to the disk at once, where it has to be there at the end.
const FLUSHED_BYTES: u64 = 64 << 20;

/// What an upload will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Artifact { name: String, mime: String, expires: u64 },
    Cache { key: String, version: String },
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    owner: String,
    what: What,
}

/// The uploads of a job.
#[derive(Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
    owner: String,
    flush: Flush,
    open: Mutex<HashMap<u64, Arc<Upload>>>,
}

/// One.
#[derive(Debug)]
pub(crate) struct Upload {
    folder: PathBuf,
    pub(crate) what: What,
    content: File,
    spill: File,
    state: Mutex<State>,
    hashing: Mutex<Hashing>,
    flush: Flush,
    /// How much was there when it was last sent to the disk.
    flushed: Mutex<u64>,
}

/// An upload whose blocks are in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub(crate) bytes: u64,
    /// What the client says that it is.
    pub(crate) kind: String,
    /// The file of it.
    file: String,
}

#[derive(Debug, Default)]
struct Hashing {
    to: u64,
    hash: Sha256,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploads {
    pub(crate) fn new(folder: PathBuf, owner: String) -> Self {
        Self { folder, owner, flush: Flush::First, open: Mutex::default() }
    }

    /// The same with another rule for when what comes has to be on the disk.
    pub(crate) fn flushed(self, flush: Flush) -> Self {
        Self { flush, ..self }
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Begins one; gives its number, which is drawn, and safe in JSON of every language.
    pub(crate) fn begin(&self, what: What) -> io::Result<u64> {
        self.begin_in(&mut lock(&self.open), what)
    }

    /// The same, if this process has begun none for the same thing that is not finished.
    pub(crate) fn begin_alone(&self, what: What) -> io::Result<Option<u64>> {
        let mut open = lock(&self.open);
        if open.values().any(|upload| upload.what == what) {
            return Ok(None);
        }
        self.begin_in(&mut open, what).map(Some)
    }

    fn begin_in(&self, open: &mut HashMap<u64, Arc<Upload>>, what: What) -> io::Result<u64> {
        if open.len() >= OPEN_MAX {
            return Err(io::Error::other(format!("more than {OPEN_MAX} uploads of this job are not finished")));
        }
        let id = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))? >> 12;
        let folder = self.path(id);
        std::fs::create_dir_all(&self.folder)?;
        std::fs::create_dir(&folder)?;
        let about = About { owner: self.owner.clone(), what };
        std::fs::write(folder.join("about"), serde_json::to_vec(&about)?)?;
        open.insert(id, Arc::new(Upload::open(folder, about.what, self.flush)?));
        Ok(id)
    }

    /// An upload of this job, also one that was begun in the process before.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Upload>> {
        let mut open = lock(&self.open);
        if let Some(upload) = open.get(&id) {
            return Some(Arc::clone(upload));
        }
        let folder = self.path(id);
        let about: About = serde_json::from_slice(&std::fs::read(folder.join("about")).ok()?).ok()?;
        if about.owner != self.owner {
            return None;
        }
        let upload = Arc::new(Upload::open(folder, about.what, self.flush).ok()?);
        open.insert(id, Arc::clone(&upload));
        Some(upload)
    }

    /// The newest upload of this job that is whole and fits.
    pub(crate) fn whole(&self, fits: impl Fn(&What) -> bool) -> Option<(u64, Arc<Upload>)> {
        let ids = self.ids();
        let mut found: Vec<_> = ids.into_iter().filter_map(|id| Some((id, self.get(id)?))).collect();
        found.retain(|(_, upload)| fits(&upload.what) && upload.committed().is_some());
        found.into_iter().max_by_key(|(_, upload)| {
            std::fs::metadata(upload.folder.join("committed")).and_then(|facts| facts.modified()).ok()
        })
    }

    fn ids(&self) -> Vec<u64> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Forgets one and removes what is left of it.
    pub(crate) fn discard(&self, id: u64) {
        lock(&self.open).remove(&id);
        // What stays goes with the stale ones.
        let _left = std::fs::remove_dir_all(self.path(id));
    }

    /// Removes those of this job, and those that nobody will finish.
    pub(crate) fn discard_all(&self) {
        for id in self.ids() {
            let about = self.path(id).join("about");
            let own = std::fs::read(&about).ok().and_then(|bytes| serde_json::from_slice::<About>(&bytes).ok());
            let age = std::fs::metadata(&about).and_then(|facts| facts.modified()).ok();
            let age = age.and_then(|time| SystemTime::now().duration_since(time).ok());
            if own.is_some_and(|about| about.owner == self.owner) || age.is_some_and(|age| age > STALE) {
                self.discard(id);
            }
        }
    }
}

impl Upload {
    fn open(folder: PathBuf, what: What, flush: Flush) -> io::Result<Self> {
        let file =
            |name: &str| File::options().read(true).write(true).create(true).truncate(false).open(folder.join(name));
        let mut state = State::default();
        let noted = std::fs::read(folder.join("blocks")).unwrap_or_default();
        for line in noted.split(|byte| *byte == b'\n') {
            // The last one may be torn: that block was never acknowledged.
            let Ok((id, extent)) = serde_json::from_slice::<(String, Extent)>(line) else { continue };
            state.note(id, extent);
        }
        state.committed =
            std::fs::read(folder.join("committed")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (content, spill) = (file("content")?, file("spill")?);
        let (state, hashing, flushed) = (Mutex::new(state), Mutex::default(), Mutex::default());
        Ok(Self { content, spill, folder, what, state, hashing, flush, flushed })
    }

    pub(crate) fn committed(&self) -> Option<Committed> {
        lock(&self.state).committed.clone()
    }

    /// Chooses where a block will lie.
    pub(crate) fn place(&self, id: &str, bytes: u64) -> Result<Extent, String> {
        lock(&self.state).place(id, bytes)
    }

    /// A place that the client names itself, as the first form of the cache's API has it.
    pub(crate) fn place_at(&self, at: u64, bytes: u64) -> Result<Extent, String> {
        if at.saturating_add(bytes) > UPLOAD_BYTES_MAX {
            return Err(too_large());
        }
        Ok(Extent { spilled: false, at, bytes })
    }

    /// Writes bytes of a block. May block.
    pub(crate) fn write(&self, extent: Extent, offset: u64, parts: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let file = if extent.spilled { &self.spill } else { &self.content };
        let mut at = extent.at + offset;
        for part in parts {
            file.write_all_at(part.as_ref(), at)?;
            at += part.as_ref().len() as u64;
        }
        Ok(())
    }

    /// A block is written whole. May block.
    pub(crate) fn wrote(&self, id: &str, extent: Extent) -> io::Result<()> {
        let mut line = serde_json::to_vec(&(id, extent))?;
        line.push(b'\n');
        let mut state = lock(&self.state);
        let mut notes = File::options().append(true).create(true).open(self.folder.join("blocks"))?;
        notes.write_all(&line)?;
        state.note(id.to_owned(), extent);
        Ok(())
    }

    /// Goes on with the digest as far as there is no gap, unless somebody else does. May block.
    pub(crate) fn hash_on(&self) -> io::Result<()> {
        let Ok(mut hashing) = self.hashing.try_lock() else { return Ok(()) };
        loop {
            let next = lock(&self.state).whole.get(&hashing.to).copied();
            let Some(bytes) = next.filter(|bytes| *bytes > 0) else { return Ok(()) };
            hashing.take(&self.content, bytes)?;
        }
    }

    /// Sends what has come to the disk, where it has to be there at the end and is much, unless somebody else does. May block.
    pub(crate) fn flush_on(&self) -> io::Result<()> {
        let Ok(mut flushed) = self.flushed.try_lock() else { return Ok(()) };
        let come = lock(&self.state).whole.values().sum();
        if self.flush == Flush::Later || come < *flushed + FLUSHED_BYTES {
            return Ok(());
        }
        self.content.sync_data()?;
        *flushed = come;
        Ok(())
    }

    /// Puts the blocks in the order of a list. May block.
    pub(crate) fn commit(&self, list: &[String], kind: &str) -> Result<(), String> {
        let mut extents = Vec::with_capacity(list.len());
        {
            let state = lock(&self.state);
            for id in list {
                extents.push(*state.blocks.get(id).ok_or_else(|| format!("the block {id} never came whole"))?);
            }
        }
        let mut end = 0;
        let in_place = extents.iter().all(|extent| {
            let fits = !extent.spilled && extent.at == end;
            end += extent.bytes;
            fits
        });
        let bytes: u64 = extents.iter().map(|extent| extent.bytes).sum();
        if bytes > UPLOAD_BYTES_MAX {
            return Err(too_large());
        }
        let written = if in_place { self.content.set_len(bytes).map(|()| "content") } else { self.assemble(&extents) };
        let file = written.map_err(|error| error.to_string())?.to_owned();
        self.settle(Committed { bytes, kind: kind.to_owned(), file })
    }

    /// The whole was sent at once, or at places that the client chose.
    pub(crate) fn commit_as_is(&self, bytes: u64, kind: &str) -> Result<(), String> {
        let mut reached = 0;
        for (at, length) in &lock(&self.state).whole {
            if *at <= reached {
                reached = reached.max(at + length);
            }
        }
        if reached < bytes {
            return Err(format!("of {bytes} bytes only the first {reached} came"));
        }
        self.content.set_len(bytes).map_err(|error| error.to_string())?;
        self.settle(Committed { bytes, kind: kind.to_owned(), file: "content".to_owned() })
    }

    fn settle(&self, committed: Committed) -> Result<(), String> {
        let json = serde_json::to_vec(&committed).map_err(|error| error.to_string())?;
        std::fs::write(self.folder.join("committed"), json).map_err(|error| error.to_string())?;
        lock(&self.state).committed = Some(committed);
        Ok(())
    }

    fn assemble(&self, extents: &[Extent]) -> io::Result<&'static str> {
        let path = self.folder.join("assembled");
        let mut to = io::BufWriter::with_capacity(HASHED_BYTES, File::create(&path)?);
        for extent in extents {
            let from = if extent.spilled { &self.spill } else { &self.content };
            each_part(from, extent.at, extent.bytes, |part| to.write_all(part))?;
        }
        to.flush()?;
        Ok("assembled")
    }

    /// The file of what is whole, and its digest. May block.
    pub(crate) fn digest(&self, committed: &Committed) -> io::Result<(PathBuf, BlobDigest)> {
        let path = self.folder.join(&committed.file);
        let mut hashing = lock(&self.hashing);
        // What was read ahead counts only as long as it lies within the whole.
        let mut own = if committed.file == "content" && hashing.to <= committed.bytes {
            std::mem::take(&mut *hashing)
        } else {
            Hashing::default()
        };
        let file = File::open(&path)?;
        own.take(&file, committed.bytes - own.to)?;
        let hex: String = own.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((path, BlobDigest::try_from(hex).map_err(io::Error::other)?))
    }
}

impl Hashing {
    fn take(&mut self, from: &File, bytes: u64) -> io::Result<()> {
        let taken = each_part(from, self.to, bytes, |part| {
            self.hash.update(part);
            Ok(())
        });
        match taken {
            Ok(()) => self.to += bytes,
            // It has an unknown part of them.
            Err(_) => *self = Self::default(),
        }
        taken
    }
}

fn each_part(from: &File, at: u64, bytes: u64, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut part = vec![0; HASHED_BYTES.min(usize::try_from(bytes).unwrap_or(HASHED_BYTES))];
    let mut done = 0;
    while done < bytes {
        let length = part.len().min(usize::try_from(bytes - done).unwrap_or(usize::MAX));
        from.read_exact_at(&mut part[..length], at + done)?;
        take(&part[..length])?;
        done += length as u64;
    }
    Ok(())
}
