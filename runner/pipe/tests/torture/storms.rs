//! W06, W09, W10: what is too large, too much and too slow, against the whole program: neither costs memory, and what was
//! acknowledged is kept whatever happens next.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::is_long;
use crate::server::{PATIENCE, Server};
use crate::world::{REPOSITORY, SECRET, Witness, World};

/// Nobody releases anything: hooks are looked at and start nothing.
const QUIET: &str = "on: release\njobs: { one: { runs-on: here, steps: [{ run: 'true' }] } }";
/// Clients at once.
const CLIENTS: usize = 64;
/// Longest that nearly every answer may take.
const ANSWERED_IN: Duration = Duration::from_secs(1);
/// What a server may need for one body: the largest one that it takes, and as much again beside.
const MORE_KIB_MAX: u64 = 40 * 1_024;

/// Memory of the server now and at its highest, in KiB.
fn memory(server: &Server) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let number = |name: &str| line(name).trim().trim_end_matches(" kB").parse::<u64>().unwrap();
    (number("VmRSS:"), number("VmHWM:"))
}

fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut first = [0; 12];
    stream.read_exact(&mut first).ok()?;
    std::str::from_utf8(&first).ok()?.rsplit_once(' ')?.1.parse().ok()
}

fn head(id: &str, signature: &str, framing: &str) -> String {
    format!(
        "POST /webhooks/push HTTP/1.1\r\nHost: ci\r\nContent-Type: application/json\r\nX-Pipe-Event: push\r\n\
         X-Pipe-Delivery: {id}\r\nX-Pipe-Signature-256: sha256={signature}\r\n{framing}\r\nConnection: close\r\n\r\n"
    )
}

#[test]
fn w06_two_gigabytes_cost_no_memory() {
    let world = World::new(&Witness::new(), QUIET);
    let server = world.started();
    let bytes: u64 = if is_long() { 2 << 30 } else { 256 << 20 };
    let (before, _) = memory(&server);
    for framing in [format!("Content-Length: {bytes}"), "Transfer-Encoding: chunked".to_owned()] {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head("large", &"0".repeat(64), &framing).as_bytes()).unwrap();
        let is_chunked = framing.starts_with('T');
        let zeros = vec![0; 1 << 20];
        let chunk = if is_chunked { [b"100000\r\n", zeros.as_slice(), b"\r\n"].concat() } else { zeros };
        let mut sent = 0;
        // It need not listen to the end.
        while sent < bytes && stream.write_all(&chunk).is_ok() {
            sent += 1 << 20;
        }
        // What was sent after the answer may have swallowed it.
        assert!(matches!(status(&mut stream), Some(413) | None), "{framing}");
        assert!(sent < bytes, "{framing}: it read all of it");
    }
    let (_, highest) = memory(&server);
    println!("{bytes} bytes twice: from {before} KiB to {highest} KiB at most");
    assert!(highest < before + MORE_KIB_MAX, "from {before} KiB to {highest} KiB");
    assert_eq!(world.deliveries().len(), 0);
    assert!(server.end().unwrap().success());
}

/// Tells of one push; the status of the answer, and how long it took.
fn tell(world: &World, number: usize, commit: &str) -> (Option<u16>, Duration) {
    let body = json!({
        "ref": format!("refs/heads/b{number}"), "before": "0".repeat(40), "after": commit,
        "repository": { "full_name": REPOSITORY }, "pusher": { "name": "ada" },
    });
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = head(&format!("storm-{number}"), &signature, &format!("Content-Length: {}", body.len())) + &body;
    let begun = Instant::now();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", world.port)) else { return (None, begun.elapsed()) };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let answered = stream.write_all(request.as_bytes()).is_ok().then(|| status(&mut stream)).flatten();
    (answered, begun.elapsed())
}

