//! The output of one exec from its first unacknowledged byte on: in memory, and in files where nobody comes to take it.
//!
//! While a client takes output, however slowly, the step waits for it as it would for a pipe: writing all to a disk first
//! and reading it back would only be slower. Files are for the time without a client, in which the step goes on.
//!
//! Bytes are read from the pipe straight into the piece from which they are later sent; nothing is copied in between. What
//! lies here survives the engine's death, since the agent lives on; it need not survive the agent's own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use agent::protocol::{ExecId, OUTPUT_BYTES_MAX};

use super::segments::{Segments, Spot};

/// Bytes of a piece: what one output frame carries.
const PIECE_BYTES: usize = OUTPUT_BYTES_MAX;

/// Pieces that one exec keeps in memory: as many as a client has on its way between two acknowledgements. Further ones go
/// to a file as soon as they are full, or wait in the pipe.
const MEMORY_PIECES_MAX: usize = 20;

/// Empty pieces kept for the next reader, in all.
const SPARE_PIECES_MAX: usize = 16;

/// Buffers that are read into again, rather than given back and cleared by the kernel each time.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Box<[u8]>>);

impl Spares {
    fn take(&mut self) -> Box<[u8]> {
        self.0.pop().unwrap_or_else(|| vec![0; PIECE_BYTES].into_boxed_slice())
    }

    fn give(&mut self, buffer: Box<[u8]>) {
        if self.0.len() < SPARE_PIECES_MAX {
            self.0.push(buffer);
        }
    }
}

#[derive(Debug)]
enum Place {
    Memory(Box<[u8]>),
    File(Spot),
}

#[derive(Debug)]
struct Piece {
    at: u64,
    length: usize,
    place: Place,
}

impl Piece {
    fn end(&self) -> u64 {
        self.at + self.length as u64
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Spool {
    acked: u64,
    end: u64,
    bytes_max: u64,
    pieces: VecDeque<Piece>,
    in_memory: usize,
    segments: Option<Segments>,
}

/// What came of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    Bytes(usize),
    /// Nothing now.
    Empty,
    /// Nothing ever again.
    End,
    /// No room until the client acknowledges.
    Full,
}

impl Spool {
    /// `bytes_max` bounds what is unacknowledged.
    pub(crate) fn new(id: ExecId, directory: Option<PathBuf>, bytes_max: u64) -> Self {
        let segments = directory.map(|directory| Segments::new(directory, id));
        Self { acked: 0, end: 0, bytes_max: bytes_max.max(1), pieces: VecDeque::new(), in_memory: 0, segments }
    }

    /// The first byte that is still here.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// All bytes so far.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Without a piece to fill and unable to get one? Only with `spill` do files make room.
    pub(crate) fn is_full(&self, spill: bool) -> bool {
        let tail_has_room = self.pieces.back().is_some_and(|tail| tail.length < PIECE_BYTES && in_memory(tail));
        self.end - self.acked >= self.bytes_max
            || (!tail_has_room && (!spill || self.segments.is_none()) && self.in_memory >= MEMORY_PIECES_MAX)
    }

    /// One read of `pipe`, which must not block. For `spill` see [`Spool::is_full`].
    ///
    /// # Errors
    /// The pipe, or a full disk: then nothing was read, and it may be tried again when something was acknowledged.
    pub(crate) fn fill(&mut self, pipe: &File, spares: &mut Spares, spill: bool) -> io::Result<Filled> {
        if self.is_full(spill) {
            return Ok(Filled::Full);
        }
        let tail_has_room = self.pieces.back().is_some_and(|tail| tail.length < PIECE_BYTES && in_memory(tail));
        if !tail_has_room {
            self.make_room(spares)?;
            self.pieces.push_back(Piece { at: self.end, length: 0, place: Place::Memory(spares.take()) });
            self.in_memory += 1;
        }
        let tail = self.pieces.back_mut().expect("there is one, or one was just made");
        let Place::Memory(buffer) = &mut tail.place else { unreachable!("a tail with room is in memory") };
        let room = usize::try_from(self.bytes_max - (self.end - self.acked)).unwrap_or(usize::MAX);
        let until = PIECE_BYTES.min(tail.length.saturating_add(room));
        let mut pipe = pipe;
        let filled = match pipe.read(&mut buffer[tail.length..until]) {
            Ok(0) => Filled::End,
            Ok(count) => Filled::Bytes(count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Filled::Empty
            }
            Err(error) => return Err(error),
        };
        if let Filled::Bytes(count) = filled {
            tail.length += count;
            self.end += count as u64;
        } else if tail.length == 0 {
            self.drop_tail(spares);
        }
        Ok(filled)
    }

    /// Sends the last full piece to a file when memory holds enough.
    fn make_room(&mut self, spares: &mut Spares) -> io::Result<()> {
        if self.in_memory < MEMORY_PIECES_MAX {
            return Ok(());
        }
        let (Some(tail), Some(segments)) = (self.pieces.back_mut(), &mut self.segments) else { return Ok(()) };
        if let Place::Memory(buffer) = &mut tail.place {
            let spot = segments.write(&buffer[..tail.length])?;
            spares.give(std::mem::take(buffer));
            tail.place = Place::File(spot);
            self.in_memory -= 1;
        }
        Ok(())
    }

    fn drop_tail(&mut self, spares: &mut Spares) {
        if let Some(Piece { place: Place::Memory(buffer), .. }) = self.pieces.pop_back() {
            spares.give(buffer);
            self.in_memory -= 1;
        }
    }

    /// Bytes before `offset` are no longer needed.
    pub(crate) fn forget(&mut self, offset: u64, spares: &mut Spares) {
        self.acked = self.acked.max(offset.min(self.end));
        while self.pieces.front().is_some_and(|front| front.end() <= self.acked) {
            match self.pieces.pop_front().map(|piece| piece.place) {
                Some(Place::Memory(buffer)) => {
                    spares.give(buffer);
                    self.in_memory -= 1;
                }
                Some(Place::File(spot)) => {
                    if let Some(segments) = &mut self.segments {
                        segments.forget(spot);
                    }
                }
                None => {}
            }
        }
    }

    /// The bytes from `offset` on, as many as lie together and at most `length`; `scratch` holds them if they were in a file.
    ///
    /// `offset` must be within `acked()..end()`.
    pub(crate) fn slice<'a>(&'a self, offset: u64, length: usize, scratch: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let at = self.pieces.partition_point(|piece| piece.end() <= offset);
        let piece = self.pieces.get(at).filter(|piece| piece.at <= offset).ok_or(io::ErrorKind::InvalidInput)?;
        let skip = offset - piece.at;
        let start = usize::try_from(skip).map_err(io::Error::other)?;
        let length = length.min(piece.length - start);
        match (&piece.place, &self.segments) {
            (Place::Memory(buffer), _) => Ok(&buffer[start..start + length]),
            (Place::File(spot), Some(segments)) => {
                scratch.resize(length, 0);
                segments.read(*spot, skip, scratch)?;
                Ok(scratch)
            }
            (Place::File(_), None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// How many bytes [`Spool::slice`] would give.
    pub(crate) fn contiguous(&self, offset: u64) -> usize {
        let at = self.pieces.partition_point(|piece| piece.end() <= offset);
        self.pieces.get(at).map_or(0, |piece| usize::try_from(piece.end() - offset).unwrap_or(0))
    }
}

fn in_memory(piece: &Piece) -> bool {
    matches!(piece.place, Place::Memory(_))
}
