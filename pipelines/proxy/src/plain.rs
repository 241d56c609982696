//! The short way: plain requests of HTTP/1.1 (see `request`), carried by the task of their connection, without hyper.
//!
//! By far most requests are plain. A head is read, written anew for the backend and sent with what is there of its body; the
//! answer's head is read, written anew for the client and sent with what is there of its body. That is two reads and two
//! writes, as few as a proxy can have. A connection whose request is not plain goes on with hyper, from the first byte of
//! that request on, so what is refused, and why, is decided in one place.

mod answer;
mod asking;
mod chunks;
mod client;
mod clock;
mod conversation;
mod passing;
mod request;

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::Method;
use hyper::header::HeaderValue;
use tokio::net::TcpStream;

use crate::answers::Refusal;
use crate::link::Link;
use crate::way::{Asked as _, Way};
use crate::worker::Worker;
use answer::Told;
use asking::{Asked, Asking};
use client::{Client, Coming};
use clock::Clock;
use conversation::{Conversation, Next};
use request::{HEADERS_MAX, Limits, Read};

/// Memory that a connection keeps from one request to the next, of each kind.
const KEPT_BYTES_MAX: usize = 32 * 1_024;

/// What a client's bytes have become.
enum Begun<'worker> {
    /// Not all of a head.
    Partial,
    /// The client is gone, or has taken too long.
    Over,
    /// It goes on with hyper.
    Unusual,
    /// A request and what is to come of its body. Its head is written for the backend.
    Chosen(Way<'worker>, Coming),
    /// A request that nobody gets.
    Refused(Refusal, Method, Coming),
}

/// Why a request has no answer of a backend.
enum Stopped {
    Refused(Refusal),
    /// The client is gone.
    Gone,
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Answers plain requests. Gives the connection and what was read of it if it goes on with hyper.
pub(crate) async fn converse(
    worker: &Arc<Worker>,
    stream: TcpStream,
    first: BytesMut,
    peer: HeaderValue,
    is_test: bool,
) -> io::Result<Option<(TcpStream, Bytes)>> {
    let client =
        Client { stream, read: first, clock: Clock::of(&worker.shared.options.times), left: Coming::Length(0) };
    let (request, reply, id) = (Vec::new(), Vec::new(), Vec::new());
    let mut this = Conversation { worker, peer, is_test, client, request, got: BytesMut::new(), reply, id };
    let mut lingered = pin!(worker.shared.lingered.rung());
    loop {
        let next = match this.begin(lingered.as_mut()).await? {
            Begun::Partial | Begun::Over => return Ok(None),
            Begun::Unusual => return Ok(Some((this.client.stream, this.client.read.freeze()))),
            Begun::Refused(refusal, method, coming) => {
                let is_whole = this.is_skipped(&coming);
                this.refuse(refusal, &method, is_whole).await?
            }
            Begun::Chosen(way, coming) => this.answer(way, coming).await?,
        };
        match next {
            Next::Another => this.forget(),
            Next::Close => return Ok(None),
            Next::Linger => {
                this.client.linger().await;
                return Ok(None);
            }
        }
    }
}

impl<'worker> Conversation<'worker> {
    /// Waits for the next request.
    async fn begin(&mut self, mut lingered: Pin<&mut impl Future<Output = ()>>) -> io::Result<Begun<'worker>> {
        let worker = self.worker;
        let options = &worker.shared.options;
        self.client.clock.set(if self.client.read.is_empty() { options.times.idle } else { options.times.head });
        let mut looked = 0_usize;
        loop {
            let read = &self.client.read;
            // A head that comes in many pieces is not read from its beginning for each of them.
            if !read.is_empty() && (looked == 0 || may_end(&read[looked.saturating_sub(3)..])) {
                let begun = self.parse();
                if !matches!(begun, Begun::Partial) {
                    return Ok(begun);
                }
            }
            looked = self.client.read.len();
            if looked > options.limits.head_bytes_max {
                return Ok(Begun::Unusual);
            }
            let more = std::future::poll_fn(|context| {
                if let Poll::Ready(more) = self.client.poll_more(context) {
                    return Poll::Ready(more);
                }
                let is_over = looked == 0 && lingered.as_mut().poll(context).is_ready();
                if is_over || self.client.clock.poll_is_over(context) { Poll::Ready(Ok(0)) } else { Poll::Pending }
            });
            if more.await? == 0 {
                return Ok(Begun::Over);
            }
            // A head has one limit from its first byte on, however slowly it comes.
            if looked == 0 {
                self.client.clock.set(options.times.head);
            }
        }
    }

    /// Reads over a body if all of it is there.
    fn is_skipped(&mut self, coming: &Coming) -> bool {
        let Coming::Length(length) = coming else { return false };
        let here = usize::try_from(*length).unwrap_or(usize::MAX);
        let is_whole = here <= self.client.read.len();
        if is_whole {
            self.client.read.advance(here);
        }
        is_whole
    }

