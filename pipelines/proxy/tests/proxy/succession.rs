//! One process takes another's place, and one that was killed is followed by another.

use std::sync::Arc;
use std::time::Duration;

use proxy::{StartError, serve};
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::load::Load;
use crate::wire::Wire;
use crate::world::{World, options};

async fn successor(world: &World) -> World {
    let (address, test) = (world.address, world.test);
    World::in_folder(Arc::clone(&world.folder), |options| {
        options.take_over = true;
        options.times.linger = Duration::from_secs(5);
        options.listen = address;
        options.test_listen = Some(test);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_refused_while_one_takes_over() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    // Clients on a busy machine may take a while to use a connection that they have.
    let mut world = World::with(|options| options.times.linger = Duration::from_secs(5)).await;
    world.shares(&[(&blue, 900), (&green, 100)]).await;
    let kept = Load::start(world.address, 8, &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"]);
    // A connection for each request: these are who would be refused.
    let new = Load::start(world.address, 8, &["GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]);
    for round in 0..5 {
        tokio::join!(kept.more(200), new.more(100));
        let next = successor(&world).await;
        let ended = world.running.await.unwrap().unwrap();
        assert!(ended.is_handed_over && ended.cut == 0, "round {round}: {ended:?}");
        world = next;
    }
    tokio::join!(kept.more(200), new.more(100));
    let table = world.client.table().await.unwrap();
    assert_eq!((table.generation, table.routes[0].colours[1].weight), (1, 100));
    for load in [kept, new] {
        let outcome = load.stop().await;
        assert_eq!((outcome.refused, outcome.failed), (0, 0), "{outcome:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_was_counted_goes_on_and_what_is_in_flight_is_waited_for() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let mut wire = Wire::to(world.address).await;
    for _ in 0..10 {
        wire.get("/").await.unwrap();
    }
    wire.get("/error").await.unwrap();
    let mut held = Wire::to(world.address).await;
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    blue.seen_so_many(12).await;
    let process = world.client.stats().await.unwrap().process;
    let next = successor(&world).await;
    let stats = next.client.stats().await.unwrap();
    let r1 = stats.of("shop", "r1").unwrap();
    assert_eq!((&stats.process, r1.requests, r1.errors, r1.errors_in_a_row), (&process, 11, 1, 1));
    assert_eq!(r1.latency.iter().map(|(_, count)| count).sum::<u64>(), 11);
    // The old process still answers one of blue's requests, so blue may not be stopped.
    next.shares(&[(&blue, 0), (&green, 1_000)]).await;
    let left = next.client.drained("shop", "r1", Duration::from_millis(50)).await.unwrap();
    assert!(!left.is_drained());
    blue.release();
    assert_eq!(held.message(true).await.unwrap().unwrap().text(), "blue");
    assert!(next.client.drained("shop", "r1", Duration::from_secs(10)).await.unwrap().is_drained());
    assert!(world.running.await.unwrap().unwrap().is_handed_over);
    next.end().await;
}

#[tokio::test]
async fn a_successor_that_does_not_make_it_changes_nothing() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    world.shares(&[(&blue, 1_000)]).await;
    // It wants another address.
    let mut other = options(world.folder.path());
    other.take_over = true;
    other.listen = "127.0.0.1:1".parse().unwrap();
    let error = serve(other, CancellationToken::new(), |_| panic!("it starts")).await.unwrap_err();
    assert!(matches!(error, StartError::OtherAddress { runs, .. } if runs == world.address), "{error}");
    // It goes away before it says anything.
    drop(tokio::net::UnixStream::connect(world.folder.path().join("hand-over.sock")).await.unwrap());
    let mut wire = Wire::to(world.address).await;
    assert_eq!(wire.get("/").await.unwrap().text(), "blue");
    assert_eq!(world.shares(&[(&blue, 1_000)]).await, 2);
    let next = successor(&world).await;
    assert_eq!(next.client.table().await.unwrap().generation, 2);
    let ended = world.running.await.unwrap().unwrap();
    assert!(ended.is_handed_over);
    next.end().await;
}

#[tokio::test]
async fn tables_are_replaced_by_one_of_the_two() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let client = world.client.clone();
    let writing = tokio::spawn(async move {
        for generation in 1..60 {
            let mut table = client.table().await.unwrap();
            table.routes[0].colours.rotate_left(1);
            assert_eq!(client.replace(generation, &table).await, Ok(generation + 1));
        }
    });
    let mut last = world;
    while !writing.is_finished() {
        let next = successor(&last).await;
        assert!(last.running.await.unwrap().unwrap().is_handed_over);
        last = next;
    }
    writing.await.unwrap();
    assert_eq!(last.client.table().await.unwrap().generation, 60);
    last.end().await;
}

#[tokio::test]
async fn to_take_over_from_nobody_is_to_start() {
    let world = World::with(|options| options.take_over = true).await;
    assert_eq!(world.client.table().await.unwrap().generation, 0);
    assert!(!world.end().await.is_handed_over);
}
