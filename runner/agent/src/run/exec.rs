//! One exec from its start to its report.
//!
//! The exit of the main process decides, not the end of its pipe: a daemon that keeps stdout open must not hold up the
//! step. What was in the pipe at the exit is read all the same, and what comes shortly after.

use std::fs::File;
use std::time::{Duration, Instant};

use agent::protocol::{Cause, Ending, ExecId, ExecProgress, ExecState, ExitReport, Ladder};
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::Pid;

use super::spool::{Filled, Spares, Spool};

/// After the exit, with the pipe still open, output ends when it has been silent for so long.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// After the exit, a daemon that goes on writing is listened to no longer than this.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What a busy exec's pipe is grown to: fewer switches between it and us.
const PIPE_BYTES: i32 = 1024 * 1024;

/// A read of so many bytes calls for the larger pipe.
const BUSY_READ_BYTES: usize = 32 * 1024;

/// Bytes read for one exec before others have their turn.
const TURN_BYTES_MAX: usize = 512 * 1024;

/// After a full disk, when to try again.
const STALL: Duration = Duration::from_millis(200);

/// Why the ladder was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    Cancelled,
}

/// How the main process went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) max_rss_bytes: u64,
    pub(crate) at: Instant,
    /// The control group's counter at the exit.
    pub(crate) oom_kills: u64,
}

/// Reading on after the exit.
#[derive(Debug)]
struct Drain {
    quiet_at: Instant,
    over_at: Instant,
    /// What was in the pipe at the exit has been read.
    emptied: bool,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    /// 0 when it could not start.
    pub(crate) pid: i32,
    pub(crate) mark: String,
    pub(crate) ladder: Ladder,
    pub(crate) spool: Spool,
    /// When the time-out strikes.
    pub(crate) deadline: Option<Instant>,
    pub(crate) stop: Option<Stop>,
    /// Others ran meanwhile: a kill for want of memory may have been theirs.
    pub(crate) crowded: bool,
    pub(crate) report: Option<ExitReport>,
    /// The reading end, until the report.
    pub(crate) pipe: Option<File>,
    started: Instant,
    oom_kills_before: u64,
    ended: Option<Ended>,
    drain: Option<Drain>,
    stalled_until: Option<Instant>,
    pipe_grown: bool,
}

impl Exec {
    pub(crate) fn new(id: ExecId, mark: String, ladder: Ladder, spool: Spool, now: Instant, oom_kills: u64) -> Self {
        Self {
            id,
            pid: 0,
            mark,
            ladder,
            spool,
            deadline: None,
            stop: None,
            crowded: false,
            report: None,
            pipe: None,
            started: now,
            oom_kills_before: oom_kills,
            ended: None,
            drain: None,
            stalled_until: None,
            pipe_grown: false,
        }
    }

    /// It never ran.
    pub(crate) fn fail(&mut self, reason: String) {
        let cause = Cause::StartFailed(reason);
        self.report = Some(ExitReport { cause, oom_kills: 0, user_ms: 0, system_ms: 0, max_rss_kib: 0, wall_ms: 0 });
    }

