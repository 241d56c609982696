//! The task that owns a connection: writes requests, reads events, hands each to who waits for it, connects again.
//!
//! It never waits for two things in turn: while a reader is slow, requests (a cancel, say) still go out.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent::protocol::{Event, ExecRequest, ExecState, Request, Subject};
use bytes::Buf as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::connection::{Connection, IDLE_OUT, reconnect};
use super::{Command, Connect, FileAnswer, outcome};
use crate::placement::{ExecEvent, ExecOutcome};

/// Room for one read.
const READ_BYTES: usize = 256 * 1024;

/// A command that has not ended.
struct Running {
    request: ExecRequest,
    events: mpsc::Sender<ExecEvent>,
    /// Bytes of output that were handed on.
    received: u64,
    /// The agent has told something of it.
    known: bool,
    /// What the agent knows of it is being asked.
    unsure: bool,
}

impl Running {
    const fn new(request: ExecRequest, events: mpsc::Sender<ExecEvent>) -> Self {
        Self { request, events, received: 0, known: false, unsure: false }
    }
}

type Answer = oneshot::Sender<Result<FileAnswer, String>>;

#[derive(Default)]
struct State {
    execs: BTreeMap<u64, Running>,
    files: BTreeMap<u64, Answer>,
    next_ticket: u64,
    stopping: Option<oneshot::Sender<()>>,
    /// Whoever owns the agent ends it.
    ending: bool,
    /// An event whose reader has no room yet; nothing is read meanwhile.
    waiting: Option<(mpsc::Sender<ExecEvent>, ExecEvent)>,
    /// Ends that are told apart from the connection.
    farewells: JoinSet<()>,
}

/// Why a connection is over.
enum End {
    /// It broke.
    Broken(String),
    /// Nobody asks any more.
    Abandoned,
    /// The agent said goodbye.
    Stopped,
}

/// Runs until the agent is gone or nobody asks any more.
pub(super) async fn drive(
    connect: Arc<dyn Connect>,
    mut connection: Connection,
    boot_id: String,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut state = State::default();
    let reason = loop {
        match state.converse(&mut connection, &mut commands).await {
            End::Abandoned => return connection.say_the_rest().await,
            End::Stopped => break "was stopped".to_owned(),
            End::Broken(_) if state.ending => break "was stopped".to_owned(),
            End::Broken(reason) => match reconnect(&*connect, &boot_id, &reason).await {
                Ok(next) => connection = next,
                Err(reason) => break reason,
            },
        }
        // Answers to file requests do not outlive their connection.
        for (_, answer) in std::mem::take(&mut state.files) {
            let _ = answer.send(Err("the connection to the agent broke".to_owned()));
        }
        if state.take_up(&mut connection).is_err() {
            break "is not understood".to_owned();
        }
    };
    commands.close();
    state.lose(&reason, commands).await;
}

impl State {
    /// Asks what the agent knows; the answer tells where each command is taken up.
    fn take_up(&mut self, connection: &mut Connection) -> Result<(), String> {
        self.execs.values_mut().for_each(|running| running.unsure = true);
        connection.push(&Request::List)
    }

