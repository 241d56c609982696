//! Conversations with an agent that the test itself plays, frame by frame.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use agent::protocol::{
    AgentHello, Cause, Decoder, Event, ExecProgress, ExecState, ExitReport, PROTOCOL_VERSION, Request, encode,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{AgentClient, Connect, Link};
use crate::placement::{Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest};

/// Hands out the near ends of prepared connections; when there are none, the agent is gone.
#[derive(Debug, Default)]
struct Line(Mutex<VecDeque<DuplexStream>>);

#[async_trait]
impl Connect for Line {
    async fn connect(&self) -> io::Result<Link> {
        let near = self.0.lock().unwrap().pop_front().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (reader, writer) = tokio::io::split(near);
        Ok(Link { reader: Box::new(reader), writer: Box::new(writer) })
    }

    async fn autopsy(&self) -> Option<String> {
        self.0.lock().unwrap().is_empty().then(|| "is gone: the test ended it".to_owned())
    }
}

/// The far end of a connection.
struct Agent {
    stream: DuplexStream,
    decoder: Decoder<Request>,
}

impl Agent {
    async fn next(&mut self) -> Request {
        loop {
            if let Some(request) = self.decoder.next().unwrap() {
                return request;
            }
            assert_ne!(self.stream.read_buf(self.decoder.buffer_mut()).await.unwrap(), 0, "the client went away");
        }
    }

