//! HTTP itself: what is taken out, what is put in, what is refused, and other protocols.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::wire::{self, Wire};
use crate::world::World;

#[tokio::test]
async fn heads_are_changed_on_the_way() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    let request = "GET /chunks HTTP/1.1\r\nHost: shop.example\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n\
                   X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nTE: trailers\r\nX-Other: 2\r\n\r\n";
    let answer = wire::ask(world.address, request).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "abcde"));
    assert_eq!((answer.header("x-hop"), answer.header("x-end")), (None, Some("2")));
    let seen = blue.seen().pop().unwrap();
    for (name, value) in [
        ("host", Some("shop.example")),
        ("x-other", Some("2")),
        ("x-mine", None),
        ("connection", None),
        ("keep-alive", None),
        ("te", None),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("shop.example")),
        ("x-request-id", answer.header("x-request-id")),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    let mine = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n";
    assert_eq!(wire::ask(world.address, mine).await.header("x-request-id"), Some("mine"));
    assert_eq!(blue.seen().pop().unwrap().header("x-request-id"), Some("mine"));
    world.end().await;
    let world = World::with(|options| options.trust_forwarded = true).await;
    world.shares(&[(&blue, 1_000)]).await;
    wire::ask(world.address, request).await;
    let seen = blue.seen().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-for"), Some("6.6.6.6, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    world.end().await;
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| options.limits.target_bytes_max = 1_000).await;
    world.shares(&[(&blue, 1_000)]).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1_001));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(200));
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (&long, 414),
        (&large, 431),
        (&many, 431),
    ] {
        let mut wire = Wire::to(world.address).await;
        wire.send(request).await.unwrap();
        let answer = wire.head().await.unwrap().map_or(0, |answer| answer.status());
        assert_eq!(answer, status, "{:.80}", request);
    }
    assert_eq!(blue.seen().len(), 0);
    world.end().await;
}

#[tokio::test]
async fn bodies_go_through_in_either_framing() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    let long = "x".repeat(300_000);
    let answer = Wire::to(world.address).await.post("/echo", &long).await.unwrap();
    assert!(answer.text() == long, "{} bytes", answer.body.len());
    let put = format!("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n{long}");
    assert!(wire::ask(world.address, &put).await.text() == long);
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = wire::ask(world.address, chunked).await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("abcde", None));
    let expecting = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut wire = Wire::to(world.address).await;
    wire.send(expecting).await.unwrap();
    assert_eq!(wire.head().await.unwrap().unwrap().status(), 100);
    wire.send("abc").await.unwrap();
    assert_eq!(wire.message(true).await.unwrap().unwrap().text(), "abc");
    // An answer that does not wait for the body ends the connection, and says so.
    let mut wire = Wire::to(world.address).await;
    wire.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").await.unwrap();
    let early = wire.head().await.unwrap().unwrap();
    assert_eq!((early.status(), early.header("connection")), (413, Some("close")));
    // Two requests in one piece, and a client of HTTP/1.0.
    let mut wire = Wire::to(world.address).await;
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(wire.message(true).await.unwrap().unwrap().text(), "blue");
    assert_eq!(wire.message(true).await.unwrap().unwrap().text(), "");
    let mut wire = Wire::to(world.address).await;
    wire.send("GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(wire.rest().await.ends_with(b"blue"));
    world.end().await;
}

#[tokio::test]
async fn another_protocol_is_carried_both_ways_and_counts_as_in_flight() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| options.times.drain = Duration::from_millis(200)).await;
    world.shares(&[(&blue, 1_000)]).await;
    let upgrade = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut wire = Wire::to(world.address).await;
    wire.send(upgrade).await.unwrap();
    let head = wire.head().await.unwrap().unwrap();
    assert_eq!(
        (head.status(), head.header("upgrade"), head.header("connection")),
        (101, Some("echo"), Some("upgrade"))
    );
    for word in ["hello", "again"] {
        wire.send(word).await.unwrap();
        let mut echo = [0; 5];
        wire.stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, word.as_bytes());
    }
    assert_eq!(world.stats("r1").await.in_flight, 1);
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.rest().await, b"");
    let drained = world.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap();
    assert!(drained.is_drained());
    assert_eq!(world.stats("r1").await.by_status["1xx"]["GET"], 1);
    // Who does not want it answers as ever.
    let refused = wire::ask(world.address, &upgrade.replace("/socket", "/")).await;
    assert_eq!((refused.status(), refused.text().as_str()), (200, "blue"));
    // At the end a tunnel is cut, and counted.
    let mut wire = Wire::to(world.address).await;
    wire.send(upgrade).await.unwrap();
    assert_eq!(wire.head().await.unwrap().unwrap().status(), 101);
    world.stop.cancel();
    assert_eq!(wire.rest().await, b"");
    assert!(world.running.await.unwrap().unwrap().cut >= 1);
}

#[tokio::test]
async fn http2_in_front_is_http1_behind() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = made.unwrap();
    let driving = tokio::spawn(connection);
    let ask = |path: &str, body: &'static str| {
        let uri = format!("http://shop.example{path}");
        let request = Request::post(uri).header("cookie", "a=1").header("cookie", "b=2");
        sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap())
    };
    let mut ask = ask;
    let (first, second) = (ask("/echo", "one"), ask("/chunks", "two"));
    let (first, second) = tokio::join!(first, second);
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.status(), 200);
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "one");
    assert_eq!(second.into_body().collect().await.unwrap().to_bytes(), "abcde");
    let seen = blue.seen();
    let echo = seen.iter().find(|one| one.first == "POST /echo HTTP/1.1").unwrap();
    assert_eq!((echo.header("host"), echo.header("cookie")), (Some("shop.example"), Some("a=1; b=2")));
    // It is told to go away, and what it asks before it has heard of it is still answered.
    world.stop.cancel();
    assert!(world.running.await.unwrap().unwrap().cut == 0);
    drop(sender);
    driving.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_is_slow_or_silent_is_not_waited_for() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| {
        options.times.head = Duration::from_millis(100);
        options.times.idle = Duration::from_millis(200);
    })
    .await;
    world.shares(&[(&blue, 1_000)]).await;
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost:",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut wire = Wire::to(world.address).await;
        wire.send(begun).await.unwrap();
        let got = wire.rest().await;
        assert!(got.is_empty() || got.starts_with(b"HTTP/1.1 4"), "{begun:?}: {}", String::from_utf8_lossy(&got));
    }
    let stats = world.stats("r1").await;
    assert_eq!((stats.errors, stats.abandoned), (0, 3), "none of it is the backend's fault");
    let mut idle = Wire::to(world.address).await;
    assert_eq!(idle.get("/").await.unwrap().text(), "blue");
    assert_eq!(idle.rest().await, b"", "an idle connection is closed");
    world.end().await;
}

#[tokio::test]
async fn more_connections_than_may_be_are_told_so() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| options.limits.connections_max = 3).await;
    world.shares(&[(&blue, 1_000)]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::to(world.address).await;
        wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        held.push(wire);
    }
    blue.seen_so_many(3).await;
    assert_eq!(wire::get(world.address, "/").await.status(), 503);
    blue.release();
    for mut wire in held {
        assert_eq!(wire.message(true).await.unwrap().unwrap().text(), "blue");
    }
    world.end().await;
}
