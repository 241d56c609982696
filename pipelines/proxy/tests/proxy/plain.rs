//! The short way and hyper give the same: to backends, to clients, however the bytes are cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use proxy::options::Threads;
use tokio::net::{TcpListener, TcpStream};

use crate::backend::Backend;
use crate::wire::{Message, Wire};
use crate::world::{World, route};

/// What a backend answers, by path; and whether it ends the connection then.
const ANSWERS: &[(&str, &str, bool)] = &[
    ("/length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello", false),
    ("/empty", "HTTP/1.1 200 So be it\r\nContent-Length: 0\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", false),
    ("/twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", false),
    (
        "/chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
        false,
    ),
    ("/both", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false),
    ("/end", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nuntil the end", true),
    ("/last", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", true),
    ("/old", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", true),
    (
        "/hops",
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 1\r\n\r\na",
        false,
    ),
    (
        "/interim",
        "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 100 Go\r\n\r\nHTTP/1.1 404 Nothing\r\nContent-Length: 1\r\n\r\nn",
        false,
    ),
    ("/nothing", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", false),
    ("/same", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", false),
    ("/differ", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", true),
    ("/folded", "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 5\r\n\r\nhello", true),
    ("/words", "Sorry?\r\n\r\n", true),
];

/// What a client sends on one connection, request by request.
const TALKS: &[&[&str]] = &[
    &[
        "GET /length HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: b\r\nX-Empty:\r\nCookie: a=1\r\n\r\n",
    ],
    &[
        "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /chunked?a=/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /end HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /hops HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
    ],
    &[
        "PUT /interim HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "DELETE /same HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ],
    &["HEAD /last HTTP/1.1\r\nHost: a\r\n\r\n", "PATCH /twice HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"],
    &[
        "GET /end HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /old HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /both HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "GET /differ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /folded HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /words HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    &[
        "GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Pipe-Color: red\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\nX-Pipe-Color: red\r\n\r\n",
    ],
    // From here on hyper gets some, after a plain one or at once.
    &[PLAIN, "GET http://b/length HTTP/1.1\r\nHost: a\r\n\r\n"],
    &[PLAIN, "GET /length HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\n\r\n"],
    &[PLAIN, "GET /length HTTP/1.0\r\n\r\n"],
    &[PLAIN, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    &[PLAIN, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"],
    &[
        "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
        "GET /length HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
    ],
    &[PLAIN, "GET /length HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    &["\r\nGET /length HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
];

/// Requests in chunks. After one of them hyper's connection ends, and a plain one does not.
const CHUNKED: &[&[&str]] = &[
    &[PLAIN, "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n"],
    &["POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n"],
    &[
        "PUT /interim HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n0A\r\n0123456789\r\n1\r\n\n\r\n0\r\nX-Sum: 1\r\n\r\n",
    ],
    &["DELETE /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
];

const PLAIN: &str = "GET /length HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that answers by the table, cut where it is told.
struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
    cut: Arc<Mutex<Option<usize>>>,
    /// Whoever is asked between two pieces.
    probe: Arc<OnceLock<SocketAddr>>,
}

impl Scripted {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            cut: Arc::default(),
            probe: Arc::default(),
        };
        let (seen, cut, probe) = (Arc::clone(&this.seen), Arc::clone(&this.cut), Arc::clone(&this.probe));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (seen, cut, probe) = (Arc::clone(&seen), Arc::clone(&cut), Arc::clone(&probe));
                tokio::spawn(async move {
                    let mut wire = Wire::new(stream);
                    while let Ok(Some(request)) = wire.message(false).await {
                        let path = request.first.split([' ', '?']).nth(1).unwrap_or_default();
                        let answer = ANSWERS.iter().find(|answer| answer.0 == path).unwrap_or(&ANSWERS[0]);
                        let (mut text, is_last) = (answer.1.to_owned(), answer.2);
                        if request.first.starts_with("HEAD") {
                            text.truncate(text.find("\r\n\r\n").unwrap() + 4);
                        }
                        seen.lock().unwrap().push(request);
                        let cut = cut.lock().unwrap().unwrap_or(0).min(text.len());
                        if wire.send(&text[..cut]).await.is_err() {
                            return;
                        }
                        if let Some(probe) = probe.get().filter(|_| cut > 0) {
                            has_read(*probe).await;
                        }
                        if wire.send(&text[cut..]).await.is_err() || is_last {
                            return;
                        }
                    }
                });
            }
        });
        this
    }
}

/// After this the proxy's only thread has read what was sent to it before: another request has been carried since.
async fn has_read(proxy: SocketAddr) {
    assert_eq!(crate::wire::get(proxy, "/probe").await.status(), 200);
}

/// A message as far as two ways have to agree: names in small letters, in order; without what differs each time.
fn essence(message: &Message) -> (String, Vec<(String, String)>, String) {
    let headers = message.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let mut headers: Vec<_> = headers.filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id")).collect();
    headers.sort();
    (message.first.clone(), headers, message.text())
}

struct Side {
    world: World,
    scripted: Scripted,
    _probed: Backend,
}

/// What a client got, and what the backend saw.
type Outcome = (Vec<(String, Vec<(String, String)>, String)>, Vec<(String, Vec<(String, String)>, String)>);

impl Side {
    async fn start(short_way: bool) -> Self {
        let (scripted, probed) = (Scripted::start().await, Backend::start("probed").await);
        let world = World::with(|options| {
            options.short_way = short_way;
            options.threads = Threads::EachItsOwn(1);
        })
        .await;
        world
            .set(|table| {
                let mut shop = route("shop", "/", &[(vec![&probed], 1_000)]);
                shop.colours[0].backends = vec![scripted.address];
                table.routes = vec![shop, route("probe", "/probe", &[(vec![&probed], 1_000)])];
            })
            .await;
        scripted.probe.set(world.address).unwrap();
        Self { world, scripted, _probed: probed }
    }

    /// Sends all requests at once, in two pieces; or, without a place to cut, one after the other.
    async fn talk(&self, requests: &[&str], cut: Option<usize>, answers_cut: Option<usize>) -> Outcome {
        *self.scripted.cut.lock().unwrap() = answers_cut;
        self.scripted.seen.lock().unwrap().clear();
        let mut wire = Wire::to(self.world.address).await;
        wire.stream.set_nodelay(true).unwrap();
        if let Some(cut) = cut {
            let text = requests.concat();
            if cut > 0 {
                wire.send(&text[..cut]).await.unwrap();
                has_read(self.world.address).await;
            }
            // It may have been refused by now.
            let _gone = wire.send(&text[cut..]).await;
        }
        let mut got = Vec::new();
        for request in requests {
            if cut.is_none() {
                let _gone = wire.send(request).await;
            }
            let Ok(Some(mut answer)) = wire.head().await else { break };
            let has_body = !request.starts_with("HEAD") && !matches!(answer.status(), 204 | 304);
            if has_body && wire.body(&mut answer, true).await.is_err() {
                break;
            }
            got.push(essence(&answer));
        }
        let seen = self.scripted.seen.lock().unwrap().iter().map(essence).collect();
        (got, seen)
    }
}

#[tokio::test]
async fn both_ways_say_the_same_however_the_bytes_are_cut() {
    let (short, hyper) = (Side::start(true).await, Side::start(false).await);
    for requests in TALKS {
        let expected = hyper.talk(requests, None, None).await;
        assert!(!expected.0.is_empty(), "{requests:?}");
        for cut in 0..requests.concat().len() {
            assert_eq!(short.talk(requests, Some(cut), None).await, expected, "{requests:?} cut at {cut}");
        }
    }
    let kept = |(mut got, seen): Outcome| {
        let last = got.last_mut().expect("there is an answer");
        last.1.retain(|(name, _)| name != "connection");
        (got, seen)
    };
    for requests in CHUNKED {
        let expected = kept(hyper.talk(requests, None, None).await);
        for cut in 0..requests.concat().len() {
            let got = short.talk(requests, Some(cut), None).await;
            assert!(got.0.iter().flat_map(|answer| &answer.1).all(|(name, _)| name != "connection"), "{got:?}");
            assert_eq!(got, expected, "{requests:?} cut at {cut}");
        }
    }
    for (path, answer, _) in ANSWERS {
        // Heads that hyper passes on; told a length twice or chunks, it breaks off.
        let is_head_too = matches!(*path, "/length" | "/empty" | "/last" | "/old" | "/hops" | "/nothing" | "/same");
        for method in if is_head_too { &["GET", "HEAD"][..] } else { &["GET"] } {
            let first = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let requests = [first.as_str(), PLAIN];
            let expected = hyper.talk(&requests, None, None).await;
            for cut in 0..=answer.len() {
                assert_eq!(short.talk(&requests, None, Some(cut)).await, expected, "{path}: {answer:?} cut at {cut}");
            }
        }
    }
    short.world.end().await;
    hyper.world.end().await;
}

/// A backend that says these words to whoever connects, and then is silent.
async fn says(words: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let words = words.clone();
            tokio::spawn(async move {
                let mut wire = Wire::new(stream);
                if let Ok(Some(_)) = wire.message(false).await {
                    let _gone = tokio::io::AsyncWriteExt::write_all(&mut wire.stream, &words).await;
                    wire.rest().await;
                }
            });
        }
    });
    address
}

async fn before(backend: SocketAddr, idle: Duration) -> World {
    let world = World::with(|options| {
        options.times.idle = idle;
        options.times.silence = Duration::from_millis(200);
    })
    .await;
    world
        .set(|table| {
            let mut shop = route("shop", "/", &[(vec![], 1_000)]);
            shop.colours[0].backends = vec![backend];
            table.routes = vec![shop];
        })
        .await;
    world
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_goes_on_is_no_whole_one() {
    for (words, end, errors) in [
        // Chunks that are none, or stop; a body that stops.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx", "3\r\nabc\r\n", 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "3\r\nabc\r\n", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "content-length: 9\r\n\r\nabc", 1),
        // What follows an answer is nobody's: it is never the answer to another request.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "\r\n\r\nabc",
            0,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\r\n", "\r\n\r\nabc", 0),
    ] {
        let world = before(says(words.into()).await, Duration::from_secs(60)).await;
        for _ in 0..2 {
            let mut wire = Wire::to(world.address).await;
            wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            if errors == 0 {
                assert_eq!(wire.message(true).await.unwrap().unwrap().text(), "abc", "{words:?}");
                continue;
            }
            // Bytes that came together with the malformed ones need not have been passed on.
            let got = String::from_utf8(wire.rest().await).unwrap();
            assert!(got.ends_with(end) || got.is_empty(), "{words:?}: {got:?}");
        }
        let stats = world.stats("r1").await;
        assert_eq!((stats.requests, stats.errors, stats.in_flight), (2, 2 * errors, 0), "{words:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn nobody_is_served_who_has_gone_or_does_not_read() {
    // More than the buffers of both sockets hold.
    let mut large = b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n".to_vec();
    large.resize(large.len() + 60_000_000, b'x');
    let world = before(says(large).await, Duration::from_millis(200)).await;
    let mut deaf = Wire::to(world.address).await;
    deaf.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(deaf.head().await.unwrap().is_some());
    assert!(world.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap().is_drained());
    // Whoever reads gets all of it, byte for byte as long.
    let mut reader = Wire::to(world.address).await;
    let answer = reader.get("/").await.unwrap();
    assert_eq!((answer.body.len(), answer.body.iter().all(|byte| *byte == b'x')), (60_000_000, true));
    world.end().await;
    let silent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n".to_vec();
    let world = World::start().await;
    let backend = says(silent).await;
    world
        .set(|table| {
            let mut shop = route("shop", "/", &[(vec![], 1_000)]);
            shop.colours[0].backends = vec![backend];
            table.routes = vec![shop];
        })
        .await;
    let mut wire = Wire::to(world.address).await;
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(wire.head().await.unwrap().is_some());
    let stream: TcpStream = wire.stream;
    drop(stream);
    assert!(world.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap().is_drained());
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.errors, stats.abandoned), (1, 0, 0));
    world.end().await;
}

#[tokio::test]
async fn what_is_no_answer_yet_buys_no_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut wire = Wire::new(stream);
                let asked = wire.message(false).await;
                while asked.is_ok() && wire.send("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n").await.is_ok() {}
            });
        }
    });
    let world = World::with(|options| options.times.answer = Duration::from_millis(100)).await;
    world
        .set(|table| {
            let mut shop = route("shop", "/", &[(vec![], 1_000)]);
            shop.colours[0].backends = vec![backend];
            table.routes = vec![shop];
        })
        .await;
    assert_eq!(crate::wire::get(world.address, "/").await.status(), 504);
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.time_outs, stats.in_flight), (1, 1, 0));
    world.end().await;
}
