//! What a proxy is started with: where it listens, how long things may take, how much there may be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a proxy runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its environment; only told, never used.
    pub environment: String,
    /// Where users' requests come in.
    pub listen: SocketAddr,
    /// Where tests' requests come in: they reach each route's test colour, whatever its weight.
    pub test_listen: Option<SocketAddr>,
    /// Its table and sockets; made if it is not there, for this user alone.
    pub folder: PathBuf,
    /// Takes the sockets of the proxy that runs in the folder, which then finishes what it has. Starts anyway if none runs.
    pub take_over: bool,
    /// Answers `GET /metrics` on the test port too. Such a path of a service cannot be reached there then.
    pub metrics_on_test_port: bool,
    /// Believes `X-Forwarded-*` of whoever asks: for a proxy behind one that writes them.
    pub trust_forwarded: bool,
    /// How requests are shared among cores.
    pub threads: Threads,
    /// Whether plain requests of HTTP/1.1 take the short way; otherwise all of them go through hyper, for comparisons.
    pub short_way: bool,
    /// Times.
    pub times: Times,
    /// Amounts.
    pub limits: Limits,
}

/// How requests are shared among cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// A connection stays on one thread, which has its own connections to backends. What measures better.
    EachItsOwn(usize),
    /// Any thread takes up any connection's next step.
    Shared(usize),
}

/// How long things may take.
#[derive(Debug, Clone)]
pub struct Times {
    /// The head of a request, from its first byte on; and the first byte of a connection.
    pub head: Duration,
    /// Silence of a client: between requests, and while it should send or read.
    pub idle: Duration,
    /// Until a backend takes a connection.
    pub connect: Duration,
    /// Until a backend's answer begins: 504 then.
    pub answer: Duration,
    /// Silence of a backend within an answer: it is broken off then.
    pub silence: Duration,
    /// How long a connection to a backend is kept for another request. Shorter than servers keep theirs, whose end would
    /// meet a request.
    pub kept: Duration,
    /// The same before requests that may not be sent twice.
    pub kept_for_unsafe: Duration,
    /// What is in flight at the end has this long.
    pub drain: Duration,
    /// How long idle connections are kept at the end, so that their next request is answered, with `Connection: close`,
    /// and does not meet a closed door.
    pub linger: Duration,
}

/// How much there may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of clients; more are answered 503.
    pub connections_max: usize,
    /// Bytes of a request's line and headers; more, or more than a hundred headers, are answered 431.
    pub head_bytes_max: usize,
    /// Bytes of a path with its query; more are answered 414.
    pub target_bytes_max: usize,
    /// Bytes of a body that are held back so that an idempotent request can be sent again.
    pub replay_bytes_max: u64,
    /// Idle connections to each backend, for each thread.
    pub idle_each_max: usize,
    /// Streams on one connection of HTTP/2.
    pub streams_max: u32,
}

impl Options {
    /// With the usual times and limits, on all cores.
    #[must_use]
    pub fn new(environment: impl Into<String>, listen: SocketAddr, folder: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            environment: environment.into(),
            listen,
            test_listen: None,
            folder: folder.into(),
            take_over: false,
            metrics_on_test_port: false,
            trust_forwarded: false,
            threads: Threads::EachItsOwn(cores),
            short_way: true,
            times: Times::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            // Node's servers close after 5 s, Gunicorn's after 2 s.
            kept: Duration::from_secs(4),
            kept_for_unsafe: Duration::from_secs(1),
            drain: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            head_bytes_max: 64 * 1_024,
            target_bytes_max: 16 * 1_024,
            replay_bytes_max: 64 * 1_024,
            idle_each_max: 256,
            streams_max: 128,
        }
    }
}
