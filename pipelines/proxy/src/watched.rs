//! A client's connection with time limits: for the head of a request, and for silence.
//!
//! hyper's own limit for heads also ends idle connections, and for HTTP/2 there is none; so both are kept here, below hyper.
//! The timer is looked at only when it fires, which is a few times within the shortest limit: setting it for each request
//! would cost more than the limit is worth. So limits are kept to within a quarter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::framing::{Framing, State};

/// How often the limits are looked at within the shortest.
const LOOKS: u32 = 4;

/// What the connection's requests need to know of it, and tell it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    is_bad: AtomicBool,
    busy: AtomicUsize,
}

impl Facts {
    /// Its bytes can be understood in two ways.
    pub(crate) fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Acquire)
    }
}

/// A request whose answer has not begun, or a tunnel: silence is then not the client's.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Facts>);

impl Busy {
    pub(crate) fn new(facts: &Arc<Facts>) -> Self {
        facts.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(facts))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    /// Read before it was known which protocol it is.
    first: Bytes,
    /// `None` for HTTP/2, which frames itself.
    framing: Option<Framing>,
    in_head: bool,
    facts: Arc<Facts>,
    head: Duration,
    idle: Duration,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Watched {
    pub(crate) fn new(
        stream: TcpStream,
        first: Bytes,
        is_http2: bool,
        facts: &Arc<Facts>,
        head: Duration,
        idle: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            first,
            framing: (!is_http2).then(Framing::default),
            in_head: true,
            facts: Arc::clone(facts),
            head,
            idle,
            deadline: now + head,
            timer: Box::pin(tokio::time::sleep_until(now + head.min(idle) / LOOKS)),
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Some(framing) = &mut self.framing else {
            self.in_head = false;
            self.deadline = now + self.idle;
            return;
        };
        framing.feed(bytes);
        if framing.is_bad() {
            self.facts.is_bad.store(true, Ordering::Release);
        }
        let in_head = framing.state() == State::Head;
        // A head has one limit from its first byte on, however slowly it comes.
        if !in_head {
            self.deadline = now + self.idle;
        } else if !self.in_head {
            self.deadline = now + self.head;
        }
        self.in_head = in_head;
    }

    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                if self.facts.busy.load(Ordering::Acquire) == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.deadline = now + self.idle;
            }
            self.timer.as_mut().reset(now + self.head.min(self.idle) / LOOKS);
        }
        Ok(())
    }

    /// What was written counts as life; a reader that does not read does not.
    fn wrote(&mut self, context: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => {
                self.check_time(context)?;
                Poll::Pending
            }
            Poll::Ready(result) => {
                if !self.in_head {
                    self.deadline = Instant::now() + self.idle;
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncRead for Watched {
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

impl AsyncWrite for Watched {
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
