//! A client's side: bytes that were read and not yet used, and what is written, within time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::chunks::{self, Chunks, Malformed};
use super::clock::Clock;

/// Read at once.
const READ_BYTES: usize = 4 * 1_024;
/// Read at once of a body.
const BODY_READ_BYTES: usize = 32 * 1_024;
/// What is still read after the last answer, so that it is not lost with what nobody reads.
const LINGER_BYTES_MAX: usize = 1_024 * 1_024;
/// For so long.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// What is to come of a request's body, or is read and not used.
#[derive(Debug)]
pub(super) enum Coming {
    /// So many bytes.
    Length(u64),
    /// Chunks up to the last one.
    Chunks(Chunks),
}

impl Coming {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunks(chunks) => chunks.is_over(),
        }
    }

    fn is_long(&self) -> bool {
        match self {
            Self::Length(left) => *left > READ_BYTES as u64,
            Self::Chunks(chunks) => !chunks.is_over(),
        }
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// Read, and not used.
    pub(super) read: BytesMut,
    pub(super) clock: Clock,
    pub(super) left: Coming,
}

impl Client {
    /// Reads more; 0 at the end.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(if self.left.is_long() { BODY_READ_BYTES } else { READ_BYTES });
        poll_read_buf(Pin::new(&mut self.stream), context, &mut self.read)
    }

    /// Whether it has gone away. Looks no further than its next request.
    pub(super) fn poll_is_gone(&mut self, context: &mut Context<'_>) -> bool {
        self.read.is_empty() && matches!(self.poll_more(context), Poll::Ready(Ok(0) | Err(_)))
    }

    /// Waits until so many bytes are there. `false`: they do not come.
    pub(super) async fn has_come(&mut self, length: u64, time: Duration) -> bool {
        while (self.read.len() as u64) < length {
            self.clock.set(time);
            let more = std::future::poll_fn(|context| {
                let more = self.poll_more(context);
                if more.is_pending() && self.clock.poll_is_over(context) { Poll::Ready(Ok(0)) } else { more }
            });
            if !matches!(more.await, Ok(1..)) {
                return false;
            }
        }
        true
    }

    /// Moves what is there of the body. Chunks are written anew, without extensions and trailers.
    pub(super) fn take_body(&mut self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        match &mut self.left {
            Coming::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.read.len());
                to.extend_from_slice(&self.read[..here]);
                self.read.advance(here);
                *left -= here as u64;
            }
            Coming::Chunks(body) if body.is_over() => {}
            Coming::Chunks(body) => {
                while !self.read.is_empty() && !body.is_over() {
                    let (before, data) = body.next(&self.read)?;
                    self.read.advance(before);
                    chunks::write(to, &self.read[..data]);
                    self.read.advance(data);
                }
                if body.is_over() {
                    chunks::write_end(to);
                }
            }
        }
        Ok(())
    }

    /// Writes all of the first, then so many bytes of the second; both are taken out. The client may not read for `time`.
    pub(super) async fn write(
        &mut self,
        first: &mut Vec<u8>,
        second: &mut BytesMut,
        mut of_second: usize,
        time: Duration,
    ) -> io::Result<()> {
        let (mut written, mut is_set) = (0, false);
        let all = std::future::poll_fn(|context| {
            while written < first.len() || of_second > 0 {
                let stream = Pin::new(&mut self.stream);
                let polled = match (&first[written..], &second[..of_second]) {
                    (head, []) => stream.poll_write(context, head),
                    ([], body) => stream.poll_write(context, body),
                    (head, body) => stream.poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)]),
                };
                match polled {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => {
                        is_set = false;
                        let of_first = count.min(first.len() - written);
                        written += of_first;
                        second.advance(count - of_first);
                        of_second -= count - of_first;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        if !is_set {
                            self.clock.set(time);
                            is_set = true;
                        }
                        if self.clock.poll_is_over(context) {
                            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                        }
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        });
        all.await?;
        first.clear();
        Ok(())
    }

    /// Ends the connection once the client has, or soon.
    pub(super) async fn linger(&mut self) {
        let ended = async {
            self.stream.shutdown().await?;
            let (mut bytes, mut all) = (vec![0; READ_BYTES], 0);
            while all < LINGER_BYTES_MAX {
                match self.stream.read(&mut bytes).await? {
                    0 => break,
                    more => all += more,
                }
            }
            Ok::<_, io::Error>(())
        };
        let _ended_or_not = tokio::time::timeout(LINGER_TIME, ended).await;
    }
}
