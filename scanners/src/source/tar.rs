//! Reads the headers of a tar and leaves content alone that nobody asks for.
//!
//! POSIX ustar and pax (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>) with GNU's long names, base-256
//! numbers and sparse files, which is what layers are made of. The `tar` crate reads streams; here a layer of 450 MB within
//! an archive is gone through in jumps, with one read for each few headers.

use std::io;

use super::Random;
use super::input::Input;
use super::walk::{Content, HEAD_BYTES};

pub(crate) const BLOCK_BYTES: usize = 512;
/// Long names and pax records of one entry.
const RECORDS_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(String),
    HardLink(String),
    Sparse,
    Other,
}

/// One entry, as written: its path is not cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// How much of it is stored.
    pub(crate) bytes: u64,
    pub(crate) mode: u32,
}

/// Goes through a tar. After [`Entries::next`] the content may be asked for, once; what was not is skipped.
#[derive(Debug)]
pub(crate) struct Entries<I> {
    input: I,
    /// Of the present entry, with what fills its last block.
    unread: u64,
    padding: u64,
}

/// What long names and pax records say about the entry that follows.
#[derive(Debug, Default)]
struct Records {
    path: Option<String>,
    link: Option<String>,
    bytes: Option<u64>,
    sparse: bool,
}

impl<I: Input> Entries<I> {
    pub(crate) fn new(input: I) -> Self {
        Self { input, unread: 0, padding: 0 }
    }

    pub(crate) fn into_input(self) -> I {
        self.input
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Header>> {
        let mut records = Records::default();
        let mut block = [0; BLOCK_BYTES];
        loop {
            self.input.skip(self.unread.saturating_add(self.padding))?;
            (self.unread, self.padding) = (0, 0);
            if !self.input.read_block(&mut block)? || block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            verify(&block)?;
            let stored = number(&block[124..136])?;
            match block[156] {
                b'x' => records.read_pax(&self.text(stored)?),
                b'L' => records.path = Some(until_zero(&self.text(stored)?)),
                b'K' => records.link = Some(until_zero(&self.text(stored)?)),
                // Records for all entries that follow hold nothing that is used here.
                b'g' => self.owe(stored),
                flag => return self.header(&block, flag, stored, records).map(Some),
            }
        }
    }

    fn header(&mut self, block: &[u8; BLOCK_BYTES], flag: u8, stored: u64, records: Records) -> io::Result<Header> {
        let path = records.path.unwrap_or_else(|| name_of(block));
        let link = records.link.unwrap_or_else(|| until_zero(&block[157..257]));
        let kind = match flag {
            b'0' | 0 | b'7' if path.ends_with('/') && flag == 0 => Kind::Directory,
            b'0' | 0 | b'7' if records.sparse => Kind::Sparse,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'5' => Kind::Directory,
            b'S' => {
                self.skip_sparse_map(block)?;
                Kind::Sparse
            }
            b'3' | b'4' | b'6' => Kind::Other,
            flag => {
                return Err(io::Error::other(format!("an entry of the unknown kind {:?} at {path}", char::from(flag))));
            }
        };
        let bytes = match kind {
            Kind::File | Kind::Sparse => records.bytes.unwrap_or(stored),
            Kind::Directory | Kind::Symlink(_) | Kind::HardLink(_) | Kind::Other => 0,
        };
        self.owe(bytes);
        let mode = u32::try_from(number(&block[100..108])?).unwrap_or(0);
        Ok(Header { path, kind, bytes, mode })
    }

    fn owe(&mut self, bytes: u64) {
        self.unread = bytes;
        self.padding = bytes.wrapping_neg() % BLOCK_BYTES as u64;
    }

    /// GNU's sparse files have more of their map in blocks of their own.
    fn skip_sparse_map(&mut self, block: &[u8; BLOCK_BYTES]) -> io::Result<()> {
        let mut more = block[482] != 0;
        let mut extension = [0; BLOCK_BYTES];
        while more {
            self.input.read_exact(&mut extension)?;
            more = extension[504] != 0;
        }
        Ok(())
    }

    fn text(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        if bytes > RECORDS_BYTES_MAX {
            return Err(io::Error::other("a name that is longer than any path can be"));
        }
        let mut text = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        for chunk in text.chunks_mut(BLOCK_BYTES) {
            self.input.read_exact(chunk)?;
        }
        self.input.skip(bytes.wrapping_neg() % BLOCK_BYTES as u64)?;
        Ok(text)
    }
}

impl<I: Input> Content for Entries<I> {
    fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = vec![0; usize::try_from(self.unread).unwrap_or(usize::MAX).min(HEAD_BYTES)];
        self.input.peek(&mut head)?;
        Ok(head)
    }

    fn random(&mut self) -> io::Result<Random> {
        let bytes = std::mem::take(&mut self.unread);
        self.input.take(bytes)
    }
}

impl Records {
    /// `LENGTH KEY=VALUE\n`, repeated. What does not look so is passed over, as other readers do.
    fn read_pax(&mut self, mut text: &[u8]) {
        while let Some(space) = text.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&text[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some(length) = length.filter(|length| *length > space + 1 && *length <= text.len()) else { return };
            let record = String::from_utf8_lossy(&text[space + 1..length - 1]).into_owned();
            text = &text[length..];
            let Some((key, value)) = record.split_once('=') else { continue };
            match key {
                "path" => self.path = Some(value.to_owned()),
                "GNU.sparse.name" => (self.path, self.sparse) = (Some(value.to_owned()), true),
                "linkpath" => self.link = Some(value.to_owned()),
                "size" => self.bytes = value.parse().ok(),
                key if key.starts_with("GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
    }
}

fn name_of(block: &[u8; BLOCK_BYTES]) -> String {
    let name = until_zero(&block[..100]);
    let prefix = until_zero(&block[345..500]);
    // GNU keeps other things where ustar has the beginning of long paths.
    let is_posix = &block[257..263] == b"ustar\0";
    if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

fn until_zero(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Octal digits, or GNU's big-endian binary when the first bit is set.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8.min(field.len() - 1));
        if field[0] & 0x40 != 0 || high[1..].iter().any(|byte| *byte != 0) {
            return Err(io::Error::other("a number in a header is out of range"));
        }
        return Ok(low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    }
    let text = String::from_utf8_lossy(field);
    let digits = text.trim_matches(|letter| letter == ' ' || letter == '\0');
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| io::Error::other("a number in a header is not octal"))
}

fn verify(block: &[u8; BLOCK_BYTES]) -> io::Result<()> {
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
    if number(&block[148..156])? == sum - own + 8 * u64::from(b' ') {
        return Ok(());
    }
    Err(io::Error::other("a header whose checksum is wrong: it is not a tar, or it is damaged"))
}

/// Whether the first block of something looks like a header.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.first_chunk::<BLOCK_BYTES>().is_some_and(|block| block.iter().all(|byte| *byte == 0) || verify(block).is_ok())
}
