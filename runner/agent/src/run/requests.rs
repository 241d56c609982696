//! What each request does.

use std::time::{Duration, Instant};

use agent::protocol::{
    Event, ExecId, ExecRequest, Ladder, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, Request, Subject, Ticket,
};
use nix::sys::signal::{Signal, killpg};

use super::climb::Climb;
use super::exec::{Exec, Stop};
use super::spool::Spool;
use super::supervisor::Supervisor;
use super::{files, start};

/// Execs whose exit is not acknowledged.
const EXECS_MAX: usize = 1024;

impl Supervisor {
    /// Carries out what the client asks and answers it.
    pub(crate) fn handle(&mut self, request: Request) {
        match request {
            Request::Hello { version } => self.greet(version),
            Request::Start(request) => self.start(&request),
            Request::Cancel { id, ladder } => self.cancel(id, ladder),
            Request::Signal { id, signal } => self.signal(id, signal),
            Request::AckOutput { id, offset } => self.ack_output(id, offset),
            Request::AckExit { id } => self.ack_exit(id),
            Request::Resume { id, offset } => self.resume(id, offset),
            Request::List => {
                let execs = self.execs.values().map(Exec::state).collect();
                self.tell(&Event::Execs { execs });
            }
            Request::WriteFile { ticket, path, mode, append, bytes } => {
                self.answer_file(ticket, files::write_file(&path, mode, append, &bytes));
            }
            Request::ReadFile { ticket, path, offset, max_bytes } => {
                match files::read_file(ticket, &path, offset, max_bytes) {
                    Ok(event) => self.tell(&event),
                    Err(reason) => self.refuse(Subject::File(ticket), reason),
                }
            }
            Request::Remove { ticket, path } => self.answer_file(ticket, files::remove(&path)),
            Request::MkdirAll { ticket, path, mode } => self.answer_file(ticket, files::make_directories(&path, mode)),
            Request::Shutdown { ladder } => self.begin_stopping(ladder),
        }
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        if let Some(client) = &mut self.client {
            client.send(event);
        }
    }

    pub(crate) fn refuse(&mut self, about: Subject, reason: impl Into<String>) {
        self.tell(&Event::Failed { about, reason: reason.into() });
    }

    fn refuse_unknown(&mut self, id: ExecId) {
        let reason = if self.forgotten.contains(&id) {
            format!("exec {id} has ended and its exit was acknowledged")
        } else {
            format!("there is no exec {id}")
        };
        self.refuse(Subject::Exec(id), reason);
    }

    fn answer_file(&mut self, ticket: Ticket, done: Result<(), String>) {
        match done {
            Ok(()) => self.tell(&Event::Done { ticket }),
            Err(reason) => self.refuse(Subject::File(ticket), reason),
        }
    }

    fn greet(&mut self, version: u8) {
        if version < PROTOCOL_VERSION_MIN {
            self.refuse(
                Subject::Hello,
                format!("this agent speaks versions {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION} of the protocol, not {version}"),
            );
            return;
        }
        // A newer client learns our version from the answer and decides for itself.
        let hello = Event::Hello(self.hello.clone());
        self.tell(&hello);
    }

    fn start(&mut self, request: &ExecRequest) {
        let id = request.id;
        if let Some(exec) = self.execs.get(&id) {
            let (pid, acked) = (exec.pid, exec.spool.acked());
            self.tell(&Event::Started { id, pid });
            if let Some(client) = self.client.as_mut().filter(|client| !client.follows(id)) {
                client.follow(id, acked);
            }
            return;
        }
        if self.forgotten.contains(&id) {
            self.refuse_unknown(id);
            return;
        }
        let now = Instant::now();
        let spool = Spool::new(id, self.spool_directory.clone(), self.spool_bytes_max);
        let mark = format!("{}{id}", self.mark_prefix);
        let mut exec = Exec::new(id, mark, request.ladder, spool, now, self.oom.kills());
        match self.try_start(request, &exec.mark) {
            Ok(started) => {
                exec.pid = started.pid.as_raw();
                exec.pipe = Some(started.pipe);
                exec.deadline = request.timeout_ms.map(|timeout| now + Duration::from_millis(timeout));
                for other in self.execs.values_mut().filter(|other| other.report.is_none()) {
                    other.crowded = true;
                    exec.crowded = true;
                }
                self.tell(&Event::Started { id, pid: exec.pid });
            }
            Err(reason) => exec.fail(reason),
        }
        self.execs.insert(id, exec);
        if let Some(client) = &mut self.client {
            client.follow(id, 0);
        }
    }

