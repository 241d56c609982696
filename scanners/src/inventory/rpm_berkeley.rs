//! rpm's oldest database: a hash of Berkeley DB, as CentOS 7, Amazon Linux 2 and what is older have it.
//!
//! All pages are gone through in order and no bucket is looked up: each page of the hash holds pairs, and a header that does not
//! fit lies in a chain of pages. The form is described in Berkeley DB's sources only (dbinc/db_page.h: `DBMETA`, `HMETA33`, `PAGE`,
//! `HKEYDATA`, `HOFFPAGE`). Numbers are those of the machine that wrote; only little-endian ones are read.

use std::io;

use super::facts::Said;
use super::rpm_header::{HEADER_BYTES_MAX, package};
use crate::source::Random;

const MAGIC: u32 = 0x0006_1561;
/// Of Berkeley DB 4.x to 5.x and 6.x.
const VERSIONS: std::ops::RangeInclusive<u32> = 8..=10;
const META_BYTES: u64 = 512;
const PAGE_HEAD_BYTES: usize = 26;
const PAGES_MAX: u32 = 4_000_000;
/// Kinds of pages and, in them, of items.
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
const ITEM_HERE: u8 = 1;
const ITEM_ELSEWHERE: u8 = 3;
/// Problems that are named.
const PROBLEMS_MAX: usize = 20;

/// Reads a database.
pub(crate) fn berkeley(database: &Random) -> Said {
    match read(database) {
        Ok(said) => said,
        Err(error) => {
            Said::unread(format!("rpm's database (Berkeley DB) cannot be read: {}", crate::source::explain(&error)))
        }
    }
}

struct Pages<'a> {
    database: &'a Random,
    bytes: u64,
    count: u32,
}

fn read(database: &Random) -> io::Result<Said> {
    let pages = Pages::open(database)?;
    // Each page is part of one chain, so all of them are no longer than the file.
    let mut left = database.length();
    let mut said = Said::default();
    for number in 1..pages.count {
        let page = pages.page(number)?;
        if !matches!(page[25], HASH | HASH_UNSORTED) {
            continue;
        }
        for item in values(&page)? {
            let header = match item {
                // The count of packages, under a key of its own.
                Value::Here(bytes) if bytes.len() <= 8 => continue,
                Value::Here(bytes) => Ok(bytes.to_vec()),
                Value::Elsewhere { page, length } => pages.chain(page, length),
            };
            let bytes = header.as_ref().map_or(0, |header| header.len() as u64);
            left = left.checked_sub(bytes).ok_or_else(|| io::Error::other("its headers are longer than itself"))?;
            let problem = match header {
                Ok(header) => package(&header, &mut said).err().map(str::to_owned),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem.filter(|_| said.unread.len() < PROBLEMS_MAX) {
                said.unread.push(format!("page {number}: {problem}"));
            }
        }
    }
    Ok(said)
}

enum Value<'a> {
    Here(&'a [u8]),
    Elsewhere { page: u32, length: u32 },
}

impl<'a> Pages<'a> {
    fn open(database: &'a Random) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::other(what.to_owned());
        if database.length() < META_BYTES {
            return Err(wrong("it is too short"));
        }
        let meta = database.bytes(0, META_BYTES)?;
        let magic = word(&meta, 12)?;
        if magic == MAGIC.swap_bytes() {
            return Err(wrong("it was written by a big-endian machine, which is not read"));
        }
        if magic != MAGIC || !VERSIONS.contains(&word(&meta, 16)?) {
            return Err(wrong("it is no hash of a version that is known"));
        }
        if meta[24] != 0 {
            return Err(wrong("it is encrypted"));
        }
        let bytes = u64::from(word(&meta, 20)?);
        if !bytes.is_power_of_two() || !(512..=65_536).contains(&bytes) {
            return Err(wrong("its pages have no length that pages may have"));
        }
        let count = word(&meta, 32)?.saturating_add(1);
        if count > PAGES_MAX || u64::from(count) * bytes > database.length() {
            return Err(wrong("it is cut off"));
        }
        Ok(Self { database, bytes, count })
    }

    fn page(&self, number: u32) -> io::Result<Vec<u8>> {
        self.database.bytes(u64::from(number) * self.bytes, self.bytes)
    }

    /// What lies in a chain of pages.
    fn chain(&self, first: u32, length: u32) -> io::Result<Vec<u8>> {
        let broken = || io::Error::other("the chain of pages with its header is broken");
        let length = usize::try_from(length).ok().filter(|length| *length <= HEADER_BYTES_MAX).ok_or_else(broken)?;
        let mut whole = Vec::with_capacity(length.min(1 << 20));
        let mut number = first;
        // It ends: each page adds something, and there is an end to what may come.
        while whole.len() < length {
            if number == 0 || number >= self.count {
                return Err(broken());
            }
            let page = self.page(number)?;
            let used = usize::from(half(&page, 22)?);
            let part = page.get(PAGE_HEAD_BYTES..PAGE_HEAD_BYTES + used).filter(|part| !part.is_empty());
            let part = part.filter(|_| page[25] == OVERFLOW).ok_or_else(broken)?;
            whole.extend_from_slice(&part[..part.len().min(length - whole.len())]);
            number = word(&page, 16)?;
        }
        Ok(whole)
    }
}

/// The second of each pair of a page. Items lie from its end downwards, so one ends where the one before it begins.
fn values(page: &[u8]) -> io::Result<Vec<Value<'_>>> {
    let broken = || io::Error::other("a page of the hash is broken");
    let count = usize::from(half(page, 20)?);
    let mut values = Vec::with_capacity(count / 2);
    let mut end = page.len();
    for number in 0..count {
        let start = usize::from(half(page, PAGE_HEAD_BYTES + number * 2)?);
        let item = page.get(start..end).filter(|item| !item.is_empty()).ok_or_else(broken)?;
        end = start;
        if number % 2 == 0 {
            continue;
        }
        values.push(match item[0] {
            ITEM_HERE => Value::Here(&item[1..]),
            ITEM_ELSEWHERE => Value::Elsewhere { page: word(item, 4)?, length: word(item, 8)? },
            _ => return Err(io::Error::other("a page of the hash holds what packages are not kept in")),
        });
    }
    Ok(values)
}

