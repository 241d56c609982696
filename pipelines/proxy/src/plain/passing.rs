//! An answer on its way to the client: as it comes, and with the end that it has.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf as _, BytesMut};
use tokio_util::io::poll_read_buf;

use super::answer::{Body, Head};
use super::chunks::{self, Chunks};
use super::conversation::{Conversation, Next};
use crate::link::Link;
use crate::ticket::Ticket;
use crate::way::Way;

/// Read at once.
const READ_BYTES: usize = 64 * 1_024;
/// What is copied behind the head rather than written from where it is.
const COPY_BYTES_MAX: usize = 8 * 1_024;

/// What is to come of a body.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Chunks),
    UntilEnd,
}

/// What there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    /// Bytes that are written from where they are.
    direct: usize,
    is_over: bool,
}

/// What the backend did.
enum More {
    Came,
    /// It has ended the connection.
    Ended,
    /// Too long, or the connection broke.
    Broken,
    /// The client is gone.
    Gone,
}

impl Rest {
    fn of(body: Body) -> Self {
        match body {
            Body::None => Self::Length(0),
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunks(Chunks::default()),
            Body::UntilEnd => Self::UntilEnd,
        }
    }

    /// Takes what has come; `None` if it is malformed.
    fn take(&mut self, got: &mut BytesMut, reply: &mut Vec<u8>) -> Option<Taken> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(got.len());
                *left -= here as u64;
                let is_over = *left == 0;
                if here > COPY_BYTES_MAX {
                    return Some(Taken { direct: here, is_over });
                }
                reply.extend_from_slice(&got[..here]);
                got.advance(here);
                Some(Taken { direct: 0, is_over })
            }
            Self::Chunks(body) => {
                while !got.is_empty() && !body.is_over() {
                    let (before, data) = body.next(got).ok()?;
                    got.advance(before);
                    chunks::write(reply, &got[..data]);
                    got.advance(data);
                }
                if body.is_over() {
                    chunks::write_end(reply);
                }
                Some(Taken { direct: 0, is_over: body.is_over() })
            }
            Self::UntilEnd => {
                chunks::write(reply, got);
                got.clear();
                Some(Taken { direct: 0, is_over: false })
            }
        }
    }

    /// The connection has ended; `None` if something was to come.
    fn end(&self, reply: &mut Vec<u8>) -> Option<Taken> {
        if !matches!(self, Self::UntilEnd) {
            return None;
        }
        chunks::write_end(reply);
        Some(Taken { direct: 0, is_over: true })
    }
}

/// The client sees it by the end of its connection.
fn broken(ticket: Option<Ticket>) -> Next {
    if let Some(ticket) = ticket {
        ticket.broken();
    }
    Next::Close
}

impl<'worker> Conversation<'worker> {
    /// Passes an answer on whose head is in `reply` already.
    pub(super) async fn pass(
        &mut self,
        way: Way<'worker>,
        mut link: Link,
        head: Head,
        is_whole: bool,
    ) -> io::Result<Next> {
        let worker = self.worker;
        let times = &worker.shared.options.times;
        link.keep_alive = head.keep_alive;
        self.got.advance(head.size);
        let (mut rest, mut has_ended) = (Rest::of(head.body), false);
        let (mut ticket, mut link) = (Some(way.ticket), Some(link));
        loop {
            let taken = if has_ended { rest.end(&mut self.reply) } else { rest.take(&mut self.got, &mut self.reply) };
            let Some(taken) = taken else { return Ok(broken(ticket)) };
            if taken.is_over {
                // Nothing is in flight any more, and the connection is free for another request, if nothing else came on it.
                ticket = None;
                let is_kept = head.is_kept && is_whole && self.got.len() == taken.direct;
                if let Some(link) = link.take().filter(|_| is_kept) {
                    worker.links.give(link);
                }
            }
            self.client.write(&mut self.reply, &mut self.got, taken.direct, times.idle).await?;
            let Some(link) = &mut link else { break };
            match self.more(link).await {
                More::Came => {}
                More::Ended => has_ended = true,
                More::Gone => return Ok(Next::Close),
                More::Broken => return Ok(broken(ticket)),
            }
        }
        Ok(match (head.is_last, is_whole) {
            (false, _) => Next::Another,
            (true, true) => Next::Close,
            (true, false) => Next::Linger,
        })
    }

    /// Waits for more of the answer.
    async fn more(&mut self, link: &mut Link) -> More {
        let (client, got) = (&mut self.client, &mut self.got);
        client.clock.set(self.worker.shared.options.times.silence);
        let is_whole = client.left.is_over();
        std::future::poll_fn(|context| {
            got.reserve(READ_BYTES);
            match poll_read_buf(Pin::new(&mut link.stream), context, got) {
                Poll::Ready(Ok(0)) => Poll::Ready(More::Ended),
                Poll::Ready(Ok(_)) => Poll::Ready(More::Came),
                Poll::Ready(Err(_)) => Poll::Ready(More::Broken),
                Poll::Pending if is_whole && client.poll_is_gone(context) => Poll::Ready(More::Gone),
                Poll::Pending if client.clock.poll_is_over(context) => Poll::Ready(More::Broken),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
