//! What goes wrong, and what is said of it.

use std::ffi::OsString;

use rollout::Call;

use super::weight;
use super::world::{World, docker};
use crate::rollout::{Subject, Target as _};
use crate::target::local::{AlarmSource, DeadBlue, Settings, Starter};

fn mode(mode: &'static str) -> impl Fn(&mut Settings) {
    move |settings| {
        settings.env.insert("MODE".to_owned(), mode.to_owned());
    }
}

/// Starts it and waits until what is wrong is said as expected.
async fn troubled(world: &World, subject: &Subject, expected: &[&str]) -> rollout::Observation {
    world.perform(subject, Call::Preflight).await.unwrap();
    world.perform(subject, Call::StartGreen).await.unwrap();
    let says = |trouble: &String| expected.iter().all(|part| trouble.contains(part));
    world.until(subject, |seen| seen.green.trouble.as_ref().is_some_and(says)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_that_fail() {
    let world = World::new("fail").await;
    let crash = world.subject(1, None, mode("crash"));
    let seen =
        troubled(&world, &crash, &["orders-1-1 ended with exit code 3", "started again", "no DATABASE_URL"]).await;
    assert_eq!((seen.green.healthy, seen.green.wanted), (0, 1));
    world.until(&crash, |seen| seen.green.restarts >= 2).await;
    let kept = world.perform(&crash, Call::StopGreen).await.unwrap();
    let name = format!("{}-orders-1-1", world.environment);
    assert_eq!(kept["exit_codes"][&name], 3);
    assert!(kept["logs"][&name].as_array().unwrap().iter().any(|line| line == "no DATABASE_URL"), "{kept}");
    assert_eq!(world.containers(true), "");

    let gone = async |subject: &Subject| {
        world.perform(subject, Call::StopGreen).await.unwrap();
        assert_eq!(world.containers(true), "");
        assert!(world.look_up(subject, Call::StopGreen).await.is_some());
    };
    let elsewhere = world.subject(2, None, mode("elsewhere"));
    troubled(&world, &elsewhere, &["refused", "nothing listens at port 8080 in it, or only at 127.0.0.1"]).await;
    gone(&elsewhere).await;
    let other_port = world.subject(3, None, |settings| settings.port = 7070);
    troubled(&world, &other_port, &["nothing listens at port 7070", "its image names 8080/tcp: is `port` right?"])
        .await;
    gone(&other_port).await;
    let sick = world.subject(4, None, mode("sick"));
    troubled(&world, &sick, &["is not healthy", "HTTP 404", "mode sick"]).await;
    gone(&sick).await;
    let flapping = world.subject(5, None, |settings| settings.health_path = "/cgi-bin/flap".to_owned());
    let seen = troubled(&world, &flapping, &["HTTP 503: warming up"]).await;
    assert_eq!(seen.green.healthy, 0, "never twice in a row");
    gone(&flapping).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_are_not_there() {
    let world = World::new("image").await;
    let check = async |image: &str, expected: &[&str]| {
        let mut subject = world.subject(1, None, |_| {});
        let plan = rollout::Plan { image: image.to_owned(), ..(*subject.plan).clone() };
        subject.plan = std::sync::Arc::new(plan);
        let error = world.refused(&subject, Call::Preflight, expected).await;
        assert!(!error.is_transient);
    };
    check("pipe-tests/never-made:1", &["is not on this machine", "build it first (`pipe/docker-build`)"]).await;
    check("127.0.0.1:1/never-made:1", &["is not on this machine and cannot be pulled"]).await;
}

/// A monitoring that answers with what is in `alerts`, as Alertmanager does.
fn monitoring(alerts: std::sync::Arc<std::sync::Mutex<&'static str>>) -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
            while !seen.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "it asks to the end");
                seen.extend_from_slice(&piece[..count]);
            }
            let body = *alerts.lock().unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_that_are_on() {
    const ON: &str = r#"[{"labels":{"alertname":"orders-5xx"},"status":{"state":"active"}},
        {"labels":{"alertname":"disk"},"status":{"state":"active"}}]"#;
    let world = World::new("alarm").await;
    let alerts = std::sync::Arc::new(std::sync::Mutex::new("[]"));
    let address = monitoring(std::sync::Arc::clone(&alerts));
    let source = |line: &str| AlarmSource::read(line).unwrap();
    let watch = |settings: &mut Settings| {
        settings.alarms = vec![source(&format!("http://{address}/api/v2/alerts orders-5xx, orders-p95"))];
    };
    let first = world.subject(1, None, watch);
    world.deploy(&first).await;
    assert_eq!(world.local.observe(&first).await.unwrap().alarms, Vec::<String>::new());
    *alerts.lock().unwrap() = ON;
    assert_eq!(world.local.observe(&first).await.unwrap().alarms, ["orders-5xx"], "and not those of others");
    let second = world.subject(2, Some(&first), watch);
    world.refused(&second, Call::Preflight, &["alarms are on: orders-5xx", "`rollback-on`"]).await;
    let mut careless = second.clone();
    let rollback_on = rollout::plan::RollbackOn { alarm: false, ..rollout::plan::RollbackOn::ALL };
    careless.plan = std::sync::Arc::new(rollout::Plan { rollback_on, ..(*second.plan).clone() });
    world.perform(&careless, Call::Preflight).await.unwrap();

    let gone = |settings: &mut Settings| settings.alarms = vec![source("http://127.0.0.1:1/api/v1/alerts")];
    let blind = world.subject(2, Some(&first), gone);
    let error =
        world.refused(&blind, Call::Preflight, &["the alarms of http://127.0.0.1:1/api/v1/alerts", "refused"]).await;
    assert!(error.is_transient, "it may be there again soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_that_do_not_answer() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let program = |script: &str| ["sh", "-c", script].map(OsString::from).to_vec();
    let check = async |name: &str, script: &str, expected: &[&str]| {
        let starter = Starter { program: program(script), ..Starter::default() };
        let world = World::without_proxy(name, starter);
        let subject = world.subject(1, None, |settings| settings.proxy_port = port);
        world.refused(&subject, Call::Preflight, expected).await;
    };
    let who = format!("port {port} is taken by process {} (", std::process::id());
    check("taken", "exit 1", &["cannot be started", &who, "choose another `proxy-port`"]).await;
    drop(taken);
    check(
        "broken",
        "echo no room on the disk >&2; exit 4",
        &["cannot be started", "exit status: 4", "no room on the disk"],
    )
    .await;

    let world = World::new("gone").await;
    let other = world.subject(1, None, |settings| settings.proxy_port = 9);
    world.refused(&other, Call::Preflight, &["listens at port", "not at 9", "stop it first: `kill"]).await;
    let first = world.subject(1, None, |_| {});
    world.deploy(&first).await;
    let socket = world.local.proxy_folder(&world.environment).join("control.sock");
    std::fs::remove_file(&socket).unwrap();
    let error = world.refused(&first, weight(100), &["the proxy does not answer", "proxy.log"]).await;
    assert!(error.is_transient, "the driver tries again");
    let error = world.local.observe(&first).await.unwrap_err();
    assert!(error.words.contains("the proxy does not answer"), "{}", error.words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_dead() {
    let world = World::new("dead").await;
    let first = world.subject(1, None, mode("fine"));
    world.deploy(&first).await;
    let name = format!("{}-orders-1-1", world.environment);
    docker(&["stop", "--time", "0", &name]);
    let second = world.subject(2, Some(&first), |_| {});
    let expected = [
        "what stands (revision 1) is dead",
        "ended with exit code",
        "mode fine",
        "`docker start",
        "`dead-blue: replace`",
    ];
    world.refused(&second, Call::Preflight, &expected).await;
    let replace = |settings: &mut Settings| settings.dead_blue = DeadBlue::Replace;
    let instead = world.subject(2, None, replace);
    assert_eq!(super::found(world.perform(&instead, Call::Preflight).await.unwrap()).blue, None);
    docker(&["rm", &name]);
    world
        .refused(&second, Call::Preflight, &["where none of our containers is", "the table is from another generation"])
        .await;
    world.deploy(&instead).await;
    assert_eq!(world.get("/cgi-bin/version").await, "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_generation() {
    let mut world = World::new("table").await;
    let first = world.subject(1, None, |_| {});
    world.deploy(&first).await;
    let folder = world.local.proxy_folder(&world.environment);
    let client = proxy::client::Client::at(folder.join("control.sock"));
    let empty = proxy::table::Table::default();
    let generation = client.table().await.unwrap().generation;
    client.replace(generation, &empty).await.unwrap();
    let second = world.subject(2, Some(&first), |_| {});
    let expected = ["orders-1-1 (revision 1) of `orders` run", "knows nothing of the service", "`docker rm --force"];
    world.refused(&second, Call::Preflight, &expected).await;
    world.refused(&second, weight(10), &["is not in the proxy's table"]).await;
    world.stop.cancel();
    world.about = None;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_change_the_table_at_once() {
    let world = World::new("both").await;
    let subjects: Vec<_> = (1..=4_u64)
        .map(|number| {
            let mut subject = world.subject(number, None, |settings| settings.route = format!("/s{number}"));
            let plan = rollout::Plan { service: format!("s{number}"), ..(*subject.plan).clone() };
            subject.plan = std::sync::Arc::new(plan);
            subject
        })
        .collect();
    futures_util::future::join_all(subjects.iter().map(|subject| world.deploy(subject))).await;
    let stats = proxy::client::Client::at(world.local.proxy_folder(&world.environment).join("control.sock"));
    let table = stats.table().await.unwrap();
    assert_eq!(table.routes.len(), 4, "{table:?}");
    assert!(table.routes.iter().all(|route| route.colours.len() == 1 && route.colours[0].weight == 1000), "{table:?}");
    let again = world.subject(9, None, |settings| settings.route = "/s1".to_owned());
    world.perform(&again, Call::Preflight).await.unwrap();
    world.refused(&again, Call::StartGreen, &["the route /s1 of the proxy leads to the service `s1` already"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_others_have() {
    let world = World::new("names").await;
    let name = format!("{}-orders-1-1", world.environment);
    docker(&["create", "--name", &name, super::world::image()]);
    let subject = world.subject(1, None, |_| {});
    world.refused(&subject, Call::StartGreen, &["is not of this installation", "docker rename"]).await;
    docker(&["rm", &name]);
}
