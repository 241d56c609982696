//! One request on one connection to a backend, until its answer begins.
//!
//! What is left of the body is sent as it comes. The answer is listened for from the first byte on, since a backend may
//! answer before it has all; and the client is looked at, since nobody works for one that has gone.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use hyper::Method;
use tokio::io::AsyncWrite as _;
use tokio_util::io::poll_read_buf;

use super::answer::{self, Head, Read, Told};
use super::client::Client;
use super::conversation::Conversation;
use crate::bell::Bell;
use crate::link::Link;
use crate::options::Times;
use crate::way::Way;

/// Head of an answer.
const HEAD_BYTES_MAX: usize = 256 * 1_024;
/// Read at once.
const READ_BYTES: usize = 8 * 1_024;

/// What came of it.
#[derive(Debug)]
pub(super) enum Asked {
    /// The answer's head. The client's is written.
    Answered(Head),
    /// Nothing was sent: the connection had ended.
    Unsent,
    /// The request may have been received; whether a byte of an answer came.
    Lost { has_heard: bool },
    /// No answer in time.
    TimedOut,
    /// The client did not send all of it.
    Unfinished,
    /// The client is gone.
    Gone,
}

/// How much of the request was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// All of it.
    pub(super) is_whole: bool,
    /// What was sent is still there.
    pub(super) is_all_here: bool,
}

/// A request that is being sent.
pub(super) struct Asking<'all> {
    client: &'all mut Client,
    request: &'all mut Vec<u8>,
    got: &'all mut BytesMut,
    reply: &'all mut Vec<u8>,
    link: &'all mut Link,
    method: &'all Method,
    told: Told<'all>,
    stop: &'all Bell,
    times: &'all Times,
    /// Bytes of `request`.
    sent: usize,
    has_sent: bool,
    is_all_here: bool,
    /// Nothing can be sent any more.
    is_broken: bool,
    has_heard: bool,
}

impl<'all> Asking<'all> {
    pub(super) fn new(all: &'all mut Conversation<'_>, way: &'all Way<'_>, link: &'all mut Link) -> Self {
        let colour = way.colour();
        let test = way.ticket.is_test().then(|| (colour.name.as_str(), &*colour.tally.revision));
        let shared = &all.worker.shared;
        Self {
            client: &mut all.client,
            request: &mut all.request,
            got: &mut all.got,
            reply: &mut all.reply,
            link,
            method: &way.method,
            told: Told { id: &all.id, is_last: false, test },
            stop: &shared.stop,
            times: &shared.options.times,
            sent: 0,
            has_sent: false,
            is_all_here: true,
            is_broken: false,
            has_heard: false,
        }
    }

    /// Sends it and waits for the head of the answer.
    pub(super) async fn ask(mut self) -> (Asked, Sent) {
        self.set_clock();
        let asked = std::future::poll_fn(|context| self.poll(context)).await;
        (asked, Sent { is_whole: self.is_whole(), is_all_here: self.is_all_here })
    }

    fn is_whole(&self) -> bool {
        self.client.left.is_over() && self.sent == self.request.len()
    }

    /// Whether the client is to go on.
    fn is_for_client(&self) -> bool {
        !self.client.left.is_over() && self.sent == self.request.len() && !self.is_broken
    }

    fn set_clock(&mut self) {
        self.client.clock.set(if self.is_for_client() { self.times.idle } else { self.times.answer });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Asked> {
        loop {
            let (mut has_moved, mut has_heard) = (false, false);
            if self.is_for_client() {
                match self.poll_body(context) {
                    Poll::Ready(false) => return Poll::Ready(Asked::Unfinished),
                    Poll::Ready(true) => has_moved = true,
                    Poll::Pending => {}
                }
            }
            has_moved |= self.poll_send(context);
            match self.poll_answer(context) {
                Poll::Ready(Some(asked)) => return Poll::Ready(asked),
                Poll::Ready(None) => has_heard = true,
                Poll::Pending => {}
            }
            // Pieces of a head buy nobody time.
            if has_moved {
                self.set_clock();
            }
            if has_moved || has_heard {
                continue;
            }
            if self.client.left.is_over() && self.client.poll_is_gone(context) {
                return Poll::Ready(Asked::Gone);
            }
            if !self.client.clock.poll_is_over(context) {
                return Poll::Pending;
            }
            return Poll::Ready(if self.is_for_client() { Asked::Unfinished } else { Asked::TimedOut });
        }
    }

    /// Takes what has come of the body; `false` if the client has gone, or what came is none.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.client.read.is_empty() {
            match self.client.poll_more(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.request.clear();
        self.sent = 0;
        self.is_all_here = false;
        Poll::Ready(self.client.take_body(self.request).is_ok())
    }

    /// Whether something was sent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> bool {
        if self.sent == self.request.len() || self.is_broken {
            return false;
        }
        match Pin::new(&mut self.link.stream).poll_write(context, &self.request[self.sent..]) {
            Poll::Ready(Ok(count @ 1..)) => {
                self.sent += count;
                self.has_sent = true;
                true
            }
            // An answer may have come all the same.
            Poll::Ready(Ok(0) | Err(_)) => {
                self.is_broken = true;
                true
            }
            Poll::Pending => false,
        }
    }

    /// What comes of what the backend says: `None` if that is not enough.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<Asked>> {
        self.got.reserve(READ_BYTES);
        match poll_read_buf(Pin::new(&mut self.link.stream), context, self.got) {
            Poll::Ready(Ok(1..)) => {
                self.has_heard = true;
                Poll::Ready(self.read())
            }
            Poll::Pending if !self.is_broken => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => {
                Poll::Ready(Some(if self.has_sent { Asked::Lost { has_heard: self.has_heard } } else { Asked::Unsent }))
            }
        }
    }

    fn read(&mut self) -> Option<Asked> {
        loop {
            let told = Told { is_last: !self.is_whole() || self.stop.is_rung(), ..self.told };
            self.reply.clear();
            match answer::read(self.got, self.method, told, self.reply) {
                Read::Final(head) if head.size <= HEAD_BYTES_MAX => return Some(Asked::Answered(head)),
                Read::Interim(size) => self.got.advance(size),
                Read::Partial if self.got.len() <= HEAD_BYTES_MAX => return None,
                Read::Partial | Read::Malformed | Read::Final(_) => return Some(Asked::Lost { has_heard: true }),
            }
            if self.got.is_empty() {
                return None;
            }
        }
    }
}
