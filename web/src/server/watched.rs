//! A connection with time limits: for the head of a request, and for silence.
//!
//! hyper's own limit for heads also ends idle connections, and for HTTP/2 there is none; so both are kept here, below
//! hyper. How long a body may take is its reader's limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::framing::{Framing, State};

/// What the connection's requests need to know of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Its bytes can be understood in two ways.
    pub(super) is_bad: AtomicBool,
    /// Requests whose answer has not begun; silence is then ours.
    pub(super) busy: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) idle: Duration,
}

pub(super) struct Watched<Stream> {
    stream: Stream,
    /// Read before it was known which protocol it is.
    first: Bytes,
    /// `None` for HTTP/2, which frames itself.
    framing: Option<Framing>,
    in_head: bool,
    facts: Arc<Facts>,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
}

impl<Stream> Watched<Stream> {
    pub(super) fn new(
        stream: Stream,
        first: Bytes,
        framing: Option<Framing>,
        facts: Arc<Facts>,
        limits: Limits,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep(limits.head));
        Self { stream, first, framing, in_head: true, facts, limits, timer }
    }

    fn saw(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Some(framing) = &mut self.framing else {
            self.in_head = false;
            return self.timer.as_mut().reset(now + self.limits.idle);
        };
        framing.feed(bytes);
        if framing.is_bad() {
            self.facts.is_bad.store(true, Ordering::Release);
        }
        let in_head = framing.state() == State::Head;
        // A head has one limit from its first byte on, however slowly it comes.
        if !in_head {
            self.timer.as_mut().reset(now + self.limits.idle);
        } else if !self.in_head {
            self.timer.as_mut().reset(now + self.limits.head);
        }
        self.in_head = in_head;
    }

    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.facts.busy.load(Ordering::Acquire) == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(Instant::now() + self.limits.idle);
        }
        Ok(())
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Watched<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.first.has_remaining() {
            let taken = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first.split_to(taken));
        } else {
            match Pin::new(&mut this.stream).poll_read(context, buffer) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    this.check_time(context)?;
                    return Poll::Pending;
                }
            }
        }
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            this.saw(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Stream: AsyncWrite + Unpin> Watched<Stream> {
    /// What was written counts as life; a reader that does not read does not.
    fn wrote<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() {
            self.check_time(context)?;
            return Poll::Pending;
        }
        let value = ready!(result)?;
        if !self.in_head {
            self.timer.as_mut().reset(Instant::now() + self.limits.idle);
        }
        Poll::Ready(Ok(value))
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Watched<Stream> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
