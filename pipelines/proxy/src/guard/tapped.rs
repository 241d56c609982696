//! A stream that passes on what is read and written, and somebody who hears of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who hears of it.
pub trait Tap: Unpin {
    /// These bytes were read, never none.
    fn saw(&mut self, bytes: &[u8]);

    /// Nothing can be read or written now.
    ///
    /// # Errors
    /// The read or write fails with it.
    fn waits(&mut self, _context: &mut Context<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Something was written, or could not be.
    fn wrote(&mut self) {}
}

/// The stream.
#[derive(Debug)]
pub struct Tapped<Stream, T> {
    stream: Stream,
    /// Read before: it comes first.
    first: Bytes,
    tap: T,
}

impl<Stream, T: Tap> Tapped<Stream, T> {
    /// `first`: what was read of the stream already.
    pub fn with(stream: Stream, first: Bytes, tap: T) -> Self {
        Self { stream, first, tap }
    }

    fn wrote(&mut self, context: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => {
                self.tap.waits(context)?;
                Poll::Pending
            }
            Poll::Ready(result) => {
                self.tap.wrote();
                Poll::Ready(result)
            }
        }
    }
}

impl<Stream: AsyncRead + Unpin, T: Tap> AsyncRead for Tapped<Stream, T> {
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
                    this.tap.waits(context)?;
                    return Poll::Pending;
                }
            }
        }
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            this.tap.saw(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<Stream: AsyncWrite + Unpin, T: Tap> AsyncWrite for Tapped<Stream, T> {
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