    async fn converse(&mut self, connection: &mut Connection, commands: &mut mpsc::UnboundedReceiver<Command>) -> End {
        loop {
            while self.waiting.is_none() {
                match connection.decoder.next() {
                    Ok(Some(Event::Stopped { orphans: _ })) => return End::Stopped,
                    Ok(Some(event)) => {
                        if let Err(reason) = self.handle(event, connection) {
                            return End::Broken(reason);
                        }
                    }
                    Ok(None) => break,
                    Err(error) if error.is_fatal() => return End::Broken(error.to_string()),
                    Err(error) => tracing::warn!(%error, "a frame of the agent was skipped"),
                }
            }
            let reading = self.waiting.is_none();
            if reading {
                connection.decoder.reserve(READ_BYTES);
            }
            tokio::select! {
                command = commands.recv() => match command {
                    None => return End::Abandoned,
                    Some(command) => {
                        if let Err(reason) = self.obey(command, connection) {
                            tracing::warn!(reason, "a request could not be encoded");
                        }
                    }
                },
                () = tokio::time::sleep(IDLE_OUT), if connection.idle_out => connection.idle_out = false,
                written = connection.link.writer.write(connection.out.chunk()), if !connection.out.is_empty() && !connection.idle_out => match written {
                    Ok(0) => return End::Broken("closed the connection".to_owned()),
                    Ok(count) => connection.out.advance(count),
                    Err(error) => return End::Broken(error.to_string()),
                },
                read = connection.link.reader.read_buf(connection.decoder.buffer_mut()), if reading => match read {
                    Ok(0) => return End::Broken("closed the connection".to_owned()),
                    Ok(_) => {}
                    Err(error) => return End::Broken(error.to_string()),
                },
                () = deliver(&mut self.waiting), if !reading => {}
            }
        }
    }

    fn obey(&mut self, command: Command, connection: &mut Connection) -> Result<(), String> {
        match command {
            Command::Start(request, events) => {
                let encoded = connection.push(&Request::Start(request.clone()));
                if let Err(reason) = &encoded {
                    let outcome = ExecOutcome::NotStarted { reason: reason.clone() };
                    // A fresh channel has room.
                    let _ = events.try_send(ExecEvent::Ended(outcome));
                    return Ok(());
                }
                self.execs.insert(request.id, Running::new(request, events));
                encoded
            }
            Command::TakeUp(request, events, from) => {
                let running = Running { received: from, unsure: true, ..Running::new(request.clone(), events) };
                self.execs.insert(request.id, running);
                connection.push(&Request::List)
            }
            Command::Send(request) => connection.push(&request),
            Command::File(request, answer) => {
                self.next_ticket += 1;
                match connection.push(&request.with(self.next_ticket)) {
                    Ok(()) => drop(self.files.insert(self.next_ticket, answer)),
                    Err(reason) => drop(answer.send(Err(reason))),
                }
                Ok(())
            }
            Command::ExpectEnd => {
                self.ending = true;
                Ok(())
            }
            Command::Shutdown(stopped) => {
                self.ending = true;
                self.stopping = Some(stopped);
                connection.push(&Request::Shutdown { ladder: agent::protocol::Ladder::KILL })
            }
        }
    }

