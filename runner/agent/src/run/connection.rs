//! One client: bytes in to requests, and out to it control messages and the output of execs, never blocking.
//!
//! Control messages go first. Output goes straight from the spool, execs taking turns; an exec's exit follows its last byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::ops::Bound;

use agent::protocol::sync::{NONCE_BYTES, Scanner, marker};
use agent::protocol::{Decoder, Event, ExecId, OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, Request, encode, output_header};

use super::exec::Exec;

/// Bytes taken in one read.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// Control bytes that wait to be sent, beyond which no further request is read.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes sent in one turn, so that a fast client cannot keep the loop from reaping.
const TURN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How far a client is with one exec.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    offset: u64,
    exit_sent: bool,
}

/// An output frame on its way.
#[derive(Debug, Clone, Copy)]
struct Partial {
    header: [u8; OUTPUT_HEADER_BYTES],
    header_sent: usize,
    id: ExecId,
    offset: u64,
    left: usize,
}

/// Waiting for, or reading, the preamble of [`agent::protocol::sync`].
#[derive(Debug)]
struct Sync {
    marker: Vec<u8>,
    scanner: Scanner,
    /// `Some` while the nonce is coming in.
    nonce: Option<Vec<u8>>,
    in_step: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) input: File,
    output: File,
    decoder: Decoder<Request>,
    control: Vec<u8>,
    control_sent: usize,
    cursors: BTreeMap<ExecId, Cursor>,
    partial: Option<Partial>,
    last_served: ExecId,
    sync: Option<Sync>,
    /// The client has said hello.
    pub(crate) greeted: bool,
}

impl Connection {
    /// Both ends must not block. With a token the conversation begins, each time, at a preamble.
    pub(crate) fn new(input: File, output: File, token: Option<&str>) -> Self {
        let sync = token.map(|token| {
            let marker = marker(token);
            Sync { scanner: Scanner::new(marker.clone()), marker, nonce: None, in_step: false }
        });
        Self {
            input,
            output,
            decoder: Decoder::new(),
            control: Vec::new(),
            control_sent: 0,
            cursors: BTreeMap::new(),
            partial: None,
            last_served: 0,
            sync,
            greeted: false,
        }
    }

    pub(crate) fn output(&self) -> &File {
        &self.output
    }

    /// May more requests be read?
    pub(crate) fn wants_input(&self) -> bool {
        self.control.len() - self.control_sent < CONTROL_BYTES_MAX
    }

