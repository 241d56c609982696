//! Messages to bytes and bytes to messages, as the head of [`super`] lays them out.
//!
//! The decoder takes bytes in any pieces and copies no raw bytes: what it hands out are slices of what it was fed.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Event, ExecId, FILE_BYTES_MAX, FRAME_BYTES_MAX, OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, Request};

const KIND_JSON: u8 = 1;
const KIND_JSON_RAW: u8 = 2;
const KIND_OUTPUT: u8 = 3;
const LENGTH_BYTES: usize = 4;

/// Why bytes are no message, or a message no bytes.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The stream cannot be read any further.
    #[error("frame of {0} bytes, where 1 to {FRAME_BYTES_MAX} are allowed")]
    FrameLength(usize),
    /// A newer peer; the frame is skipped.
    #[error("unknown frame kind {0}: the peer speaks a newer protocol")]
    UnknownKind(u8),
    /// A frame that is shorter than its parts; it is skipped.
    #[error("frame of kind {0} is cut short")]
    CutShort(u8),
    /// Not JSON, or no message that is known here; the frame is skipped.
    #[error("unreadable message: {0}")]
    Json(#[from] serde_json::Error),
    /// More raw bytes than a message may carry.
    #[error("{0} raw bytes in one message, where {1} are allowed")]
    RawLength(usize, usize),
}

impl ProtocolError {
    /// Is the stream lost, rather than one frame of it?
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::FrameLength(_) => true,
            Self::UnknownKind(_) | Self::CutShort(_) | Self::Json(_) | Self::RawLength(..) => false,
        }
    }
}

/// What [`encode`] and [`Decoder`] carry: [`Request`] one way, [`Event`] the other.
pub trait Message: Serialize + DeserializeOwned {
    /// Exec, offset and bytes of a message that is an output frame.
    fn output(&self) -> Option<(ExecId, u64, &Bytes)>;
    /// The message of an output frame, where this direction has one.
    fn from_output(id: ExecId, offset: u64, bytes: Bytes) -> Option<Self>;
    /// The raw bytes beside the JSON, where the message has them.
    fn raw(&self) -> Option<&Bytes>;
    /// Puts them in.
    fn set_raw(&mut self, raw: Bytes);
}

impl Message for Request {
    fn output(&self) -> Option<(ExecId, u64, &Bytes)> {
        None
    }

    fn from_output(_: ExecId, _: u64, _: Bytes) -> Option<Self> {
        None
    }

    fn raw(&self) -> Option<&Bytes> {
        if let Self::WriteFile { bytes, .. } = self { Some(bytes) } else { None }
    }

    fn set_raw(&mut self, raw: Bytes) {
        if let Self::WriteFile { bytes, .. } = self {
            *bytes = raw;
        }
    }
}

impl Message for Event {
    fn output(&self) -> Option<(ExecId, u64, &Bytes)> {
        if let Self::Output { id, offset, bytes } = self { Some((*id, *offset, bytes)) } else { None }
    }

    fn from_output(id: ExecId, offset: u64, bytes: Bytes) -> Option<Self> {
        Some(Self::Output { id, offset, bytes })
    }

    fn raw(&self) -> Option<&Bytes> {
        if let Self::File { bytes, .. } = self { Some(bytes) } else { None }
    }

    fn set_raw(&mut self, raw: Bytes) {
        if let Self::File { bytes, .. } = self {
            *bytes = raw;
        }
    }
}

/// The bytes before the `length` raw bytes of an output frame, for senders that write the raw bytes from where they lie.
///
/// `length` must be within [`OUTPUT_BYTES_MAX`].
#[must_use]
pub fn output_header(id: ExecId, offset: u64, length: usize) -> [u8; OUTPUT_HEADER_BYTES] {
    let mut header = [0; OUTPUT_HEADER_BYTES];
    header[..4].copy_from_slice(&frame_length(OUTPUT_HEADER_BYTES - LENGTH_BYTES + length));
    header[4] = KIND_OUTPUT;
    header[5..13].copy_from_slice(&id.to_be_bytes());
    header[13..].copy_from_slice(&offset.to_be_bytes());
    header
}

/// Appends the message's frame to `into`.
///
/// # Errors
/// A message that is too long; `into` is then as it was.
pub fn encode<M: Message>(message: &M, into: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let start = into.len();
    let done = encode_frame(message, into);
    if done.is_err() {
        into.truncate(start);
    }
    done
}

