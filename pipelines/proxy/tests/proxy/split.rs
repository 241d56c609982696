//! Who gets how many: exactly what the table says, from the first request after it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxy::options::Threads;
use proxy::table::Affinity;

use crate::backend::Backend;
use crate::wire::{self, Wire};
use crate::world::{World, route};

/// A thousand requests over eight connections at once; how many each backend answered.
async fn thousand(world: &World) -> BTreeMap<String, usize> {
    let counts = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, counts) = (world.address, Arc::clone(&counts));
            tokio::spawn(async move {
                let mut wire = Wire::to(address).await;
                for _ in 0..125 {
                    let answer = wire.get("/").await.unwrap();
                    *counts.lock().unwrap().entry(answer.text()).or_default() += 1;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    Arc::into_inner(counts).unwrap().into_inner().unwrap()
}

#[tokio::test]
async fn a_thousand_requests_are_split_exactly_at_every_step() {
    for threads in [Threads::EachItsOwn(2), Threads::Shared(2)] {
        let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
        let world = World::with(|options| options.threads = threads).await;
        for weight in [0, 100, 500, 1_000, 10, 0] {
            world.shares(&[(&blue, 1_000 - weight), (&green, weight)]).await;
            let counts = thousand(&world).await;
            let of = |name: &str| counts.get(name).copied().unwrap_or(0);
            let expected = (usize::from(1_000 - weight), usize::from(weight));
            assert_eq!((of("blue"), of("green")), expected, "at {weight}, {threads:?}");
        }
        let (r1, r2) = (world.stats("r1").await, world.stats("r2").await);
        assert_eq!((r1.requests + r2.requests, r1.errors, r2.errors), (6_000, 0, 0));
        assert_eq!(r2.requests, 1_610);
        assert_eq!(r2.latency.iter().map(|(_, count)| count).sum::<u64>(), 1_610);
        assert_eq!((r2.colour.as_deref(), r2.weight), (Some("green"), 0));
        world.end().await;
    }
}

#[tokio::test]
async fn a_new_weight_counts_from_the_next_request_on() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    let mut wire = None;
    for round in 0..20 {
        let weight = if round % 2 == 0 { 0 } else { 1_000 };
        world.shares(&[(&blue, 1_000 - weight), (&green, weight)]).await;
        let wire: &mut Wire = match &mut wire {
            Some(wire) => wire,
            none => none.insert(Wire::to(world.address).await),
        };
        assert_eq!(wire.get("/").await.unwrap().text(), if weight == 0 { "blue" } else { "green" }, "round {round}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_client_with_a_cookie_or_header_keeps_its_colour() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    for (affinity, header) in
        [(Affinity::Cookie("id".to_owned()), "Cookie: a=b; id="), (Affinity::Header("X-User".to_owned()), "X-User: ")]
    {
        let mut colours: Vec<BTreeMap<u32, String>> = Vec::new();
        for weight in [300, 600] {
            world
                .set(|table| {
                    let mut shop = route("shop", "/", &[(vec![&blue], 1_000 - weight), (vec![&green], weight)]);
                    shop.affinity = affinity.clone();
                    table.routes = vec![shop];
                })
                .await;
            for _ in 0..2 {
                let mut of_round = BTreeMap::new();
                let mut wire = Wire::to(world.address).await;
                for user in 0..100 {
                    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}{user}\r\n\r\n");
                    of_round.insert(user, wire.ask(&request).await.unwrap().text());
                }
                colours.push(of_round);
            }
        }
        assert_eq!(colours[0], colours[1]);
        assert_eq!(colours[2], colours[3]);
        let green =
            |round: usize| colours[round].iter().filter(|(_, colour)| *colour == "green").map(|(user, _)| *user);
        let (before, after): (Vec<_>, Vec<_>) = (green(0).collect(), green(2).collect());
        assert!(before.iter().all(|user| after.contains(user)), "nobody goes back as green grows");
        assert!((15..45).contains(&before.len()) && (45..75).contains(&after.len()), "{before:?} {after:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn tests_reach_green_before_users_do_and_are_counted_apart() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let with = |colour: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Pipe-Color: {colour}\r\n\r\n");
    let answer = wire::get(world.test, "/").await;
    assert_eq!((answer.text().as_str(), answer.header("x-pipe-revision")), ("green", Some("r2")));
    assert_eq!(wire::ask(world.address, &with("green")).await.text(), "green");
    assert_eq!(wire::ask(world.address, &with("blue")).await.header("x-pipe-color"), Some("blue"));
    assert_eq!(wire::ask(world.test, &with("blue")).await.text(), "blue");
    assert_eq!(wire::ask(world.address, &with("red")).await.status(), 404);
    let answer = wire::get(world.address, "/").await;
    assert_eq!((answer.text().as_str(), answer.header("x-pipe-color")), ("blue", None));
    let (r1, r2) = (world.stats("r1").await, world.stats("r2").await);
    assert_eq!((r1.requests, r1.test_requests), (1, 2));
    assert_eq!((r2.requests, r2.test_requests), (0, 2));
    // Without a colour for tests, green is out of everybody's reach.
    world.set(|table| table.routes[0].test = None).await;
    assert_eq!(wire::get(world.test, "/").await.status(), 404);
    assert_eq!(wire::ask(world.address, &with("green")).await.status(), 404);
    world.end().await;
}

#[tokio::test]
async fn the_path_decides_which_service() {
    let (frontend, orders) = (Backend::start("frontend").await, Backend::start("orders").await);
    let world = World::start().await;
    world
        .set(|table| {
            let mut below = route("orders", "/orders", &[(vec![&orders], 1_000)]);
            below.strip = true;
            table.routes = vec![route("frontend", "/", &[(vec![&frontend], 1_000)]), below];
        })
        .await;
    for (path, name, target) in [
        ("/orders/1?a=b", "orders", "/1?a=b"),
        ("/orders", "orders", "/"),
        ("/ordersx", "frontend", "/ordersx"),
        ("http://shop/orders/2", "orders", "/2"),
    ] {
        assert_eq!(wire::get(world.address, path).await.text(), name, "{path}");
        let backend = if name == "orders" { &orders } else { &frontend };
        let seen = backend.seen().last().unwrap().first.clone();
        assert_eq!(seen, format!("GET {target} HTTP/1.1"));
    }
    world.set(|table| table.routes.retain(|route| route.path != "/")).await;
    assert_eq!(wire::get(world.address, "/x").await.status(), 404);
    world.set(|table| table.routes[0].colours[0].weight = 0).await;
    assert_eq!(wire::get(world.address, "/orders").await.status(), 503);
    world.end().await;
}