    fn handle(&mut self, event: Event, connection: &mut Connection) -> Result<(), String> {
        match event {
            Event::Output { id, offset, bytes } => {
                let Some(exec) = self.execs.get_mut(&id) else { return Ok(()) };
                if offset != exec.received {
                    return Err(format!("sent output at {offset} where {} was due", exec.received));
                }
                exec.received += bytes.len() as u64;
                exec.known = true;
                let end = exec.received;
                let event = ExecEvent::Output { offset, bytes };
                match exec.events.try_send(event) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(event)) => self.waiting = Some((exec.events.clone(), event)),
                    // Nobody listens: the agent need not keep it.
                    Err(mpsc::error::TrySendError::Closed(_)) => {
                        connection.push(&Request::AckOutput { id, offset: end })?
                    }
                }
            }
            Event::Started { id, pid: _ } => {
                if let Some(exec) = self.execs.get_mut(&id) {
                    exec.known = true;
                }
            }
            Event::Exited { id, report, output_bytes } => return self.ended(id, report, output_bytes, connection),
            Event::Execs { execs } => return self.resume(&execs, connection),
            Event::Done { ticket } => self.answer(ticket, Ok(FileAnswer::Done)),
            Event::File { ticket, mode: _, size, bytes } => self.answer(ticket, Ok(FileAnswer::Piece { size, bytes })),
            Event::Failed { about: Subject::File(ticket), reason } => self.answer(ticket, Err(reason)),
            Event::Failed { about: Subject::Exec(id), reason } => {
                tracing::debug!(id, reason, "the agent refused a request")
            }
            Event::Failed { about: Subject::Hello | Subject::Frame, reason } => return Err(reason),
            Event::Hello(_) | Event::Stopped { .. } => {}
        }
        Ok(())
    }

    fn ended(
        &mut self,
        id: u64,
        report: agent::protocol::ExitReport,
        output_bytes: u64,
        connection: &mut Connection,
    ) -> Result<(), String> {
        let Some(exec) = self.execs.remove(&id) else { return Ok(()) };
        if output_bytes != exec.received {
            let reason = format!("ended a command at {output_bytes} bytes where {} had come", exec.received);
            self.execs.insert(id, exec);
            return Err(reason);
        }
        match exec.events.try_send(ExecEvent::Ended(outcome::outcome(report))) {
            Err(mpsc::error::TrySendError::Full(event)) => self.waiting = Some((exec.events, event)),
            Err(mpsc::error::TrySendError::Closed(_)) => connection.push(&Request::AckExit { id })?,
            Ok(()) => {}
        }
        Ok(())
    }

    fn answer(&mut self, ticket: u64, answer: Result<FileAnswer, String>) {
        if let Some(waiting) = self.files.remove(&ticket) {
            // Who asked may have gone.
            let _ = waiting.send(answer);
        }
    }

    /// After a new connection: goes on where each command was, and starts those that never arrived.
    fn resume(&mut self, listed: &[ExecState], connection: &mut Connection) -> Result<(), String> {
        for exec in listed {
            let Some(running) = self.execs.get_mut(&exec.id).filter(|running| running.unsure) else { continue };
            running.unsure = false;
            // What another process had stored before it died is not sent again.
            running.received = running.received.max(exec.acked_bytes);
            connection.push(&Request::Resume { id: exec.id, offset: running.received })?;
        }
        let mut gone = Vec::new();
        for (id, running) in self.execs.iter_mut().filter(|(_, running)| running.unsure) {
            running.unsure = false;
            if running.known {
                gone.push(*id);
            } else {
                connection.push(&Request::Start(running.request.clone()))?;
            }
        }
        for id in gone {
            if let Some(running) = self.execs.remove(&id) {
                let outcome = ExecOutcome::Lost { reason: "the agent does not know the command any more".to_owned() };
                self.farewells.spawn(async move {
                    // Who asked may have gone.
                    let _ = running.events.send(ExecEvent::Ended(outcome)).await;
                });
            }
        }
        Ok(())
    }

    /// Tells everyone that the agent is gone.
    async fn lose(mut self, reason: &str, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut execs = self.execs;
        while let Ok(command) = commands.try_recv() {
            if let Command::Start(request, events) | Command::TakeUp(request, events, _) = command {
                execs.insert(request.id, Running::new(request, events));
            }
        }
        if let Some((events, event)) = self.waiting {
            // Who asked may have gone; so below.
            let _ = events.send(event).await;
        }
        let ends = execs.into_values().map(|running| {
            let outcome = ExecOutcome::Lost { reason: format!("the agent {reason}") };
            async move { running.events.send(ExecEvent::Ended(outcome)).await }
        });
        futures_util::future::join_all(ends).await;
        while self.farewells.join_next().await.is_some() {}
        if let Some(stopped) = self.stopping {
            let _ = stopped.send(());
        }
    }
}

/// Waits for room, then hands the waiting event over. Cancelled, it has done nothing.
async fn deliver(waiting: &mut Option<(mpsc::Sender<ExecEvent>, ExecEvent)>) {
    let Some((room, _)) = waiting else { return };
    let permit = room.clone().reserve_owned().await;
    if let (Ok(permit), Some((_, event))) = (permit, waiting.take()) {
        permit.send(event);
    }
}
