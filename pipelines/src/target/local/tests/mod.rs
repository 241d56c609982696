//! Deployments to the real engine, behind a proxy in this process. They need Docker and a static busybox.

mod bad;
pub(crate) mod world;

use std::time::Instant;

use rollout::fact::Found;
use rollout::{Call, Weight};

use self::world::{World, docker};
use crate::rollout::Target as _;
use crate::target::local::Settings;

fn found(value: serde_json::Value) -> Found {
    serde_json::from_value(value).unwrap()
}

const fn weight(percent: u16) -> Call {
    Call::SetWeight { weight: Weight(percent * 10) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_version_to_the_next_and_back() {
    let world = World::new("next").await;
    let first = world.subject(1, None, |settings| settings.replicas = 2);
    assert_eq!(found(world.perform(&first, Call::Preflight).await.unwrap()), Found::default());
    let begun = Instant::now();
    world.deploy(&first).await;
    println!("deployment of a ready image, 2 containers, healthy twice in a row: {:?}", begun.elapsed());
    assert_eq!(
        (world.get("/cgi-bin/version").await.as_str(), world.containers(true).as_str()),
        ("v1", "orders-1-1 orders-1-2")
    );

    let second = world.subject(2, Some(&first), |_| {});
    assert_eq!(found(world.perform(&second, Call::Preflight).await.unwrap()).blue, second.blue);
    assert_eq!(world.look_up(&second, Call::StartGreen).await, None);
    world.perform(&second, Call::StartGreen).await.unwrap();
    let again = world.perform(&second, Call::StartGreen).await.unwrap();
    assert_eq!(world.look_up(&second, Call::StartGreen).await, Some(again), "made once");
    world.until(&second, |seen| seen.green.healthy == 1 && seen.blue.as_ref().unwrap().healthy == 2).await;
    assert_eq!(world.get("/cgi-bin/version").await, "v1", "nobody sees it yet");
    world.perform(&second, Call::TestTraffic { on: true }).await.unwrap();
    assert_eq!(world.test("/cgi-bin/version").await, "v2", "but tests");
    world.perform(&second, weight(50)).await.unwrap();
    assert!(world.look_up(&second, weight(50)).await.is_some() && world.look_up(&second, weight(49)).await.is_none());
    for _ in 0..20 {
        world.get("/cgi-bin/version").await;
    }
    let seen = world.local.observe(&second).await.unwrap();
    let (blue, green) = (seen.blue.unwrap(), seen.green);
    assert_eq!(
        (seen.weight, green.counters.requests, blue.counters.requests),
        (Some(Weight(500)), 10, 11),
        "of this rollout"
    );
    world
        .refused(&second, Call::StopGreen, &["revision 2 of `orders` has 50 % of the traffic", "is not stopped"])
        .await;
    world.refused(&second, Call::StopBlue, &["revision 1 of `orders` has 50 % of the traffic"]).await;
    world.perform(&second, weight(100)).await.unwrap();
    world.perform(&second, Call::MakePrimary).await.unwrap();
    assert_eq!(world.get("/cgi-bin/version").await, "v2");

    // Back with the old one warm: weights only.
    let mut back = world.subject(3, Some(&second), |settings| settings.replicas = 2);
    let mut plan = (*back.plan).clone();
    (plan.rollback_of, plan.reuse) = (Some(2), Some(first.green.clone()));
    back.plan = std::sync::Arc::new(plan);
    let begun = Instant::now();
    assert!(found(world.perform(&back, Call::Preflight).await.unwrap()).green_is_warm);
    back.green = first.green.clone();
    // Nothing is started; what is looked at for its health is not in the table yet.
    assert_eq!(world.local.observe(&back).await.unwrap().green.healthy, 2, "believed at once");
    world.perform(&back, weight(100)).await.unwrap();
    let took = begun.elapsed();
    println!("back with blue warm: {took:?}");
    assert_eq!(world.get("/cgi-bin/version").await, "v1");
    let seen = world.local.observe(&back).await.unwrap();
    assert_eq!((seen.green.healthy, seen.green.counters.requests), (2, 1), "counted from 0");
    world.perform(&back, Call::MakePrimary).await.unwrap();
    assert_eq!(world.perform(&back, Call::StopBlue).await.unwrap()["cut"], 0);
    assert_eq!(
        (world.containers(false).as_str(), world.get("/cgi-bin/version").await.as_str()),
        ("orders-1-1 orders-1-2", "v1")
    );
    // What was stopped stays until the next one is, so that it can be started again.
    assert!(world.containers(true).contains("orders-2-1"));
    world.refused(&back, Call::StopGreen, &["100 % of the traffic"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_start_of_the_machine_addresses_are_the_same() {
    let mut world = World::new("machine").await;
    let first = world.subject(1, None, |settings| settings.replicas = 2);
    world.deploy(&first).await;
    let names = ["1", "2"].map(|number| format!("{}-orders-1-{number}", world.environment));
    let addresses = || {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{.HostConfig.RestartPolicy.Name}}";
        docker(&["inspect", "--format", format, &names[0], &names[1]])
    };
    let before = addresses();
    assert!(before.lines().all(|line| line.ends_with(" unless-stopped")), "{before}");
    // As the engine does at its start: all stopped, then started in another order; the proxy reads its table again.
    world.stop.cancel();
    docker(&["kill", &names[0], &names[1]]);
    docker(&["start", &names[1]]);
    docker(&["start", &names[0]]);
    let socket = world.local.proxy_folder(&world.environment).join("control.sock");
    while proxy::client::Client::at(&socket).about().await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.begin_proxy().await;
    assert_eq!(addresses(), before);
    world.until(&first, |seen| seen.green.healthy == 2).await;
    for _ in 0..4 {
        assert_eq!(world.get("/cgi-bin/version").await, "v1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_containers_only() {
    let world = World::new("secrets").await;
    let values = std::collections::BTreeMap::from([("TOKEN".to_owned(), "hush-hush-1".to_owned())]);
    let digest = world.local.digest(&values).unwrap();
    let with = |settings: &mut Settings| {
        settings.secrets = vec!["TOKEN".to_owned()];
        settings.secrets_digest = digest.clone();
        settings.env.insert("MODE".to_owned(), "sick".to_owned());
    };
    let first = world.subject(1, None, with);
    let error = world.refused(&first, Call::StartGreen, &["the values of TOKEN are not known to this process"]).await;
    assert!(error.is_transient, "the step may come back");
    let held = world.local.hold(&digest, values);
    world.perform(&first, Call::StartGreen).await.unwrap();
    drop(held);
    let seen =
        world.until(&first, |seen| seen.green.trouble.as_ref().is_some_and(|trouble| trouble.contains("mode"))).await;
    let trouble = seen.green.trouble.unwrap();
    assert!(trouble.contains("mode sick, token ***") && !trouble.contains("hush"), "{trouble}");
    let name = format!("{}-orders-1-1", world.environment);
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", &name]);
    assert!(labels.contains("TOKEN") && !labels.contains("hush"), "{labels}");
    assert!(!serde_json::to_string(&*first.plan).unwrap().contains("hush"));
    // A process that was started since finds them in a container that has the same ones.
    let second = world.subject(2, None, with);
    world.perform(&second, Call::StartGreen).await.unwrap();
    let env = docker(&["inspect", "--format", "{{json .Config.Env}}", &format!("{}-orders-2-1", world.environment)]);
    assert!(env.contains("TOKEN=hush-hush-1"), "{env}");
}
