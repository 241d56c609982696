//! What happened that somebody may have to act on. The last ones are kept, in memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How many are kept.
const EVENTS_MAX: usize = 512;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// From 1, one more each time; begins again with the process.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// Another table stands.
    TableReplaced {
        /// Its number.
        generation: u64,
    },
    /// A backend could not be reached and gets nothing until it can be.
    Ejected {
        /// Which.
        backend: SocketAddr,
        /// What went wrong.
        reason: String,
        /// How long it is left alone before it is tried again, in milliseconds.
        milliseconds: u64,
    },
    /// It can be reached again.
    Returned {
        /// Which.
        backend: SocketAddr,
    },
    /// No backend of a colour with weight can be reached: its share goes to the others. A reason to roll back.
    ColourDown {
        /// The service.
        service: String,
        /// The colour.
        colour: String,
        /// Its revision.
        revision: String,
    },
    /// One can be reached again.
    ColourUp {
        /// The service.
        service: String,
        /// The colour.
        colour: String,
        /// Its revision.
        revision: String,
    },
    /// Another process takes over the sockets; this one finishes what it has.
    HandedOver,
    /// The process was told to stop.
    Stopping,
}

/// The last ones, and whoever waits for more.
#[derive(Debug)]
pub(crate) struct Events {
    kept: Mutex<VecDeque<Event>>,
    last: watch::Sender<u64>,
}

impl Default for Events {
    fn default() -> Self {
        Self { kept: Mutex::default(), last: watch::Sender::new(0) }
    }
}

impl Events {
    pub(crate) fn add(&self, what: Happening) {
        tracing::info!(?what, "event");
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.last.borrow() + 1;
        if kept.len() == EVENTS_MAX {
            kept.pop_front();
        }
        kept.push_back(Event { number, at: Timestamp::now(), what });
        self.last.send_replace(number);
    }

    /// Those after this number.
    pub(crate) fn after(&self, number: u64) -> Vec<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|event| event.number > number).cloned().collect()
    }

    /// The same, once there is one.
    pub(crate) async fn wait_after(&self, number: u64) -> Vec<Event> {
        let mut last = self.last.subscribe();
        // Fails only if the sender is gone, which is `self`.
        let _gone = last.wait_for(|last| *last > number).await;
        self.after(number)
    }
}
