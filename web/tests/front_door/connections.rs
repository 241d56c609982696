//! W10 and the end of serving: slow clients, too many of them, and stopping with some still there.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use web::{FrontDoorOptions, ServerOptions};

use crate::world::{Answer, PATIENCE, Post, Setup, World};

/// Short enough for a test, long enough for a busy machine to answer in.
const SHORT: Duration = Duration::from_millis(700);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn quick() -> Setup {
    let server = ServerOptions {
        head_time: SHORT,
        idle_time: SHORT,
        connections_each_max: 200,
        drain_time: PATIENCE,
        ..ServerOptions::default()
    };
    let door = FrontDoorOptions { body_time: SHORT, ..Setup::default().door };
    Setup { server, door, ..Setup::default() }
}

/// Sends a byte at a time until the server has enough; what it said.
async fn drip(mut stream: TcpStream, first: Vec<u8>) -> String {
    let (mut reader, mut writer) = stream.split();
    let mut text = Vec::new();
    let dripping = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        writer.write_all(&first).await?;
        loop {
            ticks.tick().await;
            writer.write_all(b"x").await?;
        }
        #[expect(unreachable_code, reason = "gives the type of the errors")]
        Ok::<(), std::io::Error>(())
    };
    let reading = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut text));
    tokio::select! {
        read = reading => drop(read.expect("the server ends it")),
        _ = dripping => {}
    }
    // HTTP/2 says goodbye in bytes.
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w10_slow_clients_are_let_go_and_others_served_meanwhile() {
    let world = World::start(quick()).await;
    let mut slow = tokio::task::JoinSet::new();
    let body_begun = format!("{}Content-Length: 100000\r\n\r\n", Post::push("g", "main").head());
    for number in 0..150 {
        let first = match number % 4 {
            0 => Vec::new(),
            1 => b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX-A: ".to_vec(),
            2 => body_begun.clone().into_bytes(),
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        };
        // Half of the dripping HTTP/2 ones never come to a whole frame.
        slow.spawn(drip(world.connect().await, first));
    }
    for number in 0..20 {
        let push = Post::push(&format!("g{number}"), &format!("b{number}"));
        let answer = tokio::time::timeout(PATIENCE, world.post(&push));
        assert_eq!(answer.await.unwrap().status, 202);
    }
    let answers = slow.join_all().await;
    let timed_out = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 408")).count();
    assert!(timed_out > 0, "slow bodies hear why");
    assert_eq!(world.list().await.len(), 20);
}

#[tokio::test]
async fn w10_silence_ends_a_connection_but_not_while_we_think() {
    let (begun, mut begins) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let slow = get(move || async move {
        let (go_on, gone_on) = oneshot::channel();
        begun.send(go_on).unwrap();
        gone_on.await.unwrap();
        "at last"
    });
    let world = World::start(Setup { more: Router::new().route("/slow", slow), ..quick() }).await;
    // Silent from the beginning; silent after an answer.
    let mut silent = world.connect().await;
    assert_eq!(Answer::read(&mut silent).await.head, "");
    let mut kept = world.connect().await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read(&mut kept).await.status, 200);
    // Our own slowness is not the client's. The other connection measures the time.
    let mut waits = world.connect().await;
    waits.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let go_on = begins.recv().await.unwrap();
    for _ in 0..2 {
        Answer::read(&mut world.connect().await).await;
    }
    go_on.send(()).unwrap();
    assert_eq!(Answer::read(&mut waits).await.body, "at last");
}

#[tokio::test]
async fn w10_one_address_gets_so_many_connections_and_all_together_so_many() {
    for (each, all, expected) in [(3, 100, 429), (100, 3, 503)] {
        let server = ServerOptions { connections_each_max: each, connections_max: all, ..ServerOptions::default() };
        let world = World::start(Setup { server, ..Setup::default() }).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = world.connect().await;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            // Answered, so it has its place.
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            held.push(stream);
        }
        let refused = Answer::read(&mut world.connect().await).await;
        assert_eq!(refused.status, expected);
        assert!(refused.has("retry-after: 10"));
        // A place is free as soon as the server has seen that its client is gone.
        held.clear();
        let again = async {
            while world.send(HEALTH.as_bytes()).await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.unwrap();
    }
}

#[tokio::test]
async fn stopping_lets_requests_end_and_cuts_those_that_do_not() {
    for ends in [true, false] {
        let (begun, mut begins) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let slow = get(move || async move {
            let (go_on, gone_on) = oneshot::channel();
            begun.send(go_on).unwrap();
            gone_on.await.unwrap();
            "at last"
        });
        let drain_time = if ends { PATIENCE } else { Duration::from_millis(50) };
        let server = ServerOptions { drain_time, ..ServerOptions::default() };
        let world = World::start(Setup { more: Router::new().route("/slow", slow), server, ..Setup::default() }).await;
        let idle = world.connect().await;
        let mut stream = world.connect().await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let go_on = begins.recv().await.unwrap();
        world.stop.cancel();
        if ends {
            go_on.send(()).unwrap();
            let answer = Answer::read(&mut stream).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "at last"));
        }
        let drained = tokio::time::timeout(PATIENCE, world.serving).await.unwrap().unwrap();
        assert_eq!(drained.cut, usize::from(!ends));
        assert!(TcpStream::connect(world.address).await.is_err(), "nobody listens any more");
        drop(idle);
    }
}

#[tokio::test]
async fn health_and_readiness() {
    let world = World::start(Setup::default()).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes();
    let answer = world.send(&ask("/healthz")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    assert!(answer.has("x-request-id: ") && answer.has("x-content-type-options: nosniff"));
    assert_eq!(world.send(&ask("/readyz")).await.status, 200);
    assert_eq!(world.send(&ask("/webhooks/github")).await.status, 405);
    assert_eq!(world.send(&ask("/nothing")).await.status, 404);
    let bitbucket = world.post(&Post::push("g", "main").at("/webhooks/bitbucket")).await;
    assert_eq!(bitbucket.status, 404);
    assert!(bitbucket.body.contains("hooks are taken from github, gitea"), "{}", bitbucket.body);
    world.deliveries.database().close().await;
    let answer = world.post(&Post::push("g", "main")).await;
    assert!(answer.status == 503 && answer.has("retry-after: 30"), "{}", answer.head);
}
