//! Bodies on their way: a request's to a backend, an answer's to a client. Nothing is gathered but what must be.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::ticket::Ticket;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// Why a body ends early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// How far a request's body is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    is_sent: AtomicBool,
    is_given_up: AtomicBool,
    frames: AtomicU64,
}

impl Progress {
    /// Of a request whose body is there.
    pub(crate) fn done() -> Arc<Self> {
        Arc::new(Self { is_sent: AtomicBool::new(true), ..Self::default() })
    }

    /// All of it is sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Acquire)
    }

    /// The client has not sent all of it: what follows is not the backend's fault.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Differs as long as something comes.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Acquire)
    }
}

/// To a backend.
#[derive(Debug)]
pub(crate) enum SendBody {
    /// Held back: it can be sent again.
    Whole(Option<Bytes>),
    /// As it comes from the client.
    Through(Upload),
}

/// A body on its way from a client that may not be silent for too long.
#[derive(Debug)]
pub(crate) struct Upload {
    incoming: Incoming,
    progress: Arc<Progress>,
    time: Duration,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub(crate) fn new(incoming: Incoming, progress: &Arc<Progress>, time: Duration) -> Self {
        Self { incoming, progress: Arc::clone(progress), time, silence: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Ok(_)))) {
            self.progress.frames.fetch_add(1, Ordering::AcqRel);
            self.silence = None;
        }
        if matches!(frame, Poll::Ready(None)) || self.incoming.is_end_stream() {
            self.progress.is_sent.store(true, Ordering::Release);
        }
        match frame {
            Poll::Ready(Some(Err(error))) => self.give_up(error.into()),
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => {
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.time)));
                if silence.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.give_up("the client is silent".into())
            }
        }
    }

    fn give_up(&self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.progress.is_given_up.store(true, Ordering::Release);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for SendBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Through(upload) => upload.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Through(upload) => upload.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Through(upload) => upload.incoming.size_hint(),
        }
    }
}

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
