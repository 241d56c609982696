//! An agent of one's own for a test, and short words for what tests say to it.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use agent::client::{Client, ClientError};
use agent::protocol::{
    AgentHello, Cause, Event, ExecId, ExecProgress, ExecRequest, ExecState, ExitReport, Ladder, Request,
};

/// The agent's binary as cargo built it for the tests.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_pipe-agent");

/// What no test should need, lest it hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Both rungs so short that tests can wait for them, and long enough to be told apart.
pub(crate) const SHORT: Ladder = Ladder { interrupt_ms: 150, terminate_ms: 150 };

pub(crate) struct Agent {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) child: Child,
}

impl Agent {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(BINARY);
        command.arg("--socket").arg(directory.path().join("agent.sock"));
        command.arg("--spool").arg(directory.path().join("spool")).args(arguments);
        let child = command.spawn().unwrap();
        Self { directory, child }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A connection; waits until the agent listens.
    pub(crate) fn connect(&self) -> World {
        self.connect_with_hello().0
    }

    pub(crate) fn connect_with_hello(&self) -> (World, AgentHello) {
        let (client, hello) = until("the agent listens", || Client::connect(&self.path("agent.sock")).ok());
        client.stream().set_read_timeout(Some(PATIENCE)).unwrap();
        (World { client }, hello)
    }

    /// A named pipe: its reader sees the end when the last process that holds it is gone.
    pub(crate) fn named_pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_retain(0o666)).unwrap();
        path
    }

    pub(crate) fn spool_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("spool")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "out")).collect()
    }

    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the agent exits", || self.child.try_wait().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // SIGTERM, then SIGINT: the second means at once, and the agent ends what it started.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(
                Client::connect(&self.path("agent.sock"))
                    .map(|(mut client, _)| client.send(&Request::Shutdown { ladder: Ladder::KILL })),
            );
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        drop(self.child.wait());
    }
}

/// Waits for what gives no event of its own, without sleeping; fails loudly when it does not come.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// What an exec put out and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) output: Vec<u8>,
    pub(crate) report: ExitReport,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

/// One client's view.
pub(crate) struct World {
    pub(crate) client: Client<UnixStream>,
}

/// `sh -c SCRIPT`, with the usual PATH.
pub(crate) fn shell(id: ExecId, script: &str) -> ExecRequest {
    ExecRequest { id, argv: words(&["sh", "-c", script]), env: path(), ladder: SHORT, ..ExecRequest::default() }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn path() -> Vec<(String, String)> {
    vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]
}

impl World {
    pub(crate) fn send(&mut self, request: Request) {
        self.client.send(&request).unwrap();
    }

    pub(crate) fn start(&mut self, request: ExecRequest) {
        self.send(Request::Start(request));
    }

    /// Runs to the end and lets it be forgotten.
    pub(crate) fn run(&mut self, request: ExecRequest) -> Outcome {
        let id = request.id;
        self.start(request);
        let outcome = self.finish(id, 0);
        self.send(Request::AckExit { id });
        outcome
    }

    /// All output from `offset` on, acknowledged as it comes, and the exit, which is not.
    pub(crate) fn finish(&mut self, id: ExecId, offset: u64) -> Outcome {
        let mut output = Vec::new();
        let (report, total) = self.finish_with(id, offset, |bytes| output.extend_from_slice(bytes));
        assert_eq!(total, offset + output.len() as u64);
        Outcome { output, report }
    }

    /// The same without keeping the bytes; gives the length of the output.
    pub(crate) fn finish_with(&mut self, id: ExecId, offset: u64, mut take: impl FnMut(&[u8])) -> (ExitReport, u64) {
        let mut next = offset;
        loop {
            let (end, exit) = self
                .client
                .receive_matching(|event| match event {
                    Event::Output { id: of, offset, bytes } if *of == id => {
                        assert_eq!(*offset, next, "no gap and nothing twice");
                        take(bytes);
                        next += bytes.len() as u64;
                        Some((next, None))
                    }
                    Event::Exited { id: of, report, output_bytes } if *of == id => {
                        assert_eq!(*output_bytes, next, "the exit follows the last byte");
                        Some((next, Some(report.clone())))
                    }
                    Event::Failed { reason, .. } => panic!("{reason}"),
                    _other => None,
                })
                .unwrap();
            match exit {
                Some(report) => return (report, end),
                None => self.send(Request::AckOutput { id, offset: end }),
            }
        }
    }

    /// Output of the exec up to and with `wanted`: the step has come so far. Gives the bytes received.
    pub(crate) fn output_until(&mut self, id: ExecId, wanted: &str) -> Vec<u8> {
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains(wanted) {
            let piece = self.client.receive_matching(|event| match event {
                Event::Output { id: of, bytes, .. } if *of == id => Some(bytes.clone()),
                Event::Exited { .. } | Event::Failed { .. } => panic!("{event:?} after {got:?}"),
                _other => None,
            });
            got.extend_from_slice(&piece.unwrap());
        }
        got
    }

    pub(crate) fn started(&mut self, id: ExecId) -> i32 {
        self.client
            .receive_matching(|event| match event {
                Event::Started { id: of, pid } if *of == id => Some(*pid),
                _other => None,
            })
            .unwrap()
    }

    pub(crate) fn list(&mut self) -> Vec<ExecState> {
        self.send(Request::List);
        self.client
            .receive_matching(|event| match event {
                Event::Execs { execs } => Some(execs.clone()),
                _other => None,
            })
            .unwrap()
    }

    /// The report of an exec that this connection does not follow, once there is one.
    pub(crate) fn wait_for_report(&mut self, id: ExecId) -> ExitReport {
        until("the exec ends", || {
            let state = self.list().into_iter().find(|state| state.id == id).unwrap();
            match state.progress {
                ExecProgress::Running => None,
                ExecProgress::Exited(report) => Some(report),
            }
        })
    }

    pub(crate) fn failure(&mut self) -> String {
        self.client
            .receive_matching(|event| match event {
                Event::Failed { reason, .. } => Some(reason.clone()),
                _other => None,
            })
            .unwrap()
    }

    /// Nothing more comes on this connection.
    pub(crate) fn assert_closed(&mut self) {
        loop {
            match self.client.receive() {
                Ok(_) => {}
                Err(ClientError::Closed) => return,
                Err(ClientError::Io(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// One agent, one client: the usual beginning.
pub(crate) fn agent_and_client() -> (Agent, World) {
    let agent = Agent::new();
    let client = agent.connect();
    (agent, client)
}

/// Runs one request on a fresh agent and compares how it ended.
pub(crate) fn check_cause(request: ExecRequest, expect: Cause) {
    let (_agent, mut world) = agent_and_client();
    let script = format!("{:?}", request.argv);
    assert_eq!(world.run(request).report.cause, expect, "{script}");
}

/// Everything until the last holder of the named pipe is gone. Opening waits for the first.
pub(crate) fn read_to_end(pipe: &Path) -> String {
    fs::read_to_string(pipe).unwrap()
}
