//! An answer's body on its way to a client, with what is in flight as long as it is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::sending::BodyError;
use crate::ticket::Ticket;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// To a client.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// The proxy's own words.
    Whole(Option<Bytes>),
    /// As it comes from a backend.
    Through(Through),
}

/// An answer on its way. Dropped before its end, the connection to the backend ends as well, which tells it.
#[derive(Debug)]
pub(crate) struct Through {
    incoming: Incoming,
    /// Driven here: nobody else polls it. `None` if it is driven elsewhere, or has gone back.
    upstream: Option<Upstream>,
    worker: Arc<Worker>,
    ticket: Option<Ticket>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Through {
    pub(crate) fn new(incoming: Incoming, upstream: Option<Upstream>, worker: Arc<Worker>, ticket: Ticket) -> Self {
        let mut this = Self { incoming, upstream, worker, ticket: Some(ticket), silence: None };
        if this.incoming.is_end_stream() {
            this.ended();
        }
        this
    }

    /// The connection is free for another request, and nothing is in flight any more.
    fn ended(&mut self) {
        if let Some(upstream) = self.upstream.take() {
            self.worker.pool.give(upstream);
        }
        self.ticket = None;
    }

    fn broken(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(ticket) = self.ticket.take() {
            ticket.broken();
        }
        self.upstream = None;
        Poll::Ready(Some(Err(error)))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.upstream {
            Some(upstream) => upstream.drive_for(context, &mut self.incoming),
            None => Pin::new(&mut self.incoming).poll_frame(context),
        };
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(silence) = &mut self.silence {
                    silence.as_mut().reset(Instant::now() + self.worker.shared.options.times.silence);
                }
                // hyper asks no more once it has as much as was announced.
                if self.incoming.is_end_stream() {
                    self.ended();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.ended();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => self.broken(error.into()),
            Poll::Pending => {
                let time = self.worker.shared.options.times.silence;
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
                if silence.as_mut().poll(context).is_ready() {
                    return self.broken("the backend is silent".into());
                }
                Poll::Pending
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Through(through) => through.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Through(through) => through.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Through(through) => through.incoming.size_hint(),
        }
    }
}
