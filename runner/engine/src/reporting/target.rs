//! A server that takes messages, as a port.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::outbox::{Message, Outbox};

/// Brings messages to another server.
#[async_trait]
pub trait Target: Send + Sync + std::fmt::Debug {
    /// One attempt, within a time limit of the target's own. Where the message is
    /// [uncertain](Message::uncertain), it looks first whether it has arrived.
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome;
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Arrived {
        /// What the other side calls the thing that it made.
        remote: Option<String>,
    },
    /// The target has no use for it.
    Unwanted,
    /// The target does not take it.
    Refused {
        /// Why.
        problem: String,
        /// Whether it may take it in a while: what it is about may not be known there yet.
        for_now: bool,
    },
    /// It may go well later.
    Later {
        /// Why not now.
        problem: String,
        /// How long the target asks to be left alone.
        after: Option<Duration>,
        /// Whose turn is put off.
        scope: Scope,
        /// Whether it may have arrived all the same.
        uncertain: bool,
    },
}

/// What a delay is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This message, and so its lane.
    Lane,
    /// Everything for the lane's repository owner: a credential's limit is used up.
    Owner,
    /// Everything for the target.
    Target,
}
