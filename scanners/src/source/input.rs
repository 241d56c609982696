//! What a tar is read from: something that can be jumped in, or a stream.

use std::io::{self, Read};

use super::Random;
use super::tar::BLOCK_BYTES;

/// Small files and their headers come with one read.
const WINDOW_BYTES: usize = 4096;

/// Where a tar is read from: in order, skipping what is not wanted.
pub(crate) trait Input {
    fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()>;
    /// Fills `into` unless the input ends exactly here; says whether it did.
    fn read_block(&mut self, into: &mut [u8]) -> io::Result<bool>;
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
    /// Fills `into`, which stays to be read.
    fn peek(&mut self, into: &mut [u8]) -> io::Result<()>;
    /// Takes the next bytes for reading at any place.
    fn take(&mut self, bytes: u64) -> io::Result<Random>;
}

/// A tar that can be jumped in.
#[derive(Debug)]
pub(crate) struct Jumping {
    tar: Random,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
    window_end: u64,
}

impl Jumping {
    pub(crate) fn new(tar: Random) -> Self {
        Self { tar, position: 0, window: vec![0; WINDOW_BYTES], window_start: 0, window_end: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.window_start = self.position;
        self.window_end = self.position;
        while self.window_end - self.window_start < BLOCK_BYTES as u64 {
            let from = usize::try_from(self.window_end - self.window_start).map_err(io::Error::other)?;
            let read = self.tar.read_at(self.window_end, &mut self.window[from..])?;
            if read == 0 {
                break;
            }
            self.window_end += read as u64;
        }
        Ok(())
    }
}

impl Input for Jumping {
    fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        let end = self.position + into.len() as u64;
        if self.position < self.window_start || end > self.window_end {
            if into.len() > BLOCK_BYTES {
                self.tar.read_exact_at(self.position, into)?;
                self.position = end;
                return Ok(());
            }
            self.fill()?;
            if end > self.window_end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let from = usize::try_from(self.position - self.window_start).map_err(io::Error::other)?;
        into.copy_from_slice(&self.window[from..from + into.len()]);
        self.position = end;
        Ok(())
    }

    fn read_block(&mut self, into: &mut [u8]) -> io::Result<bool> {
        if self.position == self.tar.length() {
            return Ok(false);
        }
        self.read_exact(into).map(|()| true)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let to = self.position.checked_add(bytes).filter(|to| *to <= self.tar.length());
        self.position = to.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }

    fn peek(&mut self, into: &mut [u8]) -> io::Result<()> {
        let position = self.position;
        let done = self.read_exact(into);
        self.position = position;
        done
    }

    fn take(&mut self, bytes: u64) -> io::Result<Random> {
        let part = self.tar.slice(self.position, bytes)?;
        self.position += bytes;
        if self.position - bytes >= self.window_start && self.position <= self.window_end {
            let from = usize::try_from(self.position - bytes - self.window_start).map_err(io::Error::other)?;
            let length = usize::try_from(bytes).map_err(io::Error::other)?;
            return Ok(Random::from_bytes(self.window[from..from + length].to_vec()));
        }
        Ok(part)
    }
}

/// A tar that comes once, in order.
#[derive(Debug)]
pub(crate) struct Streaming<R> {
    stream: Seen<R>,
    /// How much may still come: the bound on what a compressed layer unfolds to.
    left: u64,
    scratch: Vec<u8>,
}

/// A stream some of which has been looked at already.
#[derive(Debug)]
struct Seen<R> {
    stream: R,
    seen: Vec<u8>,
}

impl<R: Read> Read for Seen<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.seen.is_empty() {
            return self.stream.read(into);
        }
        let length = into.len().min(self.seen.len());
        into[..length].copy_from_slice(&self.seen[..length]);
        self.seen.drain(..length);
        Ok(length)
    }
}

impl<R: Read> Streaming<R> {
    pub(crate) fn new(stream: R, bytes_max: u64) -> Self {
        Self { stream: Seen { stream, seen: Vec::new() }, left: bytes_max, scratch: vec![0; 64 << 10] }
    }

    pub(crate) fn into_inner(self) -> R {
        self.stream.stream
    }

    fn count(&mut self, bytes: u64) -> io::Result<()> {
        self.left =
            self.left.checked_sub(bytes).ok_or_else(|| io::Error::other("it unfolds to more than is allowed"))?;
        Ok(())
    }
}

impl<R: Read> Input for Streaming<R> {
    fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.count(into.len() as u64)?;
        self.stream.read_exact(into)
    }

    fn read_block(&mut self, into: &mut [u8]) -> io::Result<bool> {
        let mut done = 0;
        while done < into.len() {
            match self.stream.read(&mut into[done..]) {
                Ok(0) if done == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.count(into.len() as u64)?;
        Ok(true)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.count(bytes)?;
        let mut left = bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.scratch.len());
            self.stream.read_exact(&mut self.scratch[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    fn peek(&mut self, into: &mut [u8]) -> io::Result<()> {
        let have = self.stream.seen.len();
        if have < into.len() {
            self.stream.seen.resize(into.len(), 0);
            if let Err(error) = self.stream.stream.read_exact(&mut self.stream.seen[have..]) {
                self.stream.seen.truncate(have);
                return Err(error);
            }
        }
        into.copy_from_slice(&self.stream.seen[..into.len()]);
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> io::Result<Random> {
        self.count(bytes)?;
        Random::spool(&mut self.stream, bytes)
    }
}
