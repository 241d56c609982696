//! Bytes that can be read at any place: a file, a stretch of a file, or what a stream brought.
//!
//! No memory maps: a file that is cut while it is read is an error here and not a signal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Files of streams that are larger than this lie in a temporary file.
const MEMORY_BYTES_MAX: u64 = 1 << 20;

/// Bytes of known length, read by position. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Random(Place);

#[derive(Debug, Clone)]
enum Place {
    Memory { bytes: Arc<Vec<u8>>, start: usize, length: usize },
    File { file: Arc<File>, start: u64, length: u64 },
}

impl Random {
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        Self(Place::Memory { bytes: Arc::new(bytes), start: 0, length })
    }

    /// `length` bytes of a file from `start`; whether they are there shows when they are read.
    #[must_use]
    pub fn from_file(file: Arc<File>, start: u64, length: u64) -> Self {
        Self(Place::File { file, start, length })
    }

    /// # Errors
    /// When the file cannot be asked for its length.
    pub fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::from_file(Arc::new(file), 0, length))
    }

    /// Takes `length` bytes out of a stream: small ones into memory, others into a file that has no name.
    ///
    /// # Errors
    /// When the stream ends early, or there is no room for the temporary file.
    pub fn spool(stream: &mut dyn Read, length: u64) -> io::Result<Self> {
        if length <= MEMORY_BYTES_MAX {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            stream.read_exact(&mut bytes)?;
            return Ok(Self::from_bytes(bytes));
        }
        let mut file = tempfile::tempfile()?;
        let copied = io::copy(&mut stream.take(length), &mut file)?;
        file.flush()?;
        if copied < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self::from_file(Arc::new(file), 0, length))
    }

    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.0 {
            Place::Memory { length, .. } => *length as u64,
            Place::File { length, .. } => *length,
        }
    }

    /// A stretch of these bytes.
    ///
    /// # Errors
    /// When it does not lie within them.
    pub fn slice(&self, from: u64, bytes: u64) -> io::Result<Self> {
        if from.checked_add(bytes).is_none_or(|end| end > self.length()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(match &self.0 {
            Place::Memory { bytes: all, start, .. } => Place::Memory {
                bytes: Arc::clone(all),
                start: start + usize::try_from(from).map_err(io::Error::other)?,
                length: usize::try_from(bytes).map_err(io::Error::other)?,
            },
            Place::File { file, start, .. } => {
                Place::File { file: Arc::clone(file), start: start + from, length: bytes }
            }
        }))
    }

    /// Reads as much as there is at `offset`, up to the length of `into`; 0 at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        match &self.0 {
            Place::Memory { bytes, start, .. } => {
                let from = start + usize::try_from(offset).map_err(io::Error::other)?;
                into[..wanted].copy_from_slice(&bytes[from..from + wanted]);
                Ok(wanted)
            }
            Place::File { file, start, .. } => file.read_at(&mut into[..wanted], start + offset),
        }
    }

    /// # Errors
    /// When there are fewer bytes, or they cannot be read.
    pub fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            let read = self.read_at(offset + done as u64, &mut into[done..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            done += read;
        }
        Ok(())
    }

    /// `length` bytes from `offset`. The length is checked against what there is before room is made for it.
    ///
    /// # Errors
    /// When there are fewer bytes, or they cannot be read.
    pub fn bytes(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        if offset.checked_add(length).is_none_or(|end| end > self.length()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.read_exact_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// All of it, in order.
    #[must_use]
    pub fn reader(&self) -> RandomReader {
        RandomReader { random: self.clone(), position: 0 }
    }
}

/// Reads a [`Random`] from its beginning.
#[derive(Debug)]
pub struct RandomReader {
    random: Random,
    position: u64,
}

impl Read for RandomReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.random.read_at(self.position, into)?;
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_memory_and_files_are_alike() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for random in [Random::from_bytes(b"0123456789".to_vec()), Random::whole(file).unwrap()] {
            let part = random.slice(2, 5).unwrap();
            assert_eq!(part.length(), 5);
            assert_eq!(part.bytes(1, 3).unwrap(), b"345");
            assert_eq!(part.slice(4, 1).unwrap().bytes(0, 1).unwrap(), b"6");
            assert!(part.bytes(3, 3).is_err());
            assert!(part.slice(5, 1).is_err());
            assert!(part.slice(u64::MAX, 2).is_err());
            let mut all = String::new();
            part.reader().read_to_string(&mut all).unwrap();
            assert_eq!(all, "23456");
        }
    }
}
