//! One turn of the loop: wait for a descriptor or a deadline, then do all that has become possible.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use agent::protocol::{Ending, ExecId, Ladder, Request, Subject};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::connection::Connection;
use super::exec::{Ended, Stop};
use super::processes;
use super::supervisor::Supervisor;

/// For SIGTERM: within the ten seconds that `docker stop` grants.
const STOP_LADDER: Ladder = Ladder { interrupt_ms: 5_000, terminate_ms: 2_500 };

/// Bytes of a daemon's output thrown away in one turn.
const LEFTOVER_READS_MAX: usize = 16;

/// What a descriptor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    ChildEnded,
    ToldToStop,
    Listener,
    Client,
    ClientOutput,
    Newcomer,
    Exec(ExecId),
    Leftover(usize),
}

impl Supervisor {
    pub(crate) fn turn_until_stopped(&mut self) -> io::Result<()> {
        loop {
            for (source, flags) in self.wait()? {
                self.serve(source, flags)?;
            }
            let now = Instant::now();
            self.reach_deadlines(now);
            self.settle(now);
            self.pump();
            // Requests that had to wait until answers were sent.
            self.obey();
            self.leave_if_deserted(now);
            if self.stop_on(now)? {
                return Ok(());
            }
        }
    }

    /// The descriptors that are ready, in the order in which they should be served.
    fn wait(&self) -> io::Result<Vec<(Source, PollFlags)>> {
        let now = Instant::now();
        let mut sources: Vec<(Source, BorrowedFd<'_>, PollFlags)> = vec![
            (Source::ChildEnded, self.child_ended.as_fd(), PollFlags::POLLIN),
            (Source::ToldToStop, self.told_to_stop.as_fd(), PollFlags::POLLIN),
        ];
        for exec in self.execs.values().filter(|exec| exec.wants_input(now, self.may_spill(exec.id))) {
            if let Some(pipe) = &exec.pipe {
                sources.push((Source::Exec(exec.id), pipe.as_fd(), PollFlags::POLLIN));
            }
        }
        for (at, pipe) in self.leftovers.iter().enumerate() {
            sources.push((Source::Leftover(at), pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some(client) = &self.client {
            let input = if client.wants_input() { PollFlags::POLLIN } else { PollFlags::empty() };
            sources.push((Source::Client, client.input.as_fd(), input));
            if client.wants_output(&self.execs) {
                sources.push((Source::ClientOutput, client.output().as_fd(), PollFlags::POLLOUT));
            }
        }
        if let Some(newcomer) = &self.newcomer {
            sources.push((Source::Newcomer, newcomer.input.as_fd(), PollFlags::POLLIN));
        }
        if let Some(listener) = &self.listener {
            sources.push((Source::Listener, listener.as_fd(), PollFlags::POLLIN));
        }
        let mut polled: Vec<PollFd<'_>> = sources.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut polled, self.timeout(now)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = polled
            .iter()
            .zip(&sources)
            .map(|(fd, (source, _, _))| (*source, fd.revents().unwrap_or(PollFlags::empty())));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn timeout(&self, now: Instant) -> PollTimeout {
        let climbs = self.climbs.iter().map(|climb| climb.due());
        let execs = self.execs.values().filter_map(|exec| exec.due());
        let stopping = self.stopping.as_ref().and_then(|stopping| stopping.due());
        let linger = self.leaving_at();
        let Some(next) = climbs.chain(execs).chain(stopping).chain(linger).min() else { return PollTimeout::NONE };
        // Up, not down: a wait that ends just before the deadline would turn the loop for nothing.
        let wait = next.saturating_duration_since(now) + Duration::from_micros(999);
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
    }

    fn serve(&mut self, source: Source, flags: PollFlags) -> io::Result<()> {
        match source {
            Source::ChildEnded => {
                drain_signals(&self.child_ended);
                self.reap();
            }
            Source::ToldToStop => {
                drain_signals(&self.told_to_stop);
                let ladder = if self.stopping.is_some() { Ladder::KILL } else { STOP_LADDER };
                self.begin_stopping(ladder);
            }
            Source::Exec(id) => {
                let (now, spill) = (Instant::now(), self.may_spill(id));
                if let Some(exec) = self.execs.get_mut(&id)
                    && let Err(error) = exec.fill(&mut self.spares, now, spill)
                {
                    self.journal.note(&error);
                }
            }
            Source::Leftover(at) => self.discard(at),
            Source::Client if !flags.contains(PollFlags::POLLIN) => self.lose_client("closed"),
            Source::Client => self.hear_client(),
            Source::ClientOutput => {}
            Source::Newcomer => self.hear_newcomer(),
            Source::Listener => self.accept()?,
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let Some(Ok((stream, _))) = self.listener.as_ref().map(|listener| listener.accept()) else { return Ok(()) };
        stream.set_nonblocking(true)?;
        let input = OwnedFd::from(stream);
        let output = input.try_clone()?;
        self.newcomer = Some(Connection::new(input.into(), output.into(), None));
        Ok(())
    }

    /// A newcomer that says hello takes the client's place; one that says anything else is sent away.
    fn hear_newcomer(&mut self) {
        let Some(mut newcomer) = self.newcomer.take() else { return };
        let open = newcomer.read(&mut self.buffer).unwrap_or(false);
        match newcomer.next() {
            Ok(Some(request @ Request::Hello { .. })) => {
                self.journal.note("a client has come");
                newcomer.greeted = true;
                self.client = Some(newcomer);
                self.handle(request);
                self.obey();
            }
            Ok(None) if open => self.newcomer = Some(newcomer),
            Ok(_) | Err(_) => self.journal.note("a connection did not begin with a hello"),
        }
    }

    fn hear_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        match client.read(&mut self.buffer) {
            Ok(true) => self.obey(),
            Ok(false) => self.lose_client("closed"),
            Err(error) => self.lose_client(&error.to_string()),
        }
    }

    /// Carries out all requests that have come in whole.
    fn obey(&mut self) {
        while let Some(client) = &mut self.client
            && client.wants_input()
        {
            match client.next() {
                Ok(Some(request)) => {
                    let hello = matches!(request, Request::Hello { .. });
                    if hello || client.greeted {
                        client.greeted = true;
                        self.handle(request);
                    } else {
                        self.refuse(Subject::Hello, "the first request must be a hello");
                    }
                }
                Ok(None) => return,
                Err((reason, readable)) => {
                    self.refuse(Subject::Frame, reason);
                    if !readable {
                        self.pump();
                        return self.lose_client("unreadable");
                    }
                }
            }
        }
    }

    fn lose_client(&mut self, why: &str) {
        self.journal.note(&format!("the client has gone: {why}"));
        self.client = None;
        self.alone_since = Instant::now();
        // Over stdio no other can ever come.
        if self.listener.is_none() {
            self.begin_stopping(STOP_LADDER);
        }
    }

    /// Takes the exit of every child that has ended: execs' main processes, and orphans that came to us.
    pub(crate) fn reap(&mut self) {
        loop {
            let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            match waitid(Id::All, peek) {
                Ok(status) => match status.pid() {
                    Some(pid) => self.reap_one(pid.as_raw()),
                    None => return,
                },
                Err(Errno::EINTR) => {}
                // Killed by a real-time signal, for which nix has no name: find it by looking.
                Err(Errno::EINVAL) => processes::dead_children().into_iter().for_each(|pid| self.reap_one(pid)),
                Err(_) => return,
            }
        }
    }

    fn reap_one(&mut self, pid: i32) {
        let Ok(Some(used)) = wait4::try_wait4_pid(pid.unsigned_abs()) else { return };
        let Some(exec) = self.execs.values_mut().find(|exec| exec.pid == pid && exec.is_alive()) else { return };
        let ending = match (used.status.code(), used.status.signal()) {
            (Some(code), _) => Ending::Code(code),
            (None, signal) => Ending::Signal(signal.unwrap_or(0)),
        };
        let at = Instant::now();
        let (user, system) = (used.rusage.utime, used.rusage.stime);
        exec.end(Ended { ending, user, system, max_rss_bytes: used.rusage.maxrss, at, oom_kills: self.oom.kills() });
        // What was written before the exit is there now; what has no room in memory waits for its turn.
        if let Err(error) = exec.fill(&mut self.spares, at, false) {
            self.journal.note(&error);
        }
        let id = exec.id;
        self.climbs.retain(|climb| climb.id != id || !climb.is_idle());
    }

    fn reach_deadlines(&mut self, now: Instant) {
        let late = self.execs.values().filter(|exec| exec.deadline.is_some_and(|deadline| deadline <= now));
        for id in late.map(|exec| exec.id).collect::<Vec<ExecId>>() {
            self.bring_down(id, Stop::TimedOut, None);
        }
        self.climbs.retain_mut(|climb| climb.due() > now || climb.turn(now));
    }

    /// Reports of execs that are over; their pipes, if daemons hold them, are read on for nothing.
    fn settle(&mut self, now: Instant) {
        for exec in self.execs.values_mut() {
            if exec.settle(now) {
                self.leftovers.extend(exec.pipe.take());
            }
        }
    }

    /// Whether output of this exec may go to files: nobody takes it, or all that memory holds of it was sent.
    fn may_spill(&self, id: ExecId) -> bool {
        let end = self.execs.get(&id).map_or(0, |exec| exec.spool.end());
        self.client.as_ref().is_none_or(|client| !client.is_behind(id, end))
    }

    fn discard(&mut self, at: usize) {
        let Some(pipe) = self.leftovers.get(at) else { return };
        let mut reader = pipe;
        for _ in 0..LEFTOVER_READS_MAX {
            match reader.read(&mut self.buffer) {
                Ok(0) => {
                    self.leftovers.swap_remove(at);
                    return;
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn pump(&mut self) {
        let Some(client) = &mut self.client else { return };
        if let Err(error) = client.pump(&self.execs, &mut self.scratch) {
            self.lose_client(&error.to_string());
        }
    }

    /// When the agent leaves if nothing changes: never while a client is there or something runs.
    fn leaving_at(&self) -> Option<Instant> {
        let deserted = self.client.is_none() && self.stopping.is_none();
        let idle = deserted && self.execs.values().all(|exec| exec.report.is_some());
        self.linger.filter(|_| idle).map(|linger| self.alone_since + linger)
    }

    fn leave_if_deserted(&mut self, now: Instant) {
        if self.leaving_at().is_some_and(|leaving| leaving <= now) {
            self.journal.note("nobody came: leaving");
            self.begin_stopping(STOP_LADDER);
        }
    }
}

fn drain_signals(stream: &std::os::unix::net::UnixStream) {
    let mut bytes = [0; 64];
    let mut stream = stream;
    while stream.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
}
