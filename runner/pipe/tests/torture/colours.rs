//! The proxy is killed in the middle of a shift, and while nothing goes on; green is killed while it has half of the traffic; the
//! disk of the proxy's table is full for a while. Users notice as little as can be.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value as Json;

use crate::image::{docker, image};
use crate::load::{Load, get};
use crate::server::{is_there, wait_for};
use crate::stage::{Proxy, Stage};
use crate::world::docker_works;

const SERVICE: &str = "shop";
const USERS: usize = 6;

fn works() -> bool {
    docker_works() && image().is_some()
}

/// Colours of the service: name and weight.
fn colours(stage: &Stage) -> Vec<String> {
    let table = stage.table();
    let route = table["routes"].as_array().into_iter().flatten().find(|route| route["service"] == SERVICE);
    let colours = route.and_then(|route| route["colours"].as_array()).into_iter().flatten();
    colours.map(|colour| format!("{} {}", colour["name"].as_str().unwrap(), colour["weight"])).collect()
}

fn path(what: &str) -> String {
    format!("/{SERVICE}/{what}")
}

/// Deploys `v1`, then `v2` as far as half of the traffic; the run.
fn half(stage: &Stage, more: &str) -> u64 {
    stage.watch.begin(SERVICE, None);
    let run = stage.push(&stage.workflow(SERVICE, more));
    let mut looks = 0;
    wait_for("half of the traffic", || {
        looks += 1;
        assert!(looks % 50 != 0 || !stage.world.is_over(run, "deploy"), "it ended before: {}", stage.log(run));
        colours(stage) == ["blue 500", "green 500"]
    });
    run
}

/// The end of the rollout and of its run.
fn end(stage: &Stage, run: u64) -> Json {
    wait_for("the rollout to end", || stage.ledger.newest(SERVICE).is_some_and(|(state, _)| state == "closed"));
    assert!(stage.world.watch(run, || false));
    assert_eq!(stage.ledger.holder(SERVICE), None);
    stage.ledger.newest(SERVICE).unwrap().1
}

#[test]
fn the_proxy_is_killed_in_the_middle_of_a_shift() {
    if !works() {
        return;
    }
    let stage = Stage::new(Proxy::StartedByDeployment);
    let run = half(&stage, "steps: |\n  - { weight: 50, for: 3s }\n  - { weight: 100 }\n");
    let port = stage.ports[0];
    let pid = |status: &Json| Pid::from_raw(status["about"]["pid"].as_i64().unwrap().try_into().unwrap());
    let killed = |what: &str| {
        let before = stage.status();
        let load = Load::begin(port, &path("health"), USERS);
        wait_for("requests", || load.done() > 20);
        let begun = Instant::now();
        kill(pid(&before), Signal::SIGKILL).unwrap();
        wait_for("the proxy to be gone", || !is_there(pid(&before)));
        wait_for("the proxy to be back", || get(port, &path("health")).is_ok());
        let back = Instant::now();
        let done = load.done();
        wait_for("more requests", || load.done() > done + 20);
        let (asked, wrong) = load.end();
        let after = stage.status();
        println!("{what}: back after {:?}; {asked} requests, {} went wrong", back - begun, wrong.len());
        assert!(wrong.iter().all(|wrong| wrong.ended >= begun && wrong.begun <= back), "{wrong:?}");
        assert_ne!(pid(&before), pid(&after));
        (before["about"]["generation"].clone(), after["about"]["generation"].clone())
    };
    let (before, after) = killed("in the middle of a shift");
    // The table that stood stands; the shift may have gone on since.
    assert!(after.as_u64() >= before.as_u64(), "{after} {before}");
    let view = end(&stage, run);
    assert_eq!(view["outcome"], "succeeded", "{view}");
    assert_eq!(
        (colours(&stage), get(port, &path("cgi-bin/version"))),
        (vec!["blue 1000".to_owned()], Ok("v2".to_owned()))
    );
    let (before, after) = killed("while nothing goes on");
    assert_eq!(before, after);
}

#[test]
fn green_is_killed_while_it_has_half_of_the_traffic() {
    if !works() {
        return;
    }
    let stage = Stage::new(Proxy::StartedByDeployment);
    let run = half(&stage, "steps: |\n  - { weight: 50, for: 4s }\n  - { weight: 100 }\n");
    let load = Load::begin(stage.ports[0], &path("cgi-bin/slow"), USERS);
    wait_for("requests", || load.done() > 20);
    let containers = stage.containers(SERVICE);
    let green = containers.last().map(|(name, _)| name.clone()).unwrap();
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &green]);
    let pid = Pid::from_raw(pid.parse().unwrap());
    assert!(is_there(pid), "the container engine is on another machine");
    let begun = Instant::now();
    kill(pid, Signal::SIGKILL).unwrap();
    wait_for("green to be gone", || !is_there(pid));
    let gone = Instant::now();
    let view = end(&stage, run);
    let (asked, wrong) = load.end();
    println!("{asked} requests, {} of {USERS} that were in flight went wrong; {}", wrong.len(), view["words"]);
    assert!(wrong.len() <= USERS, "{wrong:?}");
    assert!(wrong.iter().all(|wrong| wrong.begun <= gone && wrong.ended >= begun), "{wrong:?}");
    let (version, outcome) = (get(stage.ports[0], &path("cgi-bin/version")), view["outcome"].as_str().unwrap());
    let expected = match outcome {
        // It was started again, was healthy in time, and went on.
        "succeeded" => "v2",
        "rolled-back" => "v1",
        outcome => panic!("{outcome}: {view}"),
    };
    assert_eq!((version.as_deref(), colours(&stage)), (Ok(expected), vec!["blue 1000".to_owned()]));
}

#[test]
fn the_disk_of_the_table_is_full_for_a_while() {
    if !works() {
        return;
    }
    let Some((stage, small)) = Stage::on_small_disk() else { return };
    let run = half(&stage, "steps: |\n  - { weight: 50, for: 3s }\n  - { weight: 100 }\n");
    // A table is written over the last but one. Without that file it needs room.
    let files = ["table.json", "table.2.json"].map(|name| stage.folder().join(name));
    let next = files.iter().min_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap());
    std::fs::remove_file(next.unwrap()).unwrap();
    let generation = |stage: &Stage| stage.table()["generation"].clone();
    let (before, filling) = (generation(&stage), small.fill());
    let load = Load::begin(stage.ports[0], &path("health"), USERS);
    wait_for("a table that could not be kept", || stage.watch.refused() >= 2);
    assert_eq!((generation(&stage), colours(&stage)), (before, vec!["blue 500".to_owned(), "green 500".to_owned()]));
    std::fs::remove_file(filling).unwrap();
    let view = end(&stage, run);
    assert_eq!((view["outcome"].as_str(), colours(&stage)), (Some("succeeded"), vec!["blue 1000".to_owned()]));
    let (asked, wrong) = load.end();
    assert!(asked > 0 && wrong.is_empty(), "{wrong:?}");
    let log = stage.world.server_log();
    assert!(log.contains("the proxy cannot keep the table") && log.contains("make room in"), "{log}");
}
