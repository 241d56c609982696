//! The same frames over stdin and stdout, as through Docker's attach.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use agent::client::Client;
use agent::protocol::sync::{Scanner, preamble};
use agent::protocol::{Cause, Event, Request};

use crate::world::{BINARY, shell};

struct Pipes {
    input: ChildStdin,
    output: ChildStdout,
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Pipes {
    /// As a client that has just attached: throws away what comes before the agent's answer to the preamble.
    fn sync(&mut self, nonce: [u8; 16]) {
        let wanted = preamble("token", nonce);
        self.write_all(&wanted).unwrap();
        let mut scanner = Scanner::new(wanted);
        let mut byte = [0];
        loop {
            self.output.read_exact(&mut byte).unwrap();
            if scanner.scan(&byte).is_some() {
                return;
            }
        }
    }
}

fn spawn(arguments: &[&str]) -> (Child, Pipes) {
    let mut command = Command::new(BINARY);
    let mut child =
        command.arg("--stdio").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pipes = Pipes { input: child.stdin.take().unwrap(), output: child.stdout.take().unwrap() };
    (child, pipes)
}

fn finish(client: &mut Client<Pipes>, id: u64) -> (Vec<u8>, Cause) {
    let mut output = Vec::new();
    loop {
        match client.receive().unwrap() {
            Event::Output { id: of, bytes, .. } if of == id => output.extend_from_slice(&bytes),
            Event::Exited { id: of, report, .. } if of == id => return (output, report.cause),
            _other => {}
        }
    }
}

#[test]
fn steps_run_over_stdio_and_end_with_it() {
    let (mut child, pipes) = spawn(&[]);
    let (mut client, _) = Client::over(pipes).unwrap();
    client.send(&Request::Start(shell(1, "echo over stdio; exit 3"))).unwrap();
    assert_eq!(finish(&mut client, 1), (b"over stdio\n".to_vec(), Cause::Exited(3)));
    client.send(&Request::Start(shell(2, "seq 1 100000"))).unwrap();
    assert_eq!(finish(&mut client, 2).0.len(), 588_895);
    client.send(&Request::Start(shell(3, "exec sleep 600"))).unwrap();
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_new_client_finds_its_place_in_a_stream_that_was_cut() {
    let (mut child, mut pipes) = spawn(&["--token", "token"]);
    pipes.write_all(b"anything at all, such as half a frame of a client that died").unwrap();
    pipes.sync([1; 16]);
    let (mut client, first) = Client::over(pipes).unwrap();
    client.send(&Request::Start(shell(1, "seq 1 300000"))).unwrap();
    client.receive_matching(|event| matches!(event, Event::Output { .. }).then_some(())).unwrap();
    // It dies with half a request sent and output under way.
    let mut pipes = client.into_stream();
    pipes.write_all(&[0, 0, 1, 0, 2, 0, 0]).unwrap();
    pipes.sync([2; 16]);
    let (mut client, second) = Client::over(pipes).unwrap();
    assert_eq!(first, second);
    client.send(&Request::Resume { id: 1, offset: 0 }).unwrap();
    let (output, cause) = finish(&mut client, 1);
    assert_eq!((output.len(), cause), (1_988_895, Cause::Exited(0)));
    assert!(output.ends_with(b"\n299999\n300000\n"));
    client.send(&Request::Shutdown { ladder: agent::protocol::Ladder::KILL }).unwrap();
    assert!(child.wait().unwrap().success());
}
