//! A stream that comes in pieces from tasks, for code that waits as it reads: archives out of Docker, files out of a network.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The end that is read, on a thread that may wait.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, String>>,
    rest: Bytes,
}

impl Pieces {
    /// A reader of at most so many pieces that wait, and where they are sent to. It ends when the sender is gone.
    #[must_use]
    pub fn of(count: usize) -> (mpsc::Sender<Result<Bytes, String>>, Self) {
        let (sender, pieces) = mpsc::channel(count);
        (sender, Self { pieces, rest: Bytes::new() })
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_a_stream() {
        let (sender, mut pieces) = Pieces::of(4);
        for piece in [&b"one "[..], b"", b"two"] {
            sender.try_send(Ok(Bytes::from_static(piece))).unwrap();
        }
        drop(sender);
        let mut text = String::new();
        pieces.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        let (sender, mut pieces) = Pieces::of(1);
        sender.try_send(Err("gone".to_owned())).unwrap();
        assert_eq!(pieces.read(&mut [0]).unwrap_err().to_string(), "gone");
    }
}
