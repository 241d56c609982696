//! Row U09 at its full numbers: a thousand who follow a job and do not read, while it prints a hundred megabytes.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use web::{Server, ServerOptions};

use crate::world::{World, course};

const READERS: usize = 1_000;
const LOG_BYTES: usize = 100 << 20;
/// What one of them may cost, in bytes: buffers of its connection, filled once.
const READER_BYTES_MAX: usize = 192 << 10;
/// How long nobody reads before they are let go.
const IDLE: Duration = Duration::from_secs(10);
/// How long a busy machine may take for all of it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * usize::try_from(sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap()).unwrap()
}

/// Sockets of this process: both ends of each connection are among them. Other files come and go.
fn sockets() -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

async fn follow(address: std::net::SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /api/v1/runs/1/events HTTP/1.1\r\nHost: ci.example\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // It has a place once it is greeted.
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

/// Nobody has read anything: the server closes its end of all of them, and `open` sockets are left.
async fn let_go(readers: Vec<TcpStream>, open: usize) {
    let begin = Instant::now();
    while sockets() > open {
        assert!(begin.elapsed() < PATIENCE, "{} connections are still there", sockets() - open);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // All that is left of one is what lies in its socket.
    for mut stream in readers {
        let mut rest = Vec::new();
        // It may have been reset.
        drop(stream.read_to_end(&mut rest).await);
        assert!(rest.len() < LOG_BYTES / 2, "{}", rest.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u09_who_follows_and_does_not_read_costs_little_and_is_let_go() {
    // Both ends of each connection are ours.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(8_192), most).unwrap();
    let world = World::new().await;
    let run = world.run("octo/shop", "main").await;
    world.facts(run, 1, &course()[..5]).await;
    world.log(run, "build", Some(0), "begin\n");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServerOptions {
        idle_time: IDLE,
        connections_each_max: READERS + 10,
        drain_time: Duration::from_secs(1),
        ..ServerOptions::default()
    };
    let serving = tokio::spawn(Server::new(world.routes.clone(), options).serve(listener, world.stop.clone()));
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        readers.push(follow(address, &world.admin).await);
    }
    let (before, open) = (resident(), sockets());
    // One who reads gets all of it meanwhile.
    let mut one = follow(address, &world.admin).await;
    let reading = tokio::spawn(async move {
        let (mut part, mut seen) = (vec![0; 1 << 16], 0);
        while seen < LOG_BYTES {
            match one.read(&mut part).await.unwrap() {
                0 => break,
                read => seen += read,
            }
        }
        seen
    });
    let path = engine::job::log_path(
        &world.folders.logs(run),
        &workflow::run::JobRunKey::parse("build"),
        Some(workflow::run::StepIndex(0)),
    );
    let part = format!("{}\n", "x".repeat(1_023)).repeat(1_024);
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    let mut most = before;
    for _ in 0..LOG_BYTES / part.len() {
        std::io::Write::write_all(&mut file, part.as_bytes()).unwrap();
        most = most.max(resident());
    }
    let watching = async {
        let begin = Instant::now();
        while !reading.is_finished() && begin.elapsed() < PATIENCE {
            most = most.max(resident());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let most = watching.await;
    assert!(reading.await.unwrap() >= LOG_BYTES, "who reads gets the whole log");
    let grown = most - before;
    assert!(grown < READERS * READER_BYTES_MAX, "{} KiB more for {READERS} readers", grown >> 10);
    let_go(readers, open - READERS).await;
    world.stop.cancel();
    serving.await.unwrap();
}
