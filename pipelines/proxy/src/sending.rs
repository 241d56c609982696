//! A request's body on its way to a backend. Nothing is gathered but what must be.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

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