    /// Takes in what is there; false at the end of the stream.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let count = match (&self.input).read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        self.take_in(&buffer[..count]);
        Ok(true)
    }

    fn take_in(&mut self, mut bytes: &[u8]) {
        let Some(sync) = &mut self.sync else { return self.decoder.feed(bytes) };
        while !bytes.is_empty() {
            if let Some(nonce) = &mut sync.nonce {
                let (now, rest) = bytes.split_at(bytes.len().min(NONCE_BYTES - nonce.len()));
                nonce.extend_from_slice(now);
                bytes = rest;
                if nonce.len() == NONCE_BYTES {
                    // A new client: whatever was under way was for the one before.
                    self.control = [sync.marker.as_slice(), nonce].concat();
                    self.control_sent = 0;
                    self.cursors.clear();
                    self.partial = None;
                    self.greeted = false;
                    self.decoder = Decoder::new();
                    sync.nonce = None;
                    sync.in_step = true;
                }
            } else if let Some(end) = sync.scanner.scan(bytes) {
                bytes = &bytes[end..];
                sync.nonce = Some(Vec::new());
            } else {
                if sync.in_step {
                    self.decoder.feed(bytes);
                }
                return;
            }
        }
    }

    /// The next request. An error text is for the client; false with it: the stream can be read no further.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, (String, bool)> {
        match self.decoder.next() {
            Ok(request) => Ok(request),
            Err(error) if !error.is_fatal() => Err((error.to_string(), true)),
            Err(error) => {
                self.decoder = Decoder::new();
                // Over stdio the next preamble may mend it.
                let mendable = self.sync.as_mut().map(|sync| sync.in_step = false).is_some();
                Err((error.to_string(), mendable))
            }
        }
    }

    pub(crate) fn send(&mut self, event: &Event) {
        if self.control_sent > 0 && self.control_sent == self.control.len() {
            self.control.clear();
            self.control_sent = 0;
        }
        // Too long is only what the agent bounds itself; then the client would wait in vain, so it is told.
        if let Err(error) = encode(event, &mut self.control) {
            let failed = Event::Failed { about: agent::protocol::Subject::Frame, reason: error.to_string() };
            drop(encode(&failed, &mut self.control));
        }
    }

    /// Output from `offset` on is wanted.
    pub(crate) fn follow(&mut self, id: ExecId, offset: u64) {
        self.cursors.insert(id, Cursor { offset, exit_sent: false });
    }

    pub(crate) fn follows(&self, id: ExecId) -> bool {
        self.cursors.contains_key(&id)
    }

    pub(crate) fn unfollow(&mut self, id: ExecId) {
        self.cursors.remove(&id);
    }

    /// Where the frame on its way begins, if it is of this exec: nothing from there on may be forgotten.
    pub(crate) fn sending(&self, id: ExecId) -> Option<u64> {
        self.partial.filter(|partial| partial.id == id).map(|partial| partial.offset)
    }

    /// Is output up to `end` on its way to this client and not yet sent?
    pub(crate) fn is_behind(&self, id: ExecId, end: u64) -> bool {
        self.sending(id).is_some() || self.cursors.get(&id).is_some_and(|cursor| cursor.offset < end)
    }

    /// Is there anything to send?
    pub(crate) fn wants_output(&self, execs: &BTreeMap<ExecId, Exec>) -> bool {
        self.partial.is_some() || self.control_sent < self.control.len() || self.next_exec(execs).is_some()
    }

    /// Sends until nothing is left, the stream takes no more, or the turn's share is used. `scratch` is for bytes from files.
    pub(crate) fn pump(&mut self, execs: &BTreeMap<ExecId, Exec>, scratch: &mut Vec<u8>) -> io::Result<()> {
        let mut share = TURN_BYTES_MAX;
        while share > 0 {
            let sent = if self.partial.is_some() {
                self.push_partial(execs, scratch)?
            } else if self.control_sent < self.control.len() {
                let sent = match (&self.output).write(&self.control[self.control_sent..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(sent) => sent,
                    Err(error) if is_later(&error) => return Ok(()),
                    Err(error) => return Err(error),
                };
                self.control_sent += sent;
                Some(sent)
            } else if self.next_message(execs) {
                Some(0)
            } else {
                return Ok(());
            };
            match sent {
                Some(sent) => share = share.saturating_sub(sent),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// `None` when the stream takes no more for now.
    fn push_partial(&mut self, execs: &BTreeMap<ExecId, Exec>, scratch: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(partial) = &mut self.partial else { return Ok(Some(0)) };
        let exec = execs.get(&partial.id).ok_or(io::ErrorKind::NotFound)?;
        let body = exec.spool.slice(partial.offset, partial.left, scratch)?;
        let parts = [IoSlice::new(&partial.header[partial.header_sent..]), IoSlice::new(body)];
        let sent = match (&self.output).write_vectored(&parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => sent,
            Err(error) if is_later(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let of_header = sent.min(OUTPUT_HEADER_BYTES - partial.header_sent);
        partial.header_sent += of_header;
        partial.offset += (sent - of_header) as u64;
        partial.left -= sent - of_header;
        if partial.left == 0 {
            self.partial = None;
        }
        Ok(Some(sent))
    }

    /// The exec whose turn it is: with bytes or an exit that this client has not seen.
    fn next_exec(&self, execs: &BTreeMap<ExecId, Exec>) -> Option<ExecId> {
        let after = self.cursors.range((Bound::Excluded(self.last_served), Bound::Unbounded));
        let until = self.cursors.range(..=self.last_served);
        let due = |(id, cursor): &(&ExecId, &Cursor)| {
            let exec = execs.get(id);
            exec.is_some_and(|exec| cursor.offset < exec.spool.end() || (exec.report.is_some() && !cursor.exit_sent))
        };
        after.chain(until).find(due).map(|(id, _)| *id)
    }

    /// Prepares the next frame of output, or an exit; false when there is none.
    fn next_message(&mut self, execs: &BTreeMap<ExecId, Exec>) -> bool {
        let Some(id) = self.next_exec(execs) else { return false };
        let (Some(exec), Some(cursor)) = (execs.get(&id), self.cursors.get_mut(&id)) else { return false };
        self.last_served = id;
        let left = exec.spool.contiguous(cursor.offset).min(OUTPUT_BYTES_MAX);
        if left > 0 {
            let header = output_header(id, cursor.offset, left);
            self.partial = Some(Partial { header, header_sent: 0, id, offset: cursor.offset, left });
            cursor.offset += left as u64;
        } else if let Some(report) = &exec.report {
            cursor.exit_sent = true;
            self.send(&Event::Exited { id, report: report.clone(), output_bytes: exec.spool.end() });
        }
        true
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
