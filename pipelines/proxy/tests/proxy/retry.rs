//! What is sent again, what is not, and who gets nothing for a while.

use std::time::Duration;

use proxy::event::Happening;

use crate::backend::Backend;
use crate::wire::{self, Wire};
use crate::world::{World, route};

#[tokio::test]
async fn what_was_sent_is_sent_again_only_if_that_cannot_do_harm() {
    let backend = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&backend, 1_000)]).await;
    for (request, status, times) in [
        // Without a byte of an answer: once more for whom it makes no difference.
        ("GET /die HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2),
        ("PUT /die HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 502, 2),
        ("DELETE /die HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2),
        ("POST /die HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 502, 1),
        ("POST /die HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, 1),
        ("PATCH /die HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 502, 1),
        // The answer has begun.
        ("GET /half HTTP/1.1\r\nHost: a\r\n\r\n", 502, 1),
        ("GET /error HTTP/1.1\r\nHost: a\r\n\r\n", 500, 1),
    ] {
        // On a new connection and on one that was used before.
        for warm in [false, true] {
            if warm {
                wire::get(world.address, "/").await;
            }
            let before = backend.seen().len();
            assert_eq!(wire::ask(world.address, request).await.status(), status, "{request:?}");
            let asked = backend.seen()[before..].to_vec();
            assert_eq!(asked.len(), times, "{request:?}: {asked:?}");
            assert!(asked.iter().all(|one| one.body == asked[0].body), "{asked:?}");
        }
    }
    let stats = world.stats("r1").await;
    assert_eq!(stats.by_status["failed"]["POST"], 4);
    assert_eq!(stats.by_status["5xx"]["GET"], 2);
    assert_eq!((stats.errors, stats.errors_in_a_row), (16, 1), "{stats:?}");
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let backend = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&backend, 1_000)]).await;
    let mut wire = Wire::to(world.address).await;
    wire.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let got = String::from_utf8(wire.rest().await).unwrap();
    // Nobody can take that for a whole answer.
    assert!(got.is_empty() || got.contains("content-length: 10") && got.ends_with("\r\n\r\nabc"), "{got}");
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.errors, stats.in_flight), (1, 1, 0));
    assert_eq!(backend.seen().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_post_goes_elsewhere_if_its_backend_takes_no_connection() {
    let (one, other) = (Backend::start("one").await, Backend::start("other").await);
    let world = World::start().await;
    world.set(|table| table.routes = vec![route("shop", "/", &[(vec![&one, &other], 1_000)])]).await;
    one.kill().await;
    for number in 0..20 {
        let body = format!("order {number}");
        let answer = Wire::to(world.address).await.post("/echo", &body).await.unwrap();
        assert_eq!((answer.status(), answer.text()), (200, body));
    }
    // One of a size that is not known at first, which is read once.
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(wire::ask(world.address, chunked).await.text(), "abc");
    assert_eq!(other.seen().len(), 21, "each order once");
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.errors), (21, 0));
    assert!(stats.connection_errors >= 1);
    assert_eq!(stats.ejected, [one.address]);
    world.happens(|what| matches!(what, Happening::Ejected { backend, .. } if *backend == one.address)).await;
    // It comes back by itself.
    let again = Backend::at("again", one.address).await;
    world.happens(|what| *what == Happening::Returned { backend: again.address }).await;
    assert_eq!(world.stats("r1").await.ejected, []);
    let names: Vec<_> = [wire::get(world.address, "/").await.text(), wire::get(world.address, "/").await.text()].into();
    assert!(names.contains(&"again".to_owned()), "{names:?}");
    world.end().await;
}