fn word(bytes: &[u8], at: usize) -> io::Result<u32> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    word.map(|word| u32::from_le_bytes(*word)).ok_or_else(|| io::Error::other("it is cut off"))
}

fn half(bytes: &[u8], at: usize) -> io::Result<u16> {
    let half = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    half.map(|half| u16::from_le_bytes(*half)).ok_or_else(|| io::Error::other("it is cut off"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Made by Berkeley DB 5.3 (Python's `dbm.ndbm` on Debian 12): 36 headers within a page, beyond a page and over several
    /// pages, and a key.
    fn sample() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/rpm/Packages.gz");
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn said(bytes: Vec<u8>) -> Said {
        berkeley(&Random::from_bytes(bytes))
    }

    #[test]
    fn a_database_of_berkeley_db_is_read() {
        let said = said(sample());
        assert_eq!(said.unread, [""; 0]);
        let mut found: Vec<_> = said.packages.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
        found.sort();
        let expected: Vec<_> = (0..36)
            .map(|number| format!("pkg{number:02} {}1.{number}-3.el7", if number % 9 == 0 { "2:" } else { "" }))
            .collect();
        assert_eq!(found, expected);
    }

    /// Whatever is changed or missing, nothing is taken for a whole database that is not, and nothing goes on for ever.
    #[test]
    fn what_is_damaged_is_said() {
        let whole = sample();
        for length in [0, 1, 511, 512, 4_096, whole.len() / 2, whole.len() - 1] {
            assert!(!said(whole[..length].to_vec()).unread.is_empty(), "{length} bytes");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            said(bytes)
        };
        for (at, byte, expected) in [
            (12, 0, "no hash of a version"),
            (16, 3, "no hash of a version"),
            (24, 1, "encrypted"),
            (20, 7, "no length"),
        ] {
            let unread = changed(at, byte).unread.join("\n");
            assert!(unread.contains(expected), "{at}: {unread}");
        }
        let mut swapped = whole.clone();
        swapped[12..16].reverse();
        assert!(said(swapped).unread[0].contains("big-endian"));
        // Chains that lead to themselves, to other pages and nowhere.
        let overflow: Vec<_> = (0..whole.len() / 4_096).filter(|page| whole[page * 4_096 + 25] == OVERFLOW).collect();
        assert!(overflow.len() > 10);
        for page in overflow {
            for next in [page as u32, 1, u32::MAX] {
                let mut bytes = whole.clone();
                bytes[page * 4_096 + 16..page * 4_096 + 20].copy_from_slice(&next.to_le_bytes());
                let said = said(bytes);
                assert!(said.packages.len() <= 37, "{page} → {next}");
            }
        }
    }
}