    /// Its main process lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.report.is_none() && self.ended.is_none()
    }

    pub(crate) fn group(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    pub(crate) fn state(&self) -> ExecState {
        let progress = self.report.clone().map_or(ExecProgress::Running, ExecProgress::Exited);
        let (output_bytes, acked_bytes) = (self.spool.end(), self.spool.acked());
        ExecState { id: self.id, pid: self.pid, progress, output_bytes, acked_bytes }
    }

    /// Is its pipe to be polled? For `spill` see [`Spool::is_full`].
    pub(crate) fn wants_input(&self, now: Instant, spill: bool) -> bool {
        self.pipe.is_some() && !self.spool.is_full(spill) && self.stalled_until.is_none_or(|until| until <= now)
    }

    /// The next moment at which something happens by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.report.is_some() {
            return None;
        }
        let drain = self.drain.as_ref().filter(|drain| drain.emptied).map(|drain| drain.quiet_at.min(drain.over_at));
        [self.deadline, drain, self.stalled_until].into_iter().flatten().min()
    }

    /// The main process is gone.
    pub(crate) fn end(&mut self, ended: Ended) {
        self.deadline = None;
        self.drain =
            Some(Drain { quiet_at: ended.at + DRAIN_QUIET, over_at: ended.at + DRAIN_MAX, emptied: false, bytes: 0 });
        self.ended = Some(ended);
    }

    /// Reads what is there, within a turn's share. The error is for the journal.
    pub(crate) fn fill(&mut self, spares: &mut Spares, now: Instant, spill: bool) -> Result<(), String> {
        self.stalled_until = self.stalled_until.filter(|until| *until > now);
        let mut bytes = 0;
        while let Some(pipe) = &self.pipe
            && self.stalled_until.is_none()
            && bytes < TURN_BYTES_MAX
        {
            let filled = self.spool.fill(pipe, spares, spill).map_err(|error| {
                self.stalled_until = Some(now + STALL);
                format!("exec {}: output is not read on for now: {error}", self.id)
            })?;
            match filled {
                Filled::Bytes(count) => {
                    bytes += count;
                    if count >= BUSY_READ_BYTES && !self.pipe_grown {
                        self.pipe_grown = true;
                        // A user's limit on pipes may forbid it; the small one works too.
                        let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
                    }
                }
                Filled::Empty => {
                    if let Some(drain) = &mut self.drain {
                        drain.emptied = true;
                    }
                    break;
                }
                Filled::End => self.pipe = None,
                Filled::Full => break,
            }
        }
        if let Some(drain) = &mut self.drain
            && bytes > 0
        {
            drain.bytes += bytes;
            drain.quiet_at = now + DRAIN_QUIET;
            drain.emptied |= drain.bytes >= PIPE_BYTES.unsigned_abs() as usize;
        }
        Ok(())
    }

    /// Makes the report when all is known; true when it did so now.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let (None, Some(ended), Some(drain)) = (&self.report, self.ended, &self.drain) else { return false };
        let over = drain.emptied && (drain.quiet_at <= now || drain.over_at <= now);
        if self.pipe.is_some() && !over {
            return false;
        }
        let oom_kills = ended.oom_kills.saturating_sub(self.oom_kills_before);
        self.report = Some(ExitReport {
            cause: cause(self.stop, ended.ending, oom_kills > 0, self.crowded),
            oom_kills,
            user_ms: milliseconds(ended.user),
            system_ms: milliseconds(ended.system),
            max_rss_kib: ended.max_rss_bytes / 1024,
            wall_ms: milliseconds(ended.at.duration_since(self.started)),
        });
        true
    }
}

fn cause(stop: Option<Stop>, ending: Ending, oom: bool, crowded: bool) -> Cause {
    const KILLED: i32 = 128 + 9;
    match (stop, ending) {
        (Some(Stop::TimedOut), _) => Cause::TimedOut(ending),
        (Some(Stop::Cancelled), _) => Cause::Cancelled(ending),
        // A step beside others is blamed only when it bears the mark of the kill itself.
        (None, _) if oom && ending.code() != 0 && (!crowded || ending.code() == KILLED) => Cause::OutOfMemory(ending),
        (None, Ending::Code(code)) => Cause::Exited(code),
        (None, Ending::Signal(signal)) => Cause::Signalled(signal),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        let (code, signal) = (Ending::Code, Ending::Signal);
        let cases = [
            (None, code(0), false, false, Cause::Exited(0)),
            (None, code(3), false, false, Cause::Exited(3)),
            (None, signal(9), false, false, Cause::Signalled(9)),
            (None, signal(9), true, false, Cause::OutOfMemory(signal(9))),
            (None, code(137), true, true, Cause::OutOfMemory(code(137))),
            (None, code(2), true, false, Cause::OutOfMemory(code(2))),
            (None, code(2), true, true, Cause::Exited(2)),
            (None, code(0), true, false, Cause::Exited(0)),
            (Some(Stop::TimedOut), code(0), false, false, Cause::TimedOut(code(0))),
            (Some(Stop::Cancelled), signal(2), true, false, Cause::Cancelled(signal(2))),
        ];
        for (stop, ending, oom, crowded, expect) in cases {
            assert_eq!(cause(stop, ending, oom, crowded), expect);
        }
    }
}
