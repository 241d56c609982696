//! Containers that are made ahead: taken once, by a job that fits, and never left.

use std::path::Path;
use std::time::Duration;

use engine::placement::{
    JobIdentity, JobSpec, LeftoverFilter, Mount, Placement as _, RunDirectory, TransportChoice, WarmPlacement,
    WarmSettings,
};

use crate::world::{World, ok};

async fn placement(world: &World) -> WarmPlacement {
    let folder = world.folder.path().join("ahead");
    let mut settings = world.settings(TransportChoice::Socket);
    settings.claims = Some(folder.join("claims"));
    settings.isolate = true;
    crate::world::image();
    let docker = engine::placement::DockerPlacement::connect(settings).await.unwrap();
    let sockets = world.folder.path().join("sockets");
    let settings = WarmSettings { folder, sockets, each: 1, all: 4, idle: Duration::from_secs(600) };
    WarmPlacement::new(docker, settings)
}

/// A job with folders of its own.
fn job(world: &World, run: &str, trust: &'static str) -> JobSpec {
    let root = world.folder.path().join(run);
    let (host, workspace) = (root.join("run"), root.join("workspace"));
    for folder in [&host, &workspace.join("_home")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(workspace.join("seen"), run).unwrap();
    let mount = |host: &Path, inside: &str| Mount { host: host.into(), inside: inside.into(), read_only: false };
    JobSpec {
        identity: JobIdentity { run: run.into(), job: "build".into(), attempt: 1 },
        env: indexmap::IndexMap::new(),
        run_directory: RunDirectory { host, inside: "/__pipe".into() },
        mounts: vec![mount(&workspace, "/work"), mount(&workspace.join("_home"), "/home/me")],
        trust: Some(trust),
        ..world.spec()
    }
}

/// Waits until so many wait for a job.
async fn ready(placement: &WarmPlacement, count: usize) {
    for _ in 0..6_000 {
        if placement.count() == (count, 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} in place of {count}", placement.count());
}

async fn ids_of(placement: &WarmPlacement, run: &str) -> Vec<String> {
    let ours = placement.ours().await.unwrap();
    ours.into_iter().filter(|it| it.run == run).map(|it| it.id).collect()
}

#[tokio::test]
async fn taken_once_by_one_job_of_its_trust() {
    let world = World::new();
    let placement = placement(&world).await;
    let first = world.start(&placement, job(&world, "1", "trusted")).await.unwrap();
    ready(&placement, 1).await;
    let ahead = ids_of(&placement, "ahead").await;
    assert_eq!(ahead.len(), 1);

    let fork = world.start(&placement, job(&world, "2", "fork")).await.unwrap();
    assert_ne!(fork.facts().container_id.as_ref(), ahead.first(), "another trust");
    ready(&placement, 2).await;

    let spec = job(&world, "3", "trusted");
    let taker = world.start(&placement, spec).await.unwrap();
    assert_eq!(taker.facts().container_id.as_ref(), ahead.first());
    assert_eq!(ids_of(&placement, "3").await, ahead, "it is known whose it is");
    assert_eq!(ok(&*taker, "cat /work/seen; touch /home/me/made /__pipe/here").await, "3");
    let root = world.folder.path().join("3");
    assert!(root.join("workspace/_home/made").exists() && root.join("run/here").exists(), "the same folders");

    let another = world.start(&placement, JobSpec { options: "--cpus 1".into(), ..job(&world, "4", "trusted") });
    let another = another.await.unwrap();
    assert_ne!(another.facts().container_id.as_ref(), ahead.first());
    ready(&placement, 3).await;

    placement.remove_leftovers(LeftoverFilter::Run("3".into())).await.unwrap();
    assert!(ids_of(&placement, "3").await.is_empty());
    for job in [first, fork, another, taker] {
        job.stop().await.unwrap();
    }
    placement.close().await;
    let left = std::fs::read_dir(world.folder.path().join("ahead")).unwrap().flatten().map(|entry| entry.file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["claims"]);
    world.assert_clean();
}

#[tokio::test]
async fn a_job_that_is_expected_finds_one() {
    let world = World::new();
    let placement = placement(&world).await;
    let mut expected = job(&world, "1", "trusted");
    expected.run_directory.host = "/nowhere".into();
    placement.expect(expected).await;
    // One for it, and one as for every image in use.
    ready(&placement, 2).await;
    let ahead = ids_of(&placement, "ahead").await;
    let job = world.start(&placement, job(&world, "1", "trusted")).await.unwrap();
    assert!(ahead.contains(job.facts().container_id.as_ref().unwrap()));
    job.stop().await.unwrap();
    placement.close().await;
    world.assert_clean();
}

#[tokio::test]
async fn a_killed_server_leaves_none() {
    let world = World::new();
    let killed = placement(&world).await;
    world.start(&killed, job(&world, "1", "trusted")).await.unwrap().stop().await.unwrap();
    ready(&killed, 1).await;
    let taker = world.start(&killed, job(&world, "2", "trusted")).await.unwrap();
    let record = taker.record();
    ready(&killed, 1).await;
    // Nobody is told, as by SIGKILL.
    let _unaware = (killed, taker);

    let next = placement(&world).await;
    // As a server does it: what belongs to no run that goes on.
    let runs: Vec<_> = next.ours().await.unwrap().into_iter().map(|it| it.run).collect();
    assert_eq!(runs.iter().filter(|run| *run == "ahead").count(), 1);
    assert_eq!(runs.iter().filter(|run| *run == "2").count(), 1);
    next.remove_leftovers(LeftoverFilter::Run("ahead".into())).await.unwrap();
    let taker = next.adopt(&record).await.unwrap();
    assert_eq!(ok(&*taker, "cat /work/seen").await, "2");
    taker.stop().await.unwrap();
    let claims = world.folder.path().join("ahead/claims");
    assert_eq!(std::fs::read_dir(claims).unwrap().count(), 0);
    next.close().await;
    world.assert_clean();
}

#[tokio::test]
async fn isolated_jobs_share_a_network_and_do_not_meet() {
    let world = World::new();
    let placement = placement(&world).await;
    let serving = world.start(&placement, job(&world, "1", "trusted")).await.unwrap();
    let asking = world.start(&placement, job(&world, "2", "trusted")).await.unwrap();
    let network = serving.facts().network.clone().unwrap();
    assert_eq!(asking.facts().network.as_ref(), Some(&network));
    let id = serving.facts().container_id.clone().unwrap();
    let form = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    let address = crate::world::docker(&["inspect", "-f", &form, &id]);
    // What is dropped is not answered: after a second there was none.
    let ask = format!("wget -q -O - http://{}/ & ask=$!; sleep 1; kill $ask 2>/dev/null; wait $ask", address.trim());
    ok(&*serving, "mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www").await;
    assert_eq!(ok(&*serving, &ask).await, "hello\n");
    assert!(!crate::world::shell(&*asking, &ask).await.0.is_success(), "one job reaches another");
    for job in [serving, asking] {
        job.stop().await.unwrap();
    }
    placement.close().await;
    world.assert_clean();
}