fn encode_frame<M: Message>(message: &M, into: &mut Vec<u8>) -> Result<(), ProtocolError> {
    if let Some((id, offset, bytes)) = message.output() {
        if bytes.len() > OUTPUT_BYTES_MAX {
            return Err(ProtocolError::RawLength(bytes.len(), OUTPUT_BYTES_MAX));
        }
        into.extend_from_slice(&output_header(id, offset, bytes.len()));
        into.extend_from_slice(bytes);
        return Ok(());
    }
    let start = into.len();
    into.extend_from_slice(&[0; LENGTH_BYTES]);
    if let Some(raw) = message.raw() {
        if raw.len() > FILE_BYTES_MAX {
            return Err(ProtocolError::RawLength(raw.len(), FILE_BYTES_MAX));
        }
        into.push(KIND_JSON_RAW);
        let header = into.len();
        into.extend_from_slice(&[0; 4]);
        serde_json::to_writer(&mut *into, message)?;
        let json = into.len() - header - 4;
        into[header..header + 4].copy_from_slice(&frame_length(json));
        into.extend_from_slice(raw);
    } else {
        into.push(KIND_JSON);
        serde_json::to_writer(&mut *into, message)?;
    }
    let length = into.len() - start - LENGTH_BYTES;
    if length > FRAME_BYTES_MAX {
        return Err(ProtocolError::FrameLength(length));
    }
    into[start..start + LENGTH_BYTES].copy_from_slice(&frame_length(length));
    Ok(())
}

fn frame_length(length: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Buffers that are kept to be used again.
const RETIRED_MAX: usize = 4;

/// Bytes in, messages out.
///
/// ```
/// use agent::protocol::{Decoder, Request, encode};
///
/// let mut bytes = Vec::new();
/// encode(&Request::List, &mut bytes)?;
/// let mut decoder = Decoder::<Request>::new();
/// decoder.feed(&bytes[..3]);
/// assert_eq!(decoder.next()?, None);
/// decoder.feed(&bytes[3..]);
/// assert_eq!(decoder.next()?, Some(Request::List));
/// # Ok::<(), agent::protocol::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<M> {
    buffer: BytesMut,
    /// Earlier buffers, of which messages may still hold parts.
    retired: Vec<BytesMut>,
    message: PhantomData<M>,
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), retired: Vec::new(), message: PhantomData }
    }
}

impl<M: Message> Decoder<M> {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where a reader may put bytes itself (`read_buf`): at the end.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Makes room for `bytes` more in [`Self::buffer_mut`]: in a buffer whose messages are gone, if there is one, since a
    /// new one is cleared by the kernel page by page.
    pub fn reserve(&mut self, bytes: usize) {
        if self.buffer.capacity() - self.buffer.len() >= bytes {
            return;
        }
        let needed = self.buffer.len() + bytes;
        let free = self.retired.iter_mut().position(|retired| retired.try_reclaim(needed));
        let mut buffer = free.map_or_else(|| BytesMut::with_capacity(needed), |free| self.retired.swap_remove(free));
        buffer.extend_from_slice(&self.buffer);
        std::mem::swap(&mut self.buffer, &mut buffer);
        if self.retired.len() < RETIRED_MAX {
            buffer.clear();
            self.retired.push(buffer);
        }
    }

    /// Bytes that are held and not yet a message.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next message, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// A frame that is no message. Unless [`ProtocolError::is_fatal`], it was skipped, and `next` may be called again.
    #[expect(clippy::should_implement_trait, reason = "an iterator's None is an end; here it means: feed more")]
    pub fn next(&mut self) -> Result<Option<M>, ProtocolError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > FRAME_BYTES_MAX {
            return Err(ProtocolError::FrameLength(length));
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            self.buffer.reserve(LENGTH_BYTES + length - self.buffer.len());
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(LENGTH_BYTES + length).freeze();
        frame.advance(LENGTH_BYTES);
        decode_frame(frame).map(Some)
    }
}

fn decode_frame<M: Message>(mut frame: Bytes) -> Result<M, ProtocolError> {
    let kind = frame.get_u8();
    match kind {
        KIND_JSON => Ok(serde_json::from_slice(&frame)?),
        KIND_JSON_RAW => {
            let header = frame.try_get_u32().map_err(|_| ProtocolError::CutShort(kind))?;
            let header = usize::try_from(header).unwrap_or(usize::MAX);
            if header > frame.len() {
                return Err(ProtocolError::CutShort(kind));
            }
            let mut message: M = serde_json::from_slice(&frame.split_to(header))?;
            message.set_raw(frame);
            Ok(message)
        }
        KIND_OUTPUT => {
            let id = frame.try_get_u64().map_err(|_| ProtocolError::CutShort(kind))?;
            let offset = frame.try_get_u64().map_err(|_| ProtocolError::CutShort(kind))?;
            M::from_output(id, offset, frame).ok_or(ProtocolError::UnknownKind(kind))
        }
        unknown => Err(ProtocolError::UnknownKind(unknown)),
    }
}
