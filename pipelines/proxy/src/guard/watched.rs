//! A client's connection with time limits: for the head of a request, and for silence.
//!
//! hyper's own limit for heads also ends idle connections, and for HTTP/2 there is none; so both are kept here, below hyper.
//! The timer is looked at only when it fires, which is a few times within the shortest limit: setting it for each request
//! would cost more than the limit is worth. So limits are kept to within a quarter.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use super::framing::{Framing, State};
use super::tapped::{Tap, Tapped};

/// How often the limits are looked at within the shortest.
const LOOKS: u32 = 4;

/// What the connection's requests need to know of it, and tell it.
#[derive(Debug, Default)]
pub struct Facts {
    is_bad: AtomicBool,
    busy: AtomicUsize,
}

impl Facts {
    /// Whether its bytes can be understood in two ways.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Acquire)
    }
}

/// A request whose answer has not begun, or a tunnel: silence is then not the client's.
#[derive(Debug)]
pub struct Busy(Arc<Facts>);

impl Busy {
    /// From now until it is dropped.
    #[must_use]
    pub fn new(facts: &Arc<Facts>) -> Self {
        facts.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(facts))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the head of a request, from its first byte on; and for the first byte of a connection.
    pub head: Duration,
    /// Silence otherwise, while no request is busy.
    pub idle: Duration,
}

impl Limits {
    fn look(self) -> Duration {
        self.head.min(self.idle) / LOOKS
    }
}

/// What a connection is watched for. Its reads and writes fail with [`io::ErrorKind::TimedOut`] once a limit is over.
#[derive(Debug)]
pub struct Watch {
    /// `None` for HTTP/2, which frames itself.
    framing: Option<Framing>,
    in_head: bool,
    facts: Arc<Facts>,
    limits: Limits,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
}

/// The connection.
pub type Watched<Stream> = Tapped<Stream, Watch>;

impl<Stream> Watched<Stream> {
    /// `first`: what was read of the stream already.
    pub fn new(stream: Stream, first: Bytes, is_http2: bool, facts: &Arc<Facts>, limits: Limits) -> Self {
        let now = Instant::now();
        let watch = Watch {
            framing: (!is_http2).then(Framing::default),
            in_head: true,
            facts: Arc::clone(facts),
            limits,
            deadline: now + limits.head,
            timer: Box::pin(tokio::time::sleep_until(now + limits.look())),
        };
        Self::with(stream, first, watch)
    }
}

impl Tap for Watch {
    fn saw(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Some(framing) = &mut self.framing else {
            self.in_head = false;
            self.deadline = now + self.limits.idle;
            return;
        };
        framing.feed(bytes);
        if framing.is_bad() {
            self.facts.is_bad.store(true, Ordering::Release);
        }
        let in_head = framing.state() == State::Head;
        // A head has one limit from its first byte on, however slowly it comes.
        if !in_head {
            self.deadline = now + self.limits.idle;
        } else if !self.in_head {
            self.deadline = now + self.limits.head;
        }
        self.in_head = in_head;
    }

    fn waits(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                if self.facts.busy.load(Ordering::Acquire) == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.deadline = now + self.limits.idle;
            }
            self.timer.as_mut().reset(now + self.limits.look());
        }
        Ok(())
    }

    /// What was written counts as life; a reader that does not read does not.
    fn wrote(&mut self) {
        if !self.in_head {
            self.deadline = Instant::now() + self.limits.idle;
        }
    }
}
