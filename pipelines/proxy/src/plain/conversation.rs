//! A client's connection and what its requests need: memory that is used again for each.

use std::sync::Arc;

use bytes::BytesMut;
use hyper::header::HeaderValue;

use super::client::Client;
use crate::worker::Worker;

/// A client's connection.
pub(super) struct Conversation<'worker> {
    pub(super) worker: &'worker Arc<Worker>,
    /// The client's address.
    pub(super) peer: HeaderValue,
    pub(super) is_test: bool,
    pub(super) client: Client,
    /// What the backend gets: the head and what has come of the body.
    pub(super) request: Vec<u8>,
    /// What has come from the backend.
    pub(super) got: BytesMut,
    /// What the client gets.
    pub(super) reply: Vec<u8>,
    /// Of the request.
    pub(super) id: Vec<u8>,
}

/// What comes after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Another,
    Close,
    /// Something of the request is still on its way; to close at once could take the answer with it.
    Linger,
}