    /// What there is of a request. A plain one's head is taken and written for the backend.
    fn parse(&mut self) -> Begun<'worker> {
        let worker = self.worker;
        let options = &worker.shared.options;
        let limits = Limits {
            head_bytes_max: options.limits.head_bytes_max,
            target_bytes_max: options.limits.target_bytes_max,
            trust_forwarded: options.trust_forwarded,
        };
        let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let plain = match request::read(&self.client.read, &mut fields, limits) {
            Read::Partial => return Begun::Partial,
            Read::Unusual => return Begun::Unusual,
            Read::Plain(plain) => plain,
        };
        if self.is_test && options.metrics_on_test_port && plain.path() == "/metrics" {
            return Begun::Unusual;
        }
        self.id.clear();
        match plain.id {
            Some(id) => self.id.extend_from_slice(id),
            None => worker.shared.write_request_id(&mut self.id),
        }
        let (size, coming) = (plain.size, plain.body.coming());
        let begun = match Way::choose(worker, &plain, self.is_test) {
            Ok(way) => {
                self.request.clear();
                let target = way.route().stripped(plain.target);
                plain.write(&mut self.request, &target, &self.id, self.peer.as_bytes(), limits.trust_forwarded);
                Begun::Chosen(way, coming)
            }
            Err(refusal) => Begun::Refused(refusal, plain.method, coming),
        };
        self.client.read.advance(size);
        begun
    }

    async fn answer(&mut self, mut way: Way<'worker>, coming: Coming) -> io::Result<Next> {
        match self.exchange(&mut way, coming).await {
            Ok((link, head, is_whole)) => self.pass(way, link, head, is_whole).await,
            Err(Stopped::Refused(refusal)) => {
                let (method, is_whole) = (way.method.clone(), self.client.left.is_over());
                // Whoever reads the answer finds that nothing is in flight any more.
                drop(way);
                self.refuse(refusal, &method, is_whole).await
            }
            // Its request is in nobody's hands any more.
            Err(Stopped::Gone) => Ok(Next::Close),
        }
    }

    /// Sends a request until somebody answers. Gives whether all of it was sent, too.
    async fn exchange(
        &mut self,
        way: &mut Way<'worker>,
        coming: Coming,
    ) -> Result<(Link, answer::Head, bool), Stopped> {
        let worker = self.worker;
        let options = &worker.shared.options;
        // Only of a length is known that it can be held.
        let held = match coming {
            Coming::Length(length) if way.method.is_idempotent() => Some(length),
            Coming::Length(_) | Coming::Chunks(_) => None,
        };
        self.client.left = coming;
        if let Some(length) = held.filter(|length| *length <= options.limits.replay_bytes_max)
            && !self.client.has_come(length, options.times.idle).await
        {
            return Err(Refusal::Unfinished.into());
        }
        self.client.take_body(&mut self.request).map_err(|_| Refusal::Unfinished)?;
        loop {
            let backend = way.next()?;
            let link = match worker.links.take(backend.address, way.kept()) {
                Some(link) => Ok(link),
                None => Box::pin(Link::connect(backend.address, options.times.connect)).await,
            };
            let mut link = match link {
                Ok(link) => link,
                Err(reason) => {
                    way.unreached(&backend, &reason);
                    continue;
                }
            };
            self.got.clear();
            let (asked, sent) = Asking::new(self, way, &mut link).ask().await;
            match asked {
                Asked::Answered(head) => {
                    way.answered(head.status);
                    return Ok((link, head, sent.is_whole));
                }
                Asked::Unsent => way.unsent(&backend),
                Asked::Lost { has_heard } => way.lost(&backend, !has_heard && sent.is_all_here)?,
                Asked::TimedOut => return Err(way.timed_out().into()),
                Asked::Unfinished => return Err(Refusal::Unfinished.into()),
                Asked::Gone => return Err(Stopped::Gone),
            }
        }
    }

    /// Answers for the backend.
    async fn refuse(&mut self, refusal: Refusal, method: &Method, is_whole: bool) -> io::Result<Next> {
        let is_last = !is_whole || refusal.is_last() || self.worker.shared.stop.is_rung();
        self.reply.clear();
        refusal.write_status(&mut self.reply);
        request::write_length(&mut self.reply, refusal.text().len() as u64);
        answer::write_date(&mut self.reply);
        answer::write_told(&mut self.reply, Told { id: &self.id, is_last, test: None });
        self.reply.extend_from_slice(b"\r\n");
        if *method != Method::HEAD {
            self.reply.extend_from_slice(refusal.text().as_bytes());
        }
        self.client.write(&mut self.reply, &mut self.got, 0, self.worker.shared.options.times.idle).await?;
        Ok(match (is_last, is_whole) {
            (false, _) => Next::Another,
            (true, true) => Next::Close,
            (true, false) => Next::Linger,
        })
    }

    /// A connection that waits does not keep what one large message needed.
    fn forget(&mut self) {
        for bytes in [&mut self.request, &mut self.reply] {
            if bytes.capacity() > KEPT_BYTES_MAX {
                *bytes = Vec::new();
            }
        }
        for bytes in [&mut self.client.read, &mut self.got] {
            if bytes.is_empty() && bytes.capacity() > KEPT_BYTES_MAX {
                *bytes = BytesMut::new();
            }
        }
    }
}

/// Whether the end of a head may be in it.
fn may_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}
