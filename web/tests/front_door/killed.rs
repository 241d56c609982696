//! W09, X01 and X06: storms of hooks, SIGKILL at any moment, disks that fail; what was acknowledged is there.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::store::deliveries::{Deliveries, DeliveryFilter};
use engine::store::{Database, Options, StoreError};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Answer, Post, Setup, World};

const FOLDER_VARIABLE: &str = "PIPE_TEST_SERVER_FOLDER";
/// Below that folder.
const DATA: &str = "data";
const CONNECTIONS: usize = 64;
/// Flushes at each of which one server is killed.
const KILLED_AT_MAX: usize = 24;
/// The server is killed after so many acknowledgements, with requests under way.
const ACKNOWLEDGED: usize = 1_000;

/// Not a test: the server of the other ones, in a process that can be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is started by the other tests"]
async fn server_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return };
    let server = web::ServerOptions { connections_each_max: 1_000, ..web::ServerOptions::default() };
    let mut data = tempfile::Builder::new();
    let data = data.prefix(DATA).rand_bytes(0).disable_cleanup(true).tempdir_in(PathBuf::from(folder)).unwrap();
    let world = World::start_in(data, Setup { server, ..Setup::default() }).await;
    // On a line of its own: the test's own output has none at its end.
    println!("\nserving {}", world.address);
    world.serving.await.unwrap();
}

/// That server. What is left of it ends with the test.
struct Child {
    process: std::process::Child,
    /// `None` if it was killed before it served.
    address: Option<SocketAddr>,
    folder: tempfile::TempDir,
}

impl Child {
    fn start(wrapper: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let words = wrapper.iter().map(OsString::from).chain([program.into()]).collect::<Vec<_>>();
        let mut process = Command::new(&words[0])
            .args(&words[1..])
            .args(["--exact", "killed::server_to_be_killed", "--ignored", "--nocapture"])
            .env(FOLDER_VARIABLE, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("serving ").map(str::to_owned));
        // The rest is read too, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: line.map(|line| line.parse().unwrap()), folder }
    }

    /// With its wrapper; it may be gone already.
    fn kill(&self) {
        killpg(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGKILL).unwrap_or_default();
    }

    /// Ids of all deliveries in what it left.
    async fn deliveries(mut self) -> HashSet<String> {
        self.kill();
        self.process.wait().unwrap();
        let path = self.folder.path().join(DATA).join("pipe.db");
        // Its lock is free when the last of its threads is gone, a moment after its wrapper.
        let database = loop {
            match Database::open(&path, Options::SERVER) {
                Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let deliveries = Deliveries::on(database);
        let (mut found, mut before) = (HashSet::new(), None);
        loop {
            let filter = DeliveryFilter { before, limit: 500, ..DeliveryFilter::default() };
            let list = deliveries.list(filter).await.unwrap();
            before = list.last().map(|delivery| delivery.number);
            found.extend(list.into_iter().map(|delivery| delivery.guid));
            if before.is_none() {
                return found;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_sigkill() {
    let child = Child::start(&[]);
    let address = child.address.unwrap();
    let (count, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(address, Arc::clone(&count), Arc::clone(&acknowledged)));
    }
    let (mut ids, mut times) = (HashSet::new(), Vec::new());
    while let Some(client) = clients.join_next().await {
        // The first to see that there are enough kills the server under the others.
        child.kill();
        let (theirs, took) = client.unwrap();
        ids.extend(theirs);
        times.extend(took);
    }
    assert!(ids.len() >= ACKNOWLEDGED, "{}", ids.len());
    times.sort_unstable();
    let slowest = times[times.len() * 99 / 100];
    assert!(slowest < Duration::from_secs(5), "p99 {slowest:?}");
    let found = child.deliveries().await;
    let missing: Vec<_> = ids.difference(&found).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
}

/// The words that run a program with that done to its flushes; none where it cannot be done.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn strace(inject: &str) -> Option<Vec<String>> {
    let is_there = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: strace cannot be used here");
        return None;
    }
    let inject = format!("inject=fsync,fdatasync:{inject}");
    let words = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject];
    Some(words.map(str::to_owned).into())
}

/// X01: killed at each flush, of the start and of the first hooks (strace counts them by thread).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_flush() {
    let mut served = 0;
    for number in 1..=KILLED_AT_MAX {
        let Some(wrapper) = strace(&format!("signal=KILL:when={number}")) else { return };
        let child = Child::start(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
        let mut acknowledged = HashSet::new();
        if let Some(address) = child.address {
            served += 1;
            while let Some(status) = post(address, acknowledged.len()).await {
                assert_eq!(status, 202, "killed at {number}");
                acknowledged.insert(format!("guid-{}", acknowledged.len()));
            }
            assert!(acknowledged.len() <= number, "killed at {number}, yet {} were acknowledged", acknowledged.len());
        }
        let found = child.deliveries().await;
        assert!(acknowledged.is_subset(&found), "killed at {number}: {acknowledged:?} acknowledged, {found:?} found");
    }
    assert!(served > 0, "never came as far as to serve");
    println!("killed at each of {KILLED_AT_MAX} flushes, {served} of them while serving");
}

/// X06: from some flush on the disk fails. Nothing is acknowledged any more, and what was is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_flush_ends_all_acknowledging() {
    let mut served = 0;
    for number in (2..20).step_by(3) {
        // Once only: what comes after looks well, and must not be believed.
        let Some(wrapper) = strace(&format!("error=EIO:when={number}")) else { return };
        let child = Child::start(&wrapper.iter().map(String::as_str).collect::<Vec<_>>());
        // While opening: it refuses to start.
        let Some(address) = child.address else { continue };
        served += 1;
        let mut statuses = Vec::new();
        for each in 0..number + 3 {
            statuses.push(post(address, each).await.unwrap());
        }
        let taken = statuses.iter().take_while(|status| **status == 202).count();
        assert!(
            statuses[taken..].iter().all(|status| *status == 503) && taken < statuses.len(),
            "{number}: {statuses:?}"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(Answer::read(&mut stream).await.status, 503);
        let found = child.deliveries().await;
        assert!((0..taken).all(|each| found.contains(&format!("guid-{each}"))), "{number}: {found:?}");
    }
    assert!(served > 0, "never came as far as to serve");
    println!("a flush failed in {served} servers");
}

/// The status of the answer to one push, if there is one.
async fn post(address: SocketAddr, number: usize) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let push = Post::push(&format!("guid-{number}"), &format!("branch-{number}"));
    stream.write_all(&push.bytes()).await.ok()?;
    Some(Answer::read(&mut stream).await.status).filter(|status| *status != 0)
}

/// Sends until there are enough or the server is gone; what was acknowledged, and how long each took.
async fn client(
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
) -> (Vec<String>, Vec<Duration>) {
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let Some(status) = post(address, number).await else { break };
        assert_eq!(status, 202);
        acknowledged.fetch_add(1, Ordering::Relaxed);
        ids.push(format!("guid-{number}"));
        times.push(begun.elapsed());
    }
    (ids, times)
}
