//! Ctrl-C and its relatives: the first asks for an orderly end, the second for an end now.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What comes so shortly after a signal is the same wish: `timeout` and `npm` send one to their child, and once more to its group.
/// No finger is as fast.
const SAME: Duration = Duration::from_millis(20);

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    wishes: Wishes,
}

impl Signals {
    /// Takes them over from now on. Needs a runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            wishes: Wishes::default(),
        })
    }

    /// Waits for the next one and gives its name.
    pub async fn next(&mut self) -> &'static str {
        loop {
            let name = tokio::select! {
                _ = self.interrupt.recv() => "Ctrl-C",
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.hang_up.recv() => "SIGHUP",
            };
            if self.wishes.is_new(Instant::now()) {
                return name;
            }
        }
    }
}

/// Tells a second wish from a signal that came twice.
#[derive(Debug, Default)]
struct Wishes {
    last: Option<Instant>,
}

impl Wishes {
    fn is_new(&mut self, at: Instant) -> bool {
        let new = self.last.is_none_or(|last| at.duration_since(last) >= SAME);
        if new {
            self.last = Some(at);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_twice_is_one_wish() {
        let (begin, mut wishes) = (Instant::now(), Wishes::default());
        let new = [0, 1, 19, 20, 39, 1000, 1000]
            .map(|milliseconds| wishes.is_new(begin + Duration::from_millis(milliseconds)));
        assert_eq!(new, [true, false, false, true, false, true, false]);
    }
}
