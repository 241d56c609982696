//! Traffic goes over to green under load, and nobody notices.

use std::time::Duration;

use crate::backend::Backend;
use crate::load::Load;
use crate::wire::Wire;
use crate::world::World;

const MIX: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_fails_while_green_takes_over_and_blue_is_ended() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let load = Load::start(world.address, 16, MIX);
    for weight in [100, 500, 1_000] {
        load.more(500).await;
        world.shares(&[(&blue, 1_000 - weight), (&green, weight)]).await;
    }
    let drained = world.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap();
    assert!(drained.is_drained(), "{drained:?}");
    let before = blue.seen().len();
    blue.terminate().await;
    load.more(500).await;
    let outcome = load.stop().await;
    assert_eq!((outcome.failed, outcome.refused), (0, 0), "{outcome:?}");
    assert_eq!(blue.seen().len(), before, "nothing came after it was drained");
    let (r1, r2) = (world.stats("r1").await, world.stats("r2").await);
    assert_eq!((r1.errors, r2.errors), (0, 0));
    assert_eq!(r1.requests + r2.requests, outcome.done);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_in_flight_fails_when_green_is_killed() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 500), (&green, 500)]).await;
    let clients = 8;
    let gets = Load::start(world.address, clients, &["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    let posts = Load::start(world.address, clients, &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"]);
    tokio::join!(gets.more(300), posts.more(300));
    green.kill().await;
    tokio::join!(gets.more(300), posts.more(300));
    let (gets, posts) = (gets.stop().await, posts.stop().await);
    assert_eq!((gets.failed, gets.refused), (0, 0), "{gets:?}");
    assert!(posts.failed <= clients as u64 && posts.refused == 0, "{posts:?}");
    let orders = |backend: &Backend| backend.seen().iter().filter(|one| one.first.starts_with("POST")).count() as u64;
    let received = orders(&blue) + orders(&green);
    assert!(received <= posts.done && received >= posts.done - posts.failed, "{received} of {posts:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_received_once_each_when_green_is_killed() {
    const EACH: usize = 150;
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 500), (&green, 500)]).await;
    let address = world.address;
    let clients: Vec<_> = (0..6)
        .map(|client| {
            tokio::spawn(async move {
                let (mut wire, mut failed) = (Wire::to(address).await, Vec::new());
                for number in 0..EACH {
                    let path = format!("/order-{client}-{number}-");
                    let answered = wire.post(&path, "abc").await;
                    if !answered.as_ref().is_ok_and(|answer| answer.status() == 200) {
                        failed.push(path);
                        wire = Wire::to(address).await;
                    }
                }
                failed
            })
        })
        .collect();
    // In the middle of it.
    green.seen_so_many(EACH).await;
    green.kill().await;
    let mut failed = Vec::new();
    for client in clients {
        let of_client = client.await.unwrap();
        assert!(of_client.len() <= 1, "only what is in flight fails: {of_client:?}");
        failed.extend(of_client);
    }
    let seen: Vec<String> = [&blue, &green].into_iter().flat_map(Backend::seen).map(|one| one.first).collect();
    for (client, number) in (0..6).flat_map(|client| (0..EACH).map(move |number| (client, number))) {
        let path = format!("/order-{client}-{number}-");
        let count = seen.iter().filter(|first| first.contains(&path)).count();
        // What failed may have been received or not; nothing was sent again.
        assert!(count == 1 || count == 0 && failed.contains(&path), "{path} was received {count} times");
    }
    world.end().await;
}

#[tokio::test]
async fn drained_waits_for_what_is_in_flight_and_says_what_is_left() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let address = world.address;
    let held: Vec<_> = (0..3)
        .map(|_| tokio::spawn(async move { Wire::to(address).await.get("/hold").await.unwrap().text() }))
        .collect();
    blue.seen_so_many(3).await;
    world.shares(&[(&blue, 0), (&green, 1_000)]).await;
    let left = world.client.drained("shop", "r1", Duration::from_millis(20)).await.unwrap();
    assert_eq!((left.in_flight, left.is_drained()), (3, false));
    let waiting = world.client.drained("shop", "r1", Duration::from_secs(10));
    let (drained, ()) = tokio::join!(waiting, async { blue.release() });
    assert!(drained.unwrap().is_drained());
    for one in held {
        assert_eq!(one.await.unwrap(), "blue");
    }
    assert!(world.client.drained("shop", "unknown", Duration::ZERO).await.unwrap().is_drained());
    world.end().await;
}

#[tokio::test]
async fn the_end_waits_for_requests_but_not_for_ever() {
    let blue = Backend::start("blue").await;
    for patience in [Duration::from_secs(10), Duration::from_millis(200)] {
        let world = World::with(|options| options.times.drain = patience).await;
        world.shares(&[(&blue, 1_000)]).await;
        let (before, address) = (blue.seen().len(), world.address);
        let mut held = Wire::to(address).await;
        held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut idle = Wire::to(address).await;
        idle.get("/").await.unwrap();
        blue.seen_so_many(before + 2).await;
        world.stop.cancel();
        if patience < Duration::from_secs(1) {
            let ended = world.running.await.unwrap().unwrap();
            assert_eq!((ended.is_handed_over, ended.cut), (false, 1));
            continue;
        }
        // Who has a connection still gets an answer, and is told to come no more.
        let late = idle.get("/").await.unwrap();
        assert_eq!((late.status(), late.header("connection")), (200, Some("close")));
        blue.release();
        assert_eq!(held.message(true).await.unwrap().unwrap().text(), "blue");
        let ended = world.running.await.unwrap().unwrap();
        assert_eq!((ended.is_handed_over, ended.cut), (false, 0));
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
        // Closed again for the next round.
        blue.hold();
    }
}