    async fn say(&mut self, event: Event) {
        let mut bytes = Vec::new();
        encode(&event, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn greet(&mut self, boot_id: &str) {
        assert_eq!(self.next().await, Request::Hello { version: PROTOCOL_VERSION });
        let (os, arch, hostname) = ("linux".into(), "x86_64".into(), "h".into());
        self.say(Event::Hello(AgentHello { version: 1, pid: 1, hostname, boot_id: boot_id.into(), os, arch, uid: 0 }))
            .await;
    }

    async fn output(&mut self, id: u64, offset: u64, text: &'static str) {
        self.say(Event::Output { id, offset, bytes: Bytes::from_static(text.as_bytes()) }).await;
    }

    async fn exited(&mut self, id: u64, output_bytes: u64) {
        let report =
            ExitReport { cause: Cause::Exited(0), oom_kills: 0, user_ms: 0, system_ms: 0, max_rss_kib: 0, wall_ms: 0 };
        self.say(Event::Exited { id, report, output_bytes }).await;
    }

    async fn lists(&mut self, ids: &[u64]) {
        assert_eq!(self.next().await, Request::List);
        let state =
            |id: &u64| ExecState { id: *id, pid: 2, progress: ExecProgress::Running, output_bytes: 9, acked_bytes: 0 };
        self.say(Event::Execs { execs: ids.iter().map(state).collect() }).await;
    }
}

/// A client of a first agent, and the further ones that it will meet.
async fn connected(connections: usize) -> (AgentClient, VecDeque<Agent>) {
    let line = Line::default();
    let mut agents = VecDeque::new();
    for _ in 0..connections {
        let (near, stream) = tokio::io::duplex(1 << 20);
        line.0.lock().unwrap().push_back(near);
        agents.push_back(Agent { stream, decoder: Decoder::new() });
    }
    let (client, ()) = tokio::join!(AgentClient::start(Arc::new(line)), agents[0].greet("boot"));
    (client.unwrap(), agents)
}

fn named(id: u64) -> ExecRequest {
    ExecRequest { id: Some(ExecId(id)), ..ExecRequest::new(["true"], "/") }
}

fn start(client: &AgentClient) -> Exec {
    client.exec(named(1)).unwrap()
}

async fn text(exec: Exec) -> (ExecOutcome, String) {
    let (outcome, output) = exec.output(1000).await;
    (outcome, String::from_utf8(output).unwrap())
}

fn is_lost(outcome: &ExecOutcome, why: &str) {
    assert!(matches!(outcome, ExecOutcome::Lost { reason } if reason.contains(why)), "{outcome:?}");
}

#[tokio::test]
async fn a_broken_connection_goes_on_where_it_was() {
    let (client, mut agents) = connected(2).await;
    let exec = start(&client);
    let mut first = agents.pop_front().unwrap();
    assert!(matches!(first.next().await, Request::Start(request) if request.id == 1));
    first.output(1, 0, "abc").await;
    drop(first);
    let agent = &mut agents[0];
    let reading = tokio::spawn(text(exec));
    agent.greet("boot").await;
    agent.lists(&[1]).await;
    assert_eq!(agent.next().await, Request::Resume { id: 1, offset: 3 });
    agent.output(1, 3, "def").await;
    agent.exited(1, 6).await;
    let (outcome, output) = reading.await.unwrap();
    assert!(outcome.is_success());
    assert_eq!(output, "abcdef");
    assert_eq!(agent.next().await, Request::AckExit { id: 1 });
}

#[tokio::test]
async fn a_start_that_never_arrived_is_sent_again() {
    let (client, mut agents) = connected(2).await;
    let exec = start(&client);
    drop(agents.pop_front());
    let agent = &mut agents[0];
    agent.greet("boot").await;
    agent.lists(&[]).await;
    assert!(matches!(agent.next().await, Request::Start(request) if request.id == 1));
    agent.exited(1, 0).await;
    assert!(text(exec).await.0.is_success());
}

#[tokio::test]
async fn lost_is_never_green() {
    // The agent ends after the last byte of output and before the exit.
    let (client, mut agents) = connected(1).await;
    let exec = start(&client);
    let mut agent = agents.pop_front().unwrap();
    agent.next().await;
    agent.output(1, 0, "all done\n").await;
    drop(agent);
    let (outcome, output) = text(exec).await;
    assert_eq!(output, "all done\n");
    is_lost(&outcome, "the test ended it");
    assert!(client.exec(ExecRequest::new(["true"], "/")).is_err());
    assert!(client.read_file("/x", 1).await.is_err());

    // Another agent answers in its place.
    let (client, mut agents) = connected(2).await;
    let exec = start(&client);
    drop(agents.pop_front());
    agents[0].greet("another boot").await;
    is_lost(&text(exec).await.0, "was started anew");

    // It has forgotten a command that it had begun.
    let (client, mut agents) = connected(2).await;
    let exec = start(&client);
    let mut agent = agents.pop_front().unwrap();
    agent.next().await;
    agent.say(Event::Started { id: 1, pid: 2 }).await;
    drop(agent);
    agents[0].greet("boot").await;
    agents[0].lists(&[]).await;
    is_lost(&text(exec).await.0, "does not know the command");

    // Output that was promised is missing.
    let (client, mut agents) = connected(1).await;
    let exec = start(&client);
    let mut agent = agents.pop_front().unwrap();
    agent.next().await;
    agent.exited(1, 7).await;
    is_lost(&text(exec).await.0, "the test ended it");
}

/// What another process had started: one that the agent knows, one of whose output it has forgotten the beginning, one
/// that never arrived.
#[tokio::test]
async fn commands_of_another_process_are_taken_up() {
    let (client, mut agents) = connected(1).await;
    let agent = &mut agents[0];
    let known = client.take_up(named(1), 0).unwrap();
    agent.lists(&[1, 5]).await;
    assert_eq!(agent.next().await, Request::Resume { id: 1, offset: 0 });
    let mut partly = client.take_up(named(5), 3).unwrap();
    assert_eq!(agent.next().await, Request::List);
    let state =
        |id, acked_bytes| ExecState { id, pid: 2, progress: ExecProgress::Running, output_bytes: 9, acked_bytes };
    agent.say(Event::Execs { execs: vec![state(1, 0), state(5, 8)] }).await;
    // The first goes on by itself: it is not asked for twice.
    assert_eq!(agent.next().await, Request::Resume { id: 5, offset: 8 });
    let never = client.take_up(named(7), 0).unwrap();
    agent.lists(&[1, 5]).await;
    assert!(matches!(agent.next().await, Request::Start(request) if request.id == 7));
    agent.output(1, 0, "one").await;
    agent.output(5, 8, "five").await;
    for (id, bytes) in [(1, 3), (5, 12), (7, 0)] {
        agent.exited(id, bytes).await;
    }
    assert_eq!(text(known).await.1, "one");
    assert!(matches!(partly.next().await, Some(ExecEvent::Output { offset: 8, .. })));
    assert!(text(never).await.0.is_success());
    assert!(client.take_up(ExecRequest::new(["true"], "/"), 0).is_err(), "without a name there is nothing to find");
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_holds_no_cancel_back() {
    let (client, mut agents) = connected(1).await;
    let mut exec = start(&client);
    let agent = &mut agents[0];
    agent.next().await;
    for offset in 0..100 {
        agent.output(1, offset, "x").await;
    }
    agent.exited(1, 100).await;
    client.cancel(exec.id, crate::placement::Ladder::KILL).unwrap();
    assert!(matches!(agent.next().await, Request::Cancel { id: 1, .. }));
    for due in 0..100 {
        assert!(matches!(exec.next().await, Some(ExecEvent::Output { offset, .. }) if offset == due));
    }
    assert!(matches!(exec.next().await, Some(ExecEvent::Ended(outcome)) if outcome.is_success()));
    assert_eq!(exec.next().await, None);
}

#[tokio::test]
async fn output_that_nobody_wants_is_acknowledged() {
    let (client, mut agents) = connected(1).await;
    drop(start(&client));
    let agent = &mut agents[0];
    agent.next().await;
    agent.output(1, 0, "x").await;
    assert_eq!(agent.next().await, Request::AckOutput { id: 1, offset: 1 });
    agent.exited(1, 1).await;
    assert_eq!(agent.next().await, Request::AckExit { id: 1 });
}

/// T02: an agent is known by the name that it drew at its start, which was recorded with the job; whoever answers at its place
/// otherwise is not asked for anything.
#[tokio::test]
async fn t02_who_answers_in_the_place_of_a_jobs_agent_is_not_believed() {
    let (client, _agents) = connected(1).await;
    assert_eq!(client.boot_id(), "boot");
    for (known, says, is_taken) in
        [(Some("boot"), "boot", true), (Some("boot"), "another", false), (Some("boot"), "", false), (None, "any", true)]
    {
        let (near, stream) = tokio::io::duplex(1 << 20);
        let line = Line(Mutex::new(VecDeque::from([near])));
        let mut agent = Agent { stream, decoder: Decoder::new() };
        let (client, ()) = tokio::join!(AgentClient::start_known(Arc::new(line), known), agent.greet(says));
        match client {
            Ok(client) => assert!(is_taken && client.boot_id() == says, "{says}"),
            Err(reason) => {
                assert!(!is_taken && reason.contains("another one than the job was placed with"), "{says}: {reason}");
            }
        }
    }
}

/// T03: what an agent says of commands that nobody gave it, that have ended, or that were given to the one before it, counts for
/// nothing.
#[tokio::test]
async fn t03_an_agent_ends_no_command_but_its_own_and_each_once() {
    let (client, mut agents) = connected(2).await;
    let exec = start(&client);
    let mut first = agents.pop_front().unwrap();
    assert!(matches!(first.next().await, Request::Start(request) if request.id == 1));
    // Of another job, of another attempt, of nobody.
    for id in [2, 77, u64::MAX] {
        first.output(id, 0, "success").await;
        first.exited(id, 7).await;
    }
    first.output(1, 0, "x").await;
    first.exited(1, 1).await;
    let (outcome, output) = text(exec).await;
    assert!(outcome.is_success());
    assert_eq!(output, "x");
    // Told twice, and another end at that: the one before stands.
    let report =
        ExitReport { cause: Cause::Exited(3), oom_kills: 0, user_ms: 0, system_ms: 0, max_rss_kib: 0, wall_ms: 0 };
    first.say(Event::Exited { id: 1, report, output_bytes: 1 }).await;
    assert_eq!(first.next().await, Request::AckExit { id: 1 });
    let second = client.exec(named(9)).unwrap();
    assert!(matches!(first.next().await, Request::Start(request) if request.id == 9));
    // The connection breaks, and the next one is not of the agent that has the command: what it says is not waited for.
    drop(first);
    agents[0].greet("another boot").await;
    agents[0].exited(9, 0).await;
    is_lost(&text(second).await.0, "was started anew");
}