#[test]
fn w09_of_ten_thousand_pushes_every_acknowledged_one_is_kept() {
    let world = World::new(&Witness::new(), QUIET);
    let server = world.started();
    let commit = world.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let pushes = if is_long() { 10_000 } else { 1_000 };
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= pushes {
                        return;
                    }
                    let answer = tell(&world, number, &commit);
                    answers.lock().unwrap().push(answer);
                }
            });
        }
    });
    server.kill();
    drop(server);
    let mut answers = answers.into_inner().unwrap();
    answers.sort_by_key(|(_, time)| *time);
    let of = |wanted: u16| answers.iter().filter(|(status, _)| *status == Some(wanted)).count();
    let (accepted, refused) = (of(202), of(429));
    let slow = answers[answers.len() * 99 / 100].1;
    println!("{pushes} pushes: {accepted} acknowledged, {refused} told to wait, p99 {} ms", slow.as_millis());
    assert_eq!(accepted + refused, pushes, "nobody is left without an answer");
    assert!(accepted > 0 && refused > 0);
    assert!(slow < ANSWERED_IN, "{slow:?}");
    let server = world.started();
    let kept = world.done(&["deliveries", "list", "--data", "data", "--limit", "500", "--json"]);
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["deliveries"].as_array().unwrap().len(), accepted);
    assert!(server.end().unwrap().success());
}

/// Longest that a request of somebody else may take meanwhile.
const SERVED_IN: Duration = Duration::from_millis(200);
/// What the server gives a head and a body, and what a busy machine may add.
const HEAD_TIME: Duration = Duration::from_secs(10);
const BODY_TIME: Duration = Duration::from_secs(30);
const LATE: Duration = Duration::from_secs(5);

/// Sends a byte a second until the server has enough, from an address of its own; how long that took.
async fn drip(from: Ipv4Addr, port: u16, first: Vec<u8>) -> Duration {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let begun = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        writer.write_all(&first).await?;
        loop {
            ticks.tick().await;
            writer.write_all(b"x").await?;
        }
        #[expect(unreachable_code, reason = "gives the type of the errors")]
        Ok::<(), std::io::Error>(())
    };
    let mut said = Vec::new();
    tokio::select! {
        _ = dripping => {}
        _ = reader.read_to_end(&mut said) => {}
    }
    begun.elapsed()
}

/// One whole request from an address that nobody drips from; how long it took.
async fn ask(port: u16) -> Duration {
    let begun = Instant::now();
    let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    begun.elapsed()
}

/// The row in full, at the limits that the server has: 500 sockets that send a byte a second, in heads and in bodies.
#[test]
fn w10_five_hundred_that_drip_keep_nobody_waiting() {
    if !is_long() {
        return;
    }
    let world = World::new(&Witness::new(), QUIET);
    let server = world.started();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut served, heads, bodies) = runtime.block_on(async {
        let (mut heads, mut bodies) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
        for number in 0..500_u16 {
            // Each address has so many connections and no more.
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(number / 50).unwrap() + 1);
            if number % 2 == 0 {
                heads.spawn(drip(from, world.port, b"POST /webhooks/push HTTP/1.1\r\nHost: a\r\nX-A: ".to_vec()));
            } else {
                let head = head(&format!("drip-{number}"), &"0".repeat(64), "Content-Length: 100000");
                bodies.spawn(drip(from, world.port, head.into_bytes()));
            }
        }
        let mut served = Vec::new();
        let slow = async { tokio::join!(heads.join_all(), bodies.join_all()) };
        let asking = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                served.push(ask(world.port).await);
            }
        };
        let (heads, bodies) = tokio::select! {
            slow = slow => slow,
            () = asking => unreachable!("it asks for ever"),
        };
        (served, heads, bodies)
    });
    served.sort_unstable();
    let of = |share: usize| served[(served.len() - 1) * share / 100];
    let longest = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
    let (head, body) = (longest(&heads), longest(&bodies));
    println!(
        "{} that dripped: heads let go after {head:?} at most, bodies after {body:?}; {} requests of others took {:?} (p50), {:?} (p99)",
        heads.len() + bodies.len(),
        served.len(),
        of(50),
        of(99)
    );
    assert_eq!((heads.len(), bodies.len()), (250, 250));
    assert!(head < HEAD_TIME + LATE && body < BODY_TIME + LATE, "{head:?} {body:?}");
    assert!(served.len() > 50 && of(99) < SERVED_IN, "{:?}", of(99));
    assert_eq!(world.deliveries().len(), 0);
    assert!(server.end().unwrap().success());
}