    fn try_start(&self, request: &ExecRequest, mark: &str) -> Result<start::Started, String> {
        if self.stopping.is_some() {
            return Err("the agent is shutting down".to_owned());
        }
        if self.execs.len() >= EXECS_MAX {
            return Err(format!("there are {EXECS_MAX} execs whose exit is not acknowledged"));
        }
        start::start(request, mark, &self.own)
    }

    fn cancel(&mut self, id: ExecId, ladder: Option<Ladder>) {
        match self.execs.get(&id) {
            Some(_) => self.bring_down(id, Stop::Cancelled, ladder),
            None => self.refuse_unknown(id),
        }
    }

    /// Begins the ladder, unless the exec is over. A further ladder takes the place of one that is under way.
    pub(crate) fn bring_down(&mut self, id: ExecId, stop: Stop, ladder: Option<Ladder>) {
        let Some(exec) = self.execs.get_mut(&id) else { return };
        if !exec.is_alive() {
            return;
        }
        exec.deadline = None;
        exec.stop.get_or_insert(stop);
        let under_way = self.climbs.iter().position(|climb| climb.id == id);
        if under_way.is_some() && ladder.is_none() {
            return;
        }
        let climb = Climb::new(id, exec.group(), exec.mark.clone(), ladder.unwrap_or(exec.ladder), Instant::now());
        match under_way {
            Some(at) => self.climbs[at] = climb,
            None => self.climbs.push(climb),
        }
    }

    fn signal(&mut self, id: ExecId, signal: i32) {
        let Some(exec) = self.execs.get(&id) else { return self.refuse_unknown(id) };
        let sent = if exec.is_alive() {
            Signal::try_from(signal)
                .and_then(|signal| killpg(exec.group(), signal))
                .map_err(|error| error.desc().to_lowercase())
        } else {
            Err("it has ended".to_owned())
        };
        if let Err(reason) = sent {
            self.refuse(Subject::Exec(id), format!("cannot send signal {signal} to exec {id}: {reason}"));
        }
    }

    fn ack_output(&mut self, id: ExecId, offset: u64) {
        let Some(exec) = self.execs.get_mut(&id) else { return self.refuse_unknown(id) };
        let end = exec.spool.end();
        if offset > end {
            self.refuse(Subject::Exec(id), format!("exec {id} has put out {end} bytes, not {offset}"));
            return;
        }
        // A frame that is half sent must be sent to its end.
        let sending = self.client.as_ref().and_then(|client| client.sending(id)).unwrap_or(u64::MAX);
        exec.spool.forget(offset.min(sending), &mut self.spares);
    }

    fn ack_exit(&mut self, id: ExecId) {
        let Some(exec) = self.execs.get(&id) else { return self.refuse_unknown(id) };
        if exec.report.is_none() {
            return self.refuse(Subject::Exec(id), format!("exec {id} has not ended"));
        }
        if self.client.as_ref().is_some_and(|client| client.sending(id).is_some()) {
            return self.refuse(Subject::Exec(id), format!("output of exec {id} is still being sent"));
        }
        self.execs.remove(&id);
        self.forgotten.insert(id);
        if let Some(client) = &mut self.client {
            client.unfollow(id);
        }
    }

    fn resume(&mut self, id: ExecId, offset: u64) {
        let Some(exec) = self.execs.get(&id) else { return self.refuse_unknown(id) };
        let (pid, acked, end) = (exec.pid, exec.spool.acked(), exec.spool.end());
        if !(acked..=end).contains(&offset) {
            let reason = format!("exec {id} holds output from byte {acked} to {end}, and not from {offset}");
            return self.refuse(Subject::Exec(id), reason);
        }
        self.tell(&Event::Started { id, pid });
        if let Some(client) = &mut self.client {
            client.follow(id, offset);
        }
    }
}
