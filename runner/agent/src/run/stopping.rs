//! The agent's own end: execs by their ladder, then what they left behind, then the last words.

use std::io;
use std::time::{Duration, Instant};

use agent::protocol::{Event, ExecId, Ladder, Orphan};
use nix::sys::signal::Signal;

use super::exec::Stop;
use super::processes;
use super::supervisor::Supervisor;

/// What processes left behind get between SIGTERM and SIGKILL, at most.
const ORPHAN_TERMINATE_MS_MAX: u64 = 500;

/// Between two looks for them.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Looks after SIGKILL, after which what is left is beyond a signal.
const KILL_ROUNDS_MAX: u32 = 200;

/// What a client gets to take the last events.
const FAREWELL: Duration = Duration::from_secs(5);

/// How far it is.
#[derive(Debug)]
pub(crate) struct Stopping {
    terminate: Duration,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Execs,
    Orphans { orphans: Vec<Orphan>, kill_at: Instant, look_at: Instant, rounds: u32 },
    Farewell { until: Instant },
}

impl Stopping {
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Execs => None,
            Phase::Orphans { look_at, .. } => Some(*look_at),
            Phase::Farewell { until } => Some(*until),
        }
    }
}

impl Supervisor {
    /// Also when it has begun already: a harder ladder then takes over.
    pub(crate) fn begin_stopping(&mut self, ladder: Ladder) {
        self.journal.note("stopping");
        let alive: Vec<ExecId> = self.execs.values().filter(|exec| exec.is_alive()).map(|exec| exec.id).collect();
        for id in alive {
            self.bring_down(id, Stop::Cancelled, Some(ladder));
        }
        let terminate = Duration::from_millis(ladder.terminate_ms.min(ORPHAN_TERMINATE_MS_MAX));
        match &mut self.stopping {
            None => self.stopping = Some(Stopping { terminate, phase: Phase::Execs }),
            Some(stopping) => {
                stopping.terminate = stopping.terminate.min(terminate);
                if let Phase::Orphans { kill_at, look_at, .. } = &mut stopping.phase {
                    *kill_at = Instant::now() + stopping.terminate;
                    *look_at = Instant::now();
                }
            }
        }
    }

    /// One step on; true when the agent may exit.
    pub(crate) fn stop_on(&mut self, now: Instant) -> io::Result<bool> {
        let Some(mut stopping) = self.stopping.take() else { return Ok(false) };
        if matches!(stopping.phase, Phase::Execs) && self.execs.values().all(|exec| exec.report.is_some()) {
            self.climbs.clear();
            let found = processes::left_behind(&self.mark_prefix);
            for process in &found {
                process.signal(Signal::SIGTERM);
            }
            let orphans =
                found.into_iter().map(|process| Orphan { pid: process.pid, command: process.command }).collect();
            stopping.phase = Phase::Orphans { orphans, kill_at: now + stopping.terminate, look_at: now, rounds: 0 };
        }
        if let Phase::Orphans { orphans, kill_at, look_at, rounds } = &mut stopping.phase
            && *look_at <= now
        {
            *look_at = now + LOOK_AGAIN;
            self.reap();
            let left = processes::left_behind(&self.mark_prefix);
            if *kill_at <= now {
                *rounds += 1;
                for process in &left {
                    process.signal(Signal::SIGKILL);
                }
            }
            if left.is_empty() || *rounds > KILL_ROUNDS_MAX {
                // Dead is not gone: what waits to be reaped would outlive us as someone else's zombie.
                self.reap();
                let orphans = std::mem::take(orphans);
                self.farewell = Some(Event::Stopped { orphans });
                stopping.phase = Phase::Farewell { until: now + FAREWELL };
            }
        }
        let over = match &stopping.phase {
            Phase::Farewell { until } => self.is_farewell_over(*until <= now)?,
            Phase::Execs | Phase::Orphans { .. } => false,
        };
        self.stopping = Some(stopping);
        Ok(over)
    }

    /// All is sent, or there is no one (any more) to send it to.
    fn is_farewell_over(&mut self, late: bool) -> io::Result<bool> {
        let Some(client) = &mut self.client else { return Ok(true) };
        if !client.wants_output(&self.execs) {
            match self.farewell.take() {
                Some(farewell) => client.send(&farewell),
                None => return Ok(true),
            }
        }
        if client.pump(&self.execs, &mut self.scratch).is_err() {
            self.client = None;
            return Ok(true);
        }
        let told =
            self.farewell.is_none() && self.client.as_ref().is_none_or(|client| !client.wants_output(&self.execs));
        Ok(late || told)
    }
}
