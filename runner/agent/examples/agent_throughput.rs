//! How fast is the agent? Steps a second, and megabytes a second from a step's pipe to its frames.
//!
//! `cargo run --release -p agent --example agent_throughput -- PATH-OF-pipe-agent`. Figures depend on the machine: take ratios.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and one that cannot go on has failed"
)]

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use agent::client::Client;
use agent::protocol::{Cause, Event, ExecRequest, Request};

type SocketClient = Client<std::os::unix::net::UnixStream>;

/// Steps of the latency measurement.
const STEPS: u64 = 300;

/// Bytes between two acknowledgements.
const ACK_BYTES: u64 = 1024 * 1024;

fn main() {
    let binary = std::env::args().nth(1).unwrap();
    let directory = std::env::temp_dir().join(format!("agent-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let socket = directory.join("agent.sock");
    let mut agent = Command::new(binary).arg("--socket").arg(&socket).arg("--spool").arg(&directory).spawn().unwrap();
    let mut client = connect(&socket);
    let mut id = 0;
    for (name, argv) in [("true", vec!["true"]), ("bash -c true", vec!["bash", "-c", "true"])] {
        measure_steps(&mut client, &mut id, name, &argv);
    }
    for (name, script) in [
        ("1 GiB in writes of 64 KiB", "exec head -c 1073741824 /dev/zero"),
        ("1 GiB in writes of 128 KiB", "exec dd if=/dev/zero bs=128K count=8192 status=none"),
        ("lines of 80 bytes", "yes $(printf '%079d' 0) | head -c 268435456"),
    ] {
        measure_output(&mut client, &mut id, name, script);
    }
    println!("agent memory at most: {}", peak_memory(&agent));
    client.send(&Request::Shutdown { ladder: agent::protocol::Ladder::KILL }).unwrap();
    agent.wait().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

fn connect(socket: &std::path::Path) -> SocketClient {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match Client::connect(socket) {
            Ok((client, _)) => return client,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

fn start(client: &mut SocketClient, id: &mut u64, argv: &[&str]) -> u64 {
    *id += 1;
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    client.send(&Request::Start(ExecRequest { id: *id, argv, env, ..ExecRequest::default() })).unwrap();
    *id
}

/// Takes all output of the exec and acknowledges it and the exit: bytes, and when the last one came.
fn finish(client: &mut SocketClient, id: u64) -> u64 {
    let mut acked = 0;
    loop {
        match client.receive().unwrap() {
            Event::Output { offset, bytes, .. } => {
                let end = offset + bytes.len() as u64;
                if end - acked >= ACK_BYTES {
                    acked = end;
                    client.send(&Request::AckOutput { id, offset: end }).unwrap();
                }
            }
            Event::Exited { report, output_bytes, .. } => {
                assert_eq!(report.cause, Cause::Exited(0));
                client.send(&Request::AckExit { id }).unwrap();
                return output_bytes;
            }
            Event::Started { .. } => {}
            other @ (Event::Hello(_)
            | Event::Execs { .. }
            | Event::Done { .. }
            | Event::File { .. }
            | Event::Failed { .. }
            | Event::Stopped { .. }) => panic!("unexpected {other:?}"),
        }
    }
}

fn measure_steps(client: &mut SocketClient, id: &mut u64, name: &str, argv: &[&str]) {
    let mut times: Vec<Duration> = (0..STEPS)
        .map(|_| {
            let begun = Instant::now();
            let id = start(client, id, argv);
            finish(client, id);
            begun.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2].as_secs_f64() * 1e3;
    let slow = times[times.len() * 95 / 100].as_secs_f64() * 1e3;
    println!("{name}: {:.0} steps/s, median {median:.2} ms, 95 % within {slow:.2} ms", 1e3 / median);
}

fn measure_output(client: &mut SocketClient, id: &mut u64, name: &str, script: &str) {
    let begun = Instant::now();
    let id = start(client, id, &["bash", "-c", script]);
    let bytes = finish(client, id);
    println!("{name}: {:.0} MB/s", bytes as f64 / 1e6 / begun.elapsed().as_secs_f64());
}

fn peak_memory(agent: &Child) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned()
}
