//! Lists and unfolds a zip archive: PKWARE's APPNOTE 6.3 (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>).
//!
//! Only what archives of Java use: stored and deflated entries, zip64. Names are looked at and never made into files; what
//! an entry unfolds to is counted while it unfolds, whatever its header says.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

use crate::source::Random;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: u64 = 22;
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const LOCATOR_BYTES: u64 = 20;
const COMMENT_BYTES_MAX: u64 = 0xffff;
const DIRECTORY_BYTES_MAX: u64 = 64 << 20;
const LOCAL_BYTES: u64 = 30;

#[derive(Debug)]
pub(crate) struct Zip<'a> {
    file: &'a Random,
    directory: Vec<u8>,
    /// What stands in front of the archive: a program that starts it.
    shift: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    method: u16,
    packed: u64,
    offset: u64,
}

impl<'a> Zip<'a> {
    pub(crate) fn open(file: &'a Random) -> io::Result<Self> {
        let tail_bytes = file.length().min(END_BYTES + COMMENT_BYTES_MAX);
        let tail_start = file.length() - tail_bytes;
        let tail = file.bytes(tail_start, tail_bytes)?;
        let at = memchr::memmem::rfind(&tail, END).ok_or_else(|| broken("it has no directory: it was cut off"))?;
        let end = tail.get(at..at + 22).ok_or_else(|| broken("its end is cut off"))?;
        let end_at = tail_start + at as u64;
        let (mut bytes, mut offset, mut directory_end) =
            (u64::from(u32_at(end, 12)), u64::from(u32_at(end, 16)), end_at);
        if let Some((bytes_64, offset_64, end_64)) = zip64(file, end_at)? {
            (bytes, offset, directory_end) = (bytes_64, offset_64, end_64);
        }
        let start = directory_end.checked_sub(bytes).ok_or_else(|| broken("its directory is longer than it is"))?;
        let shift = start.checked_sub(offset).ok_or_else(|| broken("its directory is not where it says"))?;
        if bytes > DIRECTORY_BYTES_MAX {
            return Err(broken("its directory is too large"));
        }
        Ok(Self { file, directory: file.bytes(start, bytes)?, shift })
    }

    /// The entries that the directory names, up to where it is broken.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut rest = self.directory.as_slice();
        std::iter::from_fn(move || {
            let head = rest.get(..46).filter(|head| head.starts_with(b"PK\x01\x02"))?;
            let name_bytes = usize::from(u16_at(head, 28));
            let extra_bytes = usize::from(u16_at(head, 30));
            let comment_bytes = usize::from(u16_at(head, 32));
            let name = rest.get(46..46 + name_bytes)?;
            let extra = rest.get(46 + name_bytes..46 + name_bytes + extra_bytes)?;
            let mut entry = Entry {
                name: String::from_utf8_lossy(name).into_owned(),
                method: u16_at(head, 10),
                packed: u64::from(u32_at(head, 20)),
                offset: u64::from(u32_at(head, 42)),
            };
            widen(&mut entry, u32_at(head, 24) == u32::MAX, extra);
            rest = rest.get(46 + name_bytes + extra_bytes + comment_bytes..).unwrap_or_default();
            Some(entry)
        })
    }

    /// What an entry holds. `budget` is how much may still be unfolded, and is lowered by what was.
    pub(crate) fn open_entry(&self, entry: &Entry, budget: &mut u64) -> io::Result<Random> {
        let at = self.shift.checked_add(entry.offset).ok_or_else(|| broken("an entry is not where it should be"))?;
        let head = self.file.bytes(at, LOCAL_BYTES)?;
        if !head.starts_with(b"PK\x03\x04") {
            return Err(broken("an entry is not where it should be"));
        }
        let data = at + LOCAL_BYTES + u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        let packed = self.file.slice(data, entry.packed)?;
        match entry.method {
            0 => Ok(packed),
            8 => {
                let unfolded = unfold(DeflateDecoder::new(packed.reader()), *budget)?;
                *budget -= unfolded.length();
                Ok(unfolded)
            }
            method => Err(broken(format!("an entry is compressed by the unknown method {method}"))),
        }
    }
}

/// Small ones stay in memory, others go into a file without a name.
fn unfold(packed: impl Read, budget: u64) -> io::Result<Random> {
    let mut limited = packed.take(budget.saturating_add(1));
    let mut start = Vec::new();
    (&mut limited).take(1 << 20).read_to_end(&mut start)?;
    let unfolded = if start.len() < 1 << 20 {
        Random::from_bytes(start)
    } else {
        let mut file = tempfile::tempfile()?;
        io::Write::write_all(&mut file, &start)?;
        io::copy(&mut limited, &mut file)?;
        Random::whole(file)?
    };
    if unfolded.length() > budget {
        return Err(broken("it unfolds to more than is allowed: a zip bomb"));
    }
    Ok(unfolded)
}

fn broken(reason: impl Into<String>) -> io::Error {
    io::Error::other(reason.into())
}

/// Length and place of the directory, and where it ends, of archives beyond 4 GiB or 65,535 entries.
fn zip64(file: &Random, end: u64) -> io::Result<Option<(u64, u64, u64)>> {
    let Some(at) = end.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
    let locator = file.bytes(at, LOCATOR_BYTES)?;
    if !locator.starts_with(LOCATOR_64) {
        return Ok(None);
    }
    // What stands in front of the archive shifts it, so it is looked for where it has to be: before its locator.
    let stated = u64_at(&locator, 8);
    let candidates = [Some(stated), at.checked_sub(56)];
    for place in candidates.into_iter().flatten() {
        if let Ok(record) = file.bytes(place, 56)
            && record.starts_with(END_64)
        {
            return Ok(Some((u64_at(&record, 40), u64_at(&record, 48), place)));
        }
    }
    Err(broken("its end is broken"))
}

/// Zip64 writes what does not fit into 32 bits into an extra field, in a fixed order.
fn widen(entry: &mut Entry, has_size: bool, mut extra: &[u8]) {
    while let Some(head) = extra.get(..4) {
        let length = usize::from(u16_at(head, 2));
        let Some(field) = extra.get(4..4 + length) else { return };
        if u16_at(head, 0) == 1 {
            let mut numbers = field.chunks_exact(8).map(|number| u64_at(number, 0));
            if has_size {
                numbers.next();
            }
            if entry.packed == u64::from(u32::MAX) {
                entry.packed = numbers.next().unwrap_or(entry.packed);
            }
            if entry.offset == u64::from(u32::MAX) {
                entry.offset = numbers.next().unwrap_or(entry.offset);
            }
            return;
        }
        extra = &extra[4 + length..];
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