#[tokio::test]
async fn the_share_of_a_colour_that_is_down_goes_to_the_other() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 500), (&green, 500)]).await;
    green.kill().await;
    let mut wire = Wire::to(world.address).await;
    for _ in 0..100 {
        let answer = wire.post("/", "x").await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "blue"));
    }
    let down = world.happens(|what| matches!(what, Happening::ColourDown { .. })).await.what;
    let green_of = |service: &str| (service.to_owned(), "green".to_owned(), "r2".to_owned());
    let (service, colour, revision) = green_of("shop");
    assert_eq!(down, Happening::ColourDown { service, colour, revision });
    // What green could not take tells against green, not against blue.
    let (r1, r2) = (world.stats("r1").await, world.stats("r2").await);
    assert_eq!((r1.requests, r1.errors), (100, 0));
    assert_eq!((r2.requests, r2.errors, r2.errors_in_a_row, r2.diverted), (50, 50, 50, 50));
    // Tests are not sent elsewhere: they would pass.
    assert_eq!(wire::get(world.test, "/").await.status(), 503);
    let green = Backend::at("green", green.address).await;
    world.happens(|what| matches!(what, Happening::ColourUp { .. })).await;
    let mut names: Vec<_> = Vec::new();
    for _ in 0..10 {
        names.push(wire.get("/").await.unwrap().text());
    }
    assert_eq!(names.iter().filter(|name| *name == "green").count(), 5, "{names:?}");
    drop(green);
    world.end().await;
}

#[tokio::test]
async fn nobody_is_left() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    blue.kill().await;
    for _ in 0..3 {
        let answer = wire::get(world.address, "/").await;
        assert_eq!((answer.status(), answer.text().as_str()), (503, "this service cannot be reached now\n"));
    }
    assert_eq!(world.stats("r1").await.errors, 3);
    // Whoever is out is tried all the same before a client is turned away.
    let _blue = Backend::at("blue", blue.address).await;
    assert_eq!(wire::get(world.address, "/").await.text(), "blue");
    world.end().await;
}

#[tokio::test]
async fn a_connection_that_ended_while_nobody_used_it_costs_nothing() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    let mut wire = Wire::to(world.address).await;
    let address = blue.address;
    assert_eq!(wire.post("/", "x").await.unwrap().text(), "blue");
    // It ends all of its connections, and comes back.
    blue.terminate().await;
    let second = Backend::at("second", address).await;
    assert_eq!(wire.post("/", "x").await.unwrap().text(), "second");
    second.kill().await;
    let third = Backend::at("third", address).await;
    assert_eq!(wire.post("/", "x").await.unwrap().text(), "third");
    assert_eq!(wire.get("/last").await.unwrap().text(), "third");
    assert_eq!(wire.post("/", "x").await.unwrap().text(), "third");
    assert_eq!(third.seen().len(), 3);
    world.end().await;
}

#[tokio::test]
async fn silence_has_an_end() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| options.times.answer = Duration::from_millis(100)).await;
    world.shares(&[(&blue, 1_000)]).await;
    assert_eq!(wire::get(world.address, "/never").await.status(), 504);
    assert_eq!(Wire::to(world.address).await.post("/never", "x").await.unwrap().status(), 504);
    assert_eq!(blue.seen().len(), 2, "what may have been received is not sent again");
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.errors, stats.time_outs, stats.in_flight), (2, 2, 2, 0));
    // A client that goes away is nobody's error.
    let mut wire = Wire::to(world.address).await;
    wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    blue.seen_so_many(3).await;
    drop(wire);
    let drained = world.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap();
    assert!(drained.is_drained());
    let stats = world.stats("r1").await;
    assert_eq!((stats.requests, stats.abandoned), (2, 1));
    world.end().await;
}

#[tokio::test]
async fn many_backends_share_the_work() {
    let backends: Vec<_> = [Backend::start("1").await, Backend::start("2").await, Backend::start("3").await].into();
    let world = World::start().await;
    world.set(|table| table.routes = vec![route("shop", "/", &[(backends.iter().collect(), 1_000)])]).await;
    let mut wire = Wire::to(world.address).await;
    for _ in 0..300 {
        wire.get("/").await.unwrap();
    }
    let counts: Vec<_> = backends.iter().map(|backend| backend.seen().len()).collect();
    assert_eq!(counts, [100, 100, 100]);
    world.end().await;
}
