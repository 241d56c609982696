//! W09 and X01: a storm of hooks, then SIGKILL; every delivery that was acknowledged is there.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::store::deliveries::{Deliveries, DeliveryFilter};
use engine::store::{Database, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Answer, Post, Setup, World};

const FOLDER_VARIABLE: &str = "PIPE_TEST_SERVER_FOLDER";
const CONNECTIONS: usize = 64;
/// The server is killed after so many acknowledgements, with requests under way.
const ACKNOWLEDGED: usize = 1_000;

/// Not a test: the server of the other one, in a process that can be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is started by acknowledged_deliveries_survive_sigkill"]
async fn server_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return };
    let setup =
        Setup { server: web::ServerOptions { connections_each_max: 1_000, ..Default::default() }, ..Setup::default() };
    let folder = PathBuf::from(folder);
    let world = World::start_in(tempfile::Builder::new().prefix("data").tempdir_in(folder).unwrap(), setup).await;
    // On a line of its own: the test's own output has none at its end.
    println!("\nserving {} {}", world.address, world.folder.path().display());
    world.serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::server_to_be_killed", "--ignored", "--nocapture"])
        .env(FOLDER_VARIABLE, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().strip_prefix("serving ").map(str::to_owned)).unwrap();
    let (address, data) = line.split_once(' ').unwrap();
    let (count, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(address.to_owned(), Arc::clone(&count), Arc::clone(&acknowledged)));
    }
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let mut all = (HashSet::new(), Vec::new());
    while let Some(client) = clients.join_next().await {
        // The first to see that there are enough kills the server under the others.
        kill(pid, Signal::SIGKILL).unwrap();
        let (ids, times) = client.unwrap();
        all.0.extend(ids);
        all.1.extend(times);
    }
    child.wait().unwrap();
    let (ids, mut times) = all;
    assert!(ids.len() >= ACKNOWLEDGED, "{}", ids.len());
    times.sort_unstable();
    let slowest = times[times.len() * 99 / 100];
    assert!(slowest < Duration::from_secs(5), "p99 {slowest:?}");
    let deliveries = Deliveries::on(Database::open(&PathBuf::from(data).join("pipe.db"), Options::SERVER).unwrap());
    let (mut found, mut before) = (HashSet::new(), None);
    loop {
        let filter = DeliveryFilter { before, limit: 500, ..DeliveryFilter::default() };
        let list = deliveries.list(filter).await.unwrap();
        before = list.last().map(|delivery| delivery.number);
        found.extend(list.into_iter().map(|delivery| delivery.guid));
        if before.is_none() {
            break;
        }
    }
    let missing: Vec<_> = ids.difference(&found).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
}

/// Sends until there are enough or the server is gone; what was acknowledged, and how long each took.
async fn client(
    address: String,
    count: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
) -> (Vec<String>, Vec<Duration>) {
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let id = format!("guid-{number}");
        let begun = Instant::now();
        let Ok(mut stream) = TcpStream::connect(&address).await else { break };
        if stream.write_all(&Post::push(&id, &format!("branch-{number}")).bytes()).await.is_err() {
            break;
        }
        match Answer::read(&mut stream).await.status {
            202 => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                ids.push(id);
                times.push(begun.elapsed());
            }
            // The server was killed before it answered.
            0 => break,
            other => panic!("answered {other}"),
        }
    }
    (ids, times)
}
