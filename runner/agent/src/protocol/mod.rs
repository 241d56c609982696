//! The language between engine and agent: requests, events, and the bytes that carry them.
//!
//! # Bytes
//!
//! Both directions are a sequence of frames. All integers are big-endian.
//!
//! ```text
//! frame    := length:u32 kind:u8 body          length counts kind and body, 1 ..= FRAME_BYTES_MAX
//! kind 1   := json                             a request or an event without raw bytes
//! kind 2   := header:u32 json[header] raw...   the same with raw bytes (files)
//! kind 3   := exec:u64 offset:u64 raw...       output of an exec; only from agent to client
//! ```
//!
//! `json` is one [`Request`] or [`Event`]: an object with one key that names it, `{"start":{...}}`, or a bare string
//! where there is nothing to add, `"list"`. Unknown keys inside are ignored and new keys have defaults, so that either side
//! may be one version older. An unknown frame kind, request or event is an error that names it; the frame is skipped and
//! the connection goes on.
//!
//! # Conversation
//!
//! 1. The client sends [`Request::Hello`]; the agent answers [`Event::Hello`]. A later client takes over: the agent closes
//!    the earlier connection.
//! 2. [`Request::Start`] runs something. Its output follows from offset 0, then [`Event::Exited`]: after the last
//!    [`Event::Output`] and never before it. An id is run at most once: starting it again only tells what is known of it.
//! 3. The client stores output and says so with [`Request::AckOutput`] (about every mebibyte, or when it has nothing else to
//!    do): acknowledged bytes are forgotten. [`Request::AckExit`] ends the exec's life in the agent.
//! 4. After a lost connection: Hello, [`Request::List`], and for each exec [`Request::Resume`] from the offset up to which
//!    the client has stored output. Nothing of an exec is sent on a new connection before that.
//!
//! A closed connection says nothing about how a step ended. Only [`Event::Exited`] does.
//!
//! It deliberately does no I/O: bytes in, messages out. Over stdio, where a connection has no beginning, see [`sync`].

mod event;
mod frame;
mod request;
pub mod sync;

pub use event::{AgentHello, Cause, Ending, Event, ExecProgress, ExecState, ExitReport, Orphan, Subject};
pub use frame::{Decoder, Message, ProtocolError, encode, output_header};
pub use request::{ExecId, ExecRequest, Ladder, Request, Ticket};

/// The version that this build speaks. It is compared in the two Hello messages.
pub const PROTOCOL_VERSION: u8 = 1;

/// The oldest version that this build still understands.
pub const PROTOCOL_VERSION_MIN: u8 = 1;

/// The longest frame: kind and body, without the four bytes of length.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The most raw bytes that one [`Event::Output`] carries.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// The most raw bytes of one [`Request::WriteFile`] or [`Event::File`]; larger files go in pieces (`append`, `offset`).
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of frame length, kind, exec id and offset before the raw bytes of an output frame.
pub const OUTPUT_HEADER_BYTES: usize = 4 + 1 + 8 + 8;
