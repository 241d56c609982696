//! From the port's types to those of the protocol, and back.

use std::time::Duration;

use agent::protocol::{self, Cause, Ending, ExitReport};

use crate::placement::{ExecOutcome, ExecRequest, Ladder, Usage};

/// A request as the agent reads it.
pub(super) fn request(id: u64, request: ExecRequest) -> protocol::ExecRequest {
    protocol::ExecRequest {
        id,
        argv: request.argv,
        env: request.env,
        inherit_env: request.inherit_env,
        cwd: Some(request.cwd).filter(|cwd| !cwd.is_empty()),
        user: request.user,
        timeout_ms: request.timeout.map(millis),
        ladder: ladder(request.ladder),
    }
}

/// A ladder as the agent reads it.
pub(super) fn ladder(ladder: Ladder) -> protocol::Ladder {
    protocol::Ladder { interrupt_ms: millis(ladder.after_interrupt), terminate_ms: millis(ladder.after_terminate) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What an exit report means.
pub(super) fn outcome(report: ExitReport) -> ExecOutcome {
    let usage = Usage {
        wall: Duration::from_millis(report.wall_ms),
        user: Duration::from_millis(report.user_ms),
        system: Duration::from_millis(report.system_ms),
        resident_bytes_max: report.max_rss_kib.saturating_mul(1024),
    };
    let (ending, timed_out, cancelled, killed) = match report.cause {
        Cause::StartFailed(reason) => return ExecOutcome::NotStarted { reason },
        Cause::Exited(code) => (Ending::Code(code), false, false, false),
        Cause::Signalled(signal) => (Ending::Signal(signal), false, false, false),
        Cause::TimedOut(ending) => (ending, true, false, false),
        Cause::Cancelled(ending) => (ending, false, true, false),
        Cause::OutOfMemory(ending) => (ending, false, false, true),
    };
    let signal = match ending {
        Ending::Code(_) => None,
        Ending::Signal(signal) => Some(signal),
    };
    let out_of_memory = killed || report.oom_kills > 0;
    ExecOutcome::Exited { code: ending.code(), signal, timed_out, cancelled, out_of_memory, usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        let check = |cause: Cause, oom_kills: u64, success: bool, expect: &str| {
            let report = ExitReport { cause, oom_kills, user_ms: 1, system_ms: 2, max_rss_kib: 3, wall_ms: 4 };
            let got = outcome(report);
            assert_eq!(got.is_success(), success, "{got:?}");
            assert!(format!("{got:?}").contains(expect), "{got:?}");
        };
        check(Cause::Exited(0), 0, true, "resident_bytes_max: 3072");
        check(Cause::Exited(0), 1, true, "out_of_memory: true");
        check(Cause::Exited(3), 0, false, "code: 3, signal: None");
        check(Cause::Signalled(9), 0, false, "code: 137, signal: Some(9)");
        check(Cause::TimedOut(Ending::Code(0)), 0, false, "timed_out: true");
        check(Cause::Cancelled(Ending::Signal(2)), 0, false, "cancelled: true");
        check(Cause::OutOfMemory(Ending::Code(1)), 1, false, "out_of_memory: true");
        check(Cause::StartFailed("x: not found".into()), 0, false, "NotStarted");
    }
}
