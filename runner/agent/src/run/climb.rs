//! Ending an exec step by step: SIGINT, SIGTERM, SIGKILL, until none of its processes is left.
//!
//! It knows no connection and no report: it is told the time, and says when it wants to be asked again.

use std::time::{Duration, Instant};

use agent::protocol::{ExecId, Ladder};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::processes;

/// Between two looks for processes that outlive SIGKILL (they were forking, or hang in the kernel).
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// Looks, after which what is left is beyond a signal.
const KILL_ROUNDS_MAX: u32 = 250;

/// One exec on its way down.
#[derive(Debug)]
pub(crate) struct Climb {
    pub(crate) id: ExecId,
    group: Pid,
    mark: String,
    next: Rung,
    due: Instant,
    ladder: Ladder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Interrupt,
    Terminate,
    Kill(u32),
}

impl Climb {
    /// Sends the first signal at the next [`Climb::turn`].
    pub(crate) fn new(id: ExecId, group: Pid, mark: String, ladder: Ladder, now: Instant) -> Self {
        Self { id, group, mark, next: Rung::Interrupt, due: now, ladder }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Does what is due; false when the climb is over.
    pub(crate) fn turn(&mut self, now: Instant) -> bool {
        while self.due <= now {
            match self.next {
                Rung::Interrupt => {
                    self.signal_group(Signal::SIGINT, self.ladder.interrupt_ms);
                    self.next = Rung::Terminate;
                    self.due += Duration::from_millis(self.ladder.interrupt_ms);
                }
                Rung::Terminate => {
                    self.signal_group(Signal::SIGTERM, self.ladder.terminate_ms);
                    self.next = Rung::Kill(0);
                    self.due += Duration::from_millis(self.ladder.terminate_ms);
                }
                Rung::Kill(round) => {
                    if round >= KILL_ROUNDS_MAX || !self.kill_all() {
                        return false;
                    }
                    self.next = Rung::Kill(round + 1);
                    self.due = now + KILL_AGAIN;
                }
            }
        }
        true
    }

    /// Is there nothing left to end? Asked when the main process is gone.
    pub(crate) fn is_idle(&self) -> bool {
        processes::of_exec(self.group.as_raw(), &self.mark).is_empty()
    }

    fn signal_group(&self, signal: Signal, wait_ms: u64) {
        if wait_ms == 0 {
            return;
        }
        // Without a member there is nothing to end.
        let _ = killpg(self.group, signal);
        for process in processes::of_exec(self.group.as_raw(), &self.mark) {
            if nix::unistd::getpgid(Some(Pid::from_raw(process.pid))) != Ok(self.group) {
                process.signal(signal);
            }
        }
    }

    /// Was there anything to kill?
    fn kill_all(&self) -> bool {
        let processes = processes::of_exec(self.group.as_raw(), &self.mark);
        if !processes.is_empty() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
        for process in &processes {
            process.signal(Signal::SIGKILL);
        }
        !processes.is_empty()
    }
}
