//! A small blocking client over any byte stream: for tests, the benchmark and callers without an async runtime.
//!
//! It keeps no state of execs and does not reconnect; the engine does that with [`crate::protocol`] and its own runtime.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::protocol::{AgentHello, Decoder, Event, PROTOCOL_VERSION, ProtocolError, Request, encode};

/// Bytes asked for in one read.
const READ_BYTES: usize = 256 * 1024;

/// Why the conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The stream.
    #[error("connection to the agent: {0}")]
    Io(#[from] io::Error),
    /// The bytes.
    #[error("agent protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The stream ended. This says nothing about how any exec ended.
    #[error("the agent closed the connection")]
    Closed,
    /// The first answer was something else.
    #[error("expected the agent's hello, got {0:?}")]
    NotHello(Box<Event>),
}

/// One connection.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    decoder: Decoder<Event>,
    ready: VecDeque<Event>,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client<UnixStream> {
    /// Connects to the agent's socket and exchanges hellos.
    ///
    /// # Errors
    /// No agent there, or none that speaks this protocol.
    pub fn connect(path: &Path) -> Result<(Self, AgentHello), ClientError> {
        Self::over(UnixStream::connect(path)?)
    }
}

impl<S: Read + Write> Client<S> {
    /// Exchanges hellos over a stream that begins here.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn over(stream: S) -> Result<(Self, AgentHello), ClientError> {
        let mut client = Self {
            stream,
            decoder: Decoder::new(),
            ready: VecDeque::new(),
            out: Vec::new(),
            buffer: vec![0; READ_BYTES],
        };
        client.send(&Request::Hello { version: PROTOCOL_VERSION })?;
        let first = client.receive()?;
        if let Event::Hello(hello) = first { Ok((client, hello)) } else { Err(ClientError::NotHello(Box::new(first))) }
    }

    /// The stream, for time-outs and for closing.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream, for whoever goes on with it; bytes received and not yet taken are lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Sends one request.
    ///
    /// # Errors
    /// A request that is too long, or a broken stream.
    pub fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        self.out.clear();
        encode(request, &mut self.out)?;
        Ok(self.stream.write_all(&self.out)?)
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// The stream ended or broke, or an event that is not known here (then the next call goes on).
    pub fn receive(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(event) = self.decoder.next()? {
                return Ok(event);
            }
            let count = self.stream.read(&mut self.buffer)?;
            if count == 0 {
                return Err(ClientError::Closed);
            }
            self.decoder.feed(&self.buffer[..count]);
        }
    }

    /// Waits for the event that `pick` wants; others that come before it are kept for [`Client::receive`].
    ///
    /// # Errors
    /// As [`Client::receive`].
    pub fn receive_matching<T>(&mut self, mut pick: impl FnMut(&Event) -> Option<T>) -> Result<T, ClientError> {
        let mut passed = VecDeque::new();
        let found = loop {
            match self.receive() {
                Ok(event) => match pick(&event) {
                    Some(found) => break Ok(found),
                    None => passed.push_back(event),
                },
                Err(error) => break Err(error),
            }
        };
        passed.append(&mut self.ready);
        self.ready = passed;
        found
    }
}
