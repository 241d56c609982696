//! Requests beside running: hello, takeover, starting twice, files, and frames from a newer peer.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use agent::client::ClientError;
use agent::protocol::{Cause, Decoder, Event, PROTOCOL_VERSION, Request, Subject, encode};
use bytes::Bytes;

use crate::world::{Agent, agent_and_client, shell, until};

#[test]
fn the_agent_says_who_it_is() {
    let agent = Agent::new();
    let (_world, hello) = agent.connect_with_hello();
    assert_eq!((hello.version, hello.pid), (PROTOCOL_VERSION, i32::try_from(agent.child.id()).unwrap()));
    assert_eq!((hello.os.as_str(), hello.arch.as_str(), hello.boot_id.len()), ("linux", std::env::consts::ARCH, 32));
    let (_again, second) = agent.connect_with_hello();
    assert_eq!(second, hello);
}

#[test]
fn a_new_client_takes_over() {
    let agent = Agent::new();
    let mut first = agent.connect();
    first.start(shell(1, "echo ready; read x < /dev/full; exec sleep 600"));
    first.output_until(1, "ready\n");
    let mut second = agent.connect();
    first.assert_closed();
    second.send(Request::Cancel { id: 1, ladder: None });
    second.send(Request::Resume { id: 1, offset: 0 });
    assert!(matches!(second.finish(1, 0).report.cause, Cause::Cancelled(_)));
}

#[test]
fn a_stranger_takes_nothing_over() {
    let (agent, mut world) = agent_and_client();
    let mut silent = UnixStream::connect(agent.path("agent.sock")).unwrap();
    assert_eq!(world.run(shell(1, "echo a")).text(), "a\n");
    silent.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0, "it is sent away");
    assert_eq!(world.run(shell(2, "echo b")).text(), "b\n");
}

#[test]
fn an_id_runs_once() {
    let (agent, mut world) = agent_and_client();
    let file = agent.path("runs");
    let script = format!("echo run >> {}", file.display());
    world.start(shell(1, &script));
    world.start(shell(1, &script));
    world.finish(1, 0);
    world.start(shell(1, &script));
    world.send(Request::AckExit { id: 1 });
    world.start(shell(1, &script));
    assert_eq!(world.failure(), "exec 1 has ended and its exit was acknowledged");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "run\n");
}

#[test]
fn an_exec_that_runs_cannot_be_forgotten() {
    let (_agent, mut world) = agent_and_client();
    world.start(shell(1, "exec sleep 600"));
    world.send(Request::AckExit { id: 1 });
    assert_eq!(world.failure(), "exec 1 has not ended");
}

#[test]
fn what_cannot_be_read_is_told_and_the_connection_goes_on() {
    let (agent, _) = agent_and_client();
    let mut stream = until("the agent listens", || UnixStream::connect(agent.path("agent.sock")).ok());
    let mut bytes = Vec::new();
    encode(&Request::Hello { version: PROTOCOL_VERSION }, &mut bytes).unwrap();
    bytes.extend_from_slice(&[0, 0, 0, 3, 200, 1, 2]);
    bytes.extend_from_slice(b"\0\0\0\x08\x01\"dance\"");
    encode(&Request::List, &mut bytes).unwrap();
    // A length that is beyond all bounds ends the conversation, with a word of why.
    bytes.extend_from_slice(&[0xff; 4]);
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let mut decoder = Decoder::<Event>::new();
    decoder.feed(&answer);
    let mut told = Vec::new();
    while let Some(event) = decoder.next().unwrap() {
        match event {
            Event::Failed { about, reason } => {
                assert_eq!(about, Subject::Frame);
                told.push(reason);
            }
            Event::Execs { .. } => told.push("list".to_owned()),
            _other => {}
        }
    }
    assert_eq!(told[0], "unknown frame kind 200: the peer speaks a newer protocol");
    assert!(told[1].starts_with("unreadable message: unknown variant `dance`"), "{}", told[1]);
    assert_eq!(told[2], "list");
    assert_eq!(told[3], "frame of 4294967295 bytes, where 1 to 2097152 are allowed");
}

#[test]
fn files() {
    let (agent, mut world) = agent_and_client();
    let path = |name: &str| agent.path(name).to_str().unwrap().to_owned();
    let write = |name: &str, append, text: &'static str| Request::WriteFile {
        ticket: 1,
        path: path(name),
        mode: 0o640,
        append,
        bytes: Bytes::from_static(text.as_bytes()),
    };
    let read = |name: &str, offset, max_bytes| Request::ReadFile { ticket: 2, path: path(name), offset, max_bytes };
    let done = Ok(Event::Done { ticket: 1 });
    let file = |size, text: &'static str| {
        Ok(Event::File { ticket: 2, mode: 0o640, size, bytes: Bytes::from_static(text.as_bytes()) })
    };
    let cases = [
        (Request::MkdirAll { ticket: 1, path: path("a/b"), mode: 0o755 }, done.clone()),
        (Request::MkdirAll { ticket: 1, path: path("a/b"), mode: 0o755 }, done.clone()),
        (write("a/b/f", false, "hello"), done.clone()),
        (write("a/b/f", true, " world"), done.clone()),
        (read("a/b/f", 0, 100), file(11, "hello world")),
        (read("a/b/f", 6, 3), file(11, "wor")),
        (read("a/b/f", 99, 3), file(11, "")),
        (write("a/b/f", false, "x"), done.clone()),
        (read("a/b/f", 0, 100), file(1, "x")),
        (write("no/f", false, "x"), Err("no such file or directory (os error 2)")),
        (read("a/b", 0, 100), Err("not a regular file")),
        (read("none", 0, 100), Err("no such file or directory (os error 2)")),
        (Request::Remove { ticket: 1, path: path("a") }, done.clone()),
        (Request::Remove { ticket: 1, path: path("a") }, done),
        (Request::Remove { ticket: 1, path: "relative".to_owned() }, Err("`relative` is not an absolute path")),
    ];
    for (request, expect) in cases {
        let shown = format!("{request:?}");
        world.send(request);
        let answer = world.client.receive().map_err(|error: ClientError| error.to_string()).unwrap();
        let answer = match answer {
            Event::Failed { about: Subject::File(_), reason } => Err(reason),
            other => Ok(other),
        };
        assert_eq!(answer, expect.map_err(str::to_owned), "{shown}");
    }
    assert!(!agent.path("a").exists());
}
