//! How long somebody may be silent.
//!
//! The timer is looked at only when it fires, which is a few times within the shortest limit: setting it for each step would
//! cost more than the limit is worth. So limits are kept to within a quarter of the shortest.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::options::Times;

/// How often the limit is looked at within the shortest.
const LOOKS: u32 = 4;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Clock {
    deadline: Instant,
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Clock {
    pub(super) fn of(times: &Times) -> Self {
        let every = times.head.min(times.idle).min(times.answer).min(times.silence) / LOOKS;
        let now = Instant::now();
        Self { deadline: now + times.head, every, timer: Box::pin(tokio::time::sleep_until(now + every)) }
    }

    /// From now on it is this long.
    pub(super) fn set(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// Whether the time is over; wakes the task when it is to be asked again.
    pub(super) fn poll_is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                return true;
            }
            self.timer.as_mut().reset(now + self.every);
        }
        false
    }
}
