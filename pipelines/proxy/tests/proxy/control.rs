//! Tables: replaced only by who knows what stands, kept before anybody is told, the same after a kill.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Instant;

use proxy::client::{AskError, Client, ReplaceError};
use proxy::event::Happening;
use proxy::table::Table;
use proxy::{Options, StartError};
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::wire;
use crate::world::{World, options, route};

#[tokio::test]
async fn a_table_is_replaced_by_who_knows_what_stands() {
    let blue = Backend::start("blue").await;
    let world = World::start().await;
    let client = &world.client;
    assert_eq!(client.table().await.unwrap(), Table::default());
    assert_eq!(wire::get(world.address, "/").await.status(), 404);
    let table = Table { generation: 77, routes: vec![route("shop", "/", &[(vec![&blue], 1_000)])] };
    assert_eq!(client.replace(0, &table).await, Ok(1));
    assert_eq!(client.replace(0, &table).await, Err(ReplaceError::Conflict { current: 1 }));
    assert_eq!(client.replace(2, &table).await, Err(ReplaceError::Conflict { current: 1 }));
    let mut bad = table.clone();
    bad.routes[0].colours[0].weight = 999;
    let Err(ReplaceError::Refused(reason)) = client.replace(1, &bad).await else { panic!("it is refused") };
    assert_eq!(reason, "service `shop`: its weights are 999 together, not 1000 (or all 0)");
    assert_eq!(client.table().await.unwrap(), Table { generation: 1, ..table.clone() });
    // Of many at once, one wins.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, table) = (client.clone(), table.clone());
            tokio::spawn(async move { client.replace(1, &table).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(2) => won += 1,
            other => assert_eq!(other, Err(ReplaceError::Conflict { current: 2 })),
        }
    }
    assert_eq!(won, 1);
    world.happens(|what| *what == Happening::TableReplaced { generation: 2 }).await;
    let about = client.about().await.unwrap();
    assert_eq!((about.listen, about.test_listen, about.generation), (world.address, Some(world.test), 2));
    let socket = std::fs::metadata(client.socket()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let client = client.clone();
    world.end().await;
    assert!(matches!(client.table().await, Err(AskError::Unreachable(_))));
    assert!(matches!(client.replace(2, &table).await, Err(ReplaceError::Unreachable(_))));
}

#[tokio::test]
async fn a_full_disk_leaves_what_stands() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let new = world.folder.path().join("table.2.json");
    std::os::unix::fs::symlink("/dev/full", &new).unwrap();
    let mut table = world.client.table().await.unwrap();
    table.routes[0].colours[0].weight = 0;
    table.routes[0].colours[1].weight = 1_000;
    let Err(ReplaceError::NotKept(reason)) = world.client.replace(1, &table).await else { panic!("it is refused") };
    assert!(reason.contains("the old one stands") && reason.contains("No space left"), "{reason}");
    assert_eq!(world.client.table().await.unwrap().generation, 1);
    assert_eq!(wire::get(world.address, "/").await.text(), "blue");
    assert!(!new.is_symlink(), "what may be half of a table is gone");
    assert_eq!(world.client.replace(1, &table).await, Ok(2));
    assert_eq!(wire::get(world.address, "/").await.text(), "green");
    world.end().await;
}

#[tokio::test]
async fn a_start_goes_on_with_the_table_that_was_kept_last() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let world = World::in_folder(Arc::clone(&folder), |_| {}).await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    world.shares(&[(&blue, 100), (&green, 900)]).await;
    let table = world.client.table().await.unwrap();
    world.end().await;
    let world = World::in_folder(Arc::clone(&folder), |_| {}).await;
    assert_eq!(world.client.table().await.unwrap(), table);
    assert_eq!(world.client.replace(1, &table).await, Err(ReplaceError::Conflict { current: 2 }));
    world.end().await;
    // What is not a whole table is said, and nothing is opened.
    for name in ["table.json", "table.2.json"] {
        std::fs::write(folder.path().join(name), "{\"format\":").unwrap();
    }
    let started = proxy::serve(options(folder.path()), CancellationToken::new(), |_| panic!("it starts")).await;
    assert!(
        matches!(&started, Err(StartError::Table(error)) if error.to_string().contains("table.2.json")),
        "{started:?}"
    );
}

#[tokio::test]
async fn a_folder_has_one_proxy_and_an_address_too() {
    let world = World::start().await;
    let refused =
        |options: Options| async { proxy::serve(options, CancellationToken::new(), |_| {}).await.unwrap_err() };
    let error = refused(options(world.folder.path())).await.to_string();
    assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    let other = tempfile::tempdir().unwrap();
    let mut taken = options(other.path());
    taken.listen = world.address;
    let error = refused(taken).await;
    assert!(matches!(error, StartError::Listen(address, _) if address == world.address), "{error}");
    world.end().await;
}

#[tokio::test]
async fn counters_are_told_to_prometheus() {
    let blue = Backend::start("blue").await;
    let world = World::with(|options| options.metrics_on_test_port = true).await;
    world.shares(&[(&blue, 1_000)]).await;
    wire::get(world.address, "/").await;
    wire::get(world.address, "/error").await;
    for text in [world.client.metrics().await.unwrap(), wire::get(world.test, "/metrics").await.text()] {
        for line in [
            r#"pipe_proxy_requests_total{service="shop",revision="r1",colour="blue",class="2xx",method="GET"} 1"#,
            r#"pipe_proxy_errors_total{service="shop",revision="r1",colour="blue"} 1"#,
            r#"pipe_proxy_weight{service="shop",revision="r1",colour="blue"} 1000"#,
            "pipe_proxy_generation 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        }
    }
    assert_eq!(wire::get(world.address, "/metrics").await.text(), "blue", "users' door leads to the service");
    world.end().await;
}

#[tokio::test]
async fn a_weight_is_changed_in_a_moment() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::start().await;
    world.shares(&[(&blue, 1_000), (&green, 0)]).await;
    let mut times: Vec<_> = Vec::new();
    let mut table = world.client.table().await.unwrap();
    for round in 0..21 {
        let green = if round % 2 == 0 { 100 } else { 500 };
        table.routes[0].colours[0].weight = 1_000 - green;
        table.routes[0].colours[1].weight = green;
        let begun = Instant::now();
        table.generation = world.client.replace(table.generation, &table).await.unwrap();
        times.push(begun.elapsed());
    }
    times.sort();
    // What it takes is measured by `benches`; here only that nothing waits for a timer.
    assert!(times[10].as_millis() < 100, "{times:?}");
    world.end().await;
}

#[tokio::test]
async fn a_folder_may_lie_deep() {
    let base = tempfile::tempdir().unwrap();
    let deep = base.path().join("a".repeat(60)).join("b".repeat(60));
    let stop = CancellationToken::new();
    let (tell, ready) = tokio::sync::oneshot::channel();
    let running = tokio::spawn(proxy::serve(options(&deep), stop.clone(), |_| tell.send(()).unwrap()));
    ready.await.unwrap();
    assert_eq!(std::fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
    let client = Client::at(deep.join("control.sock"));
    assert_eq!(client.table().await.unwrap(), Table::default());
    stop.cancel();
    running.await.unwrap().unwrap();
}
