//! Containers that are made ahead: taken once, by a job that fits, and never left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::placement::{
    JobHandle, JobIdentity, JobSpec, LeftoverFilter, Mount, Placement as _, Removed, RunDirectory, TransportChoice,
    WarmPlacement, WarmSettings,
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

/// A server that ends in order leaves nothing: no container, no network, no folder.
async fn ends_clean(world: &World, placement: &WarmPlacement) {
    placement.close().await;
    for folder in ["ahead", "sockets"] {
        assert!(!world.folder.path().join(folder).exists(), "{folder}");
    }
    world.assert_clean();
}

#[tokio::test]
async fn t02_taken_once_by_one_job_of_its_trust() {
    let world = World::new();
    let placement = placement(&world).await;
    let first = world.start(&placement, job(&world, "1", "trusted")).await.unwrap();
    ready(&placement, 1).await;
    let ahead = ids_of(&placement, "ahead").await;
    assert_eq!(ahead.len(), 1);

    let fork = world.start(&placement, job(&world, "2", "fork")).await.unwrap();
    assert_ne!(fork.facts().container_id.as_ref(), ahead.first(), "another trust");
    ready(&placement, 2).await;
    let ahead_of_forks: Vec<_> =
        ids_of(&placement, "ahead").await.into_iter().filter(|id| !ahead.contains(id)).collect();
    assert_eq!(ahead_of_forks.len(), 1);
    let network = |job: &dyn JobHandle| job.facts().network.clone().unwrap();
    assert_ne!(network(&*fork), network(&*first), "a fork's job shares a network with others");
    let is_on =
        |id: &str| crate::world::docker(&["inspect", "-f", "{{.HostConfig.NetworkMode}}", id]).trim().to_owned();
    assert_eq!(is_on(&ahead[0]), network(&*first));
    assert_eq!(is_on(&ahead_of_forks[0]), network(&*fork));

    let spec = job(&world, "3", "trusted");
    let taker = world.start(&placement, spec).await.unwrap();
    assert_eq!(taker.facts().container_id.as_ref(), ahead.first());
    assert_eq!(ids_of(&placement, "3").await, ahead, "it is known whose it is");
    assert_eq!(ok(&*taker, "cat /work/seen; touch /home/me/made /__pipe/here").await, "3");
    let root = world.folder.path().join("3");
    assert!(root.join("workspace/_home/made").exists() && root.join("run/here").exists(), "the same folders");

    let other_fork = world.start(&placement, job(&world, "5", "fork")).await.unwrap();
    assert_eq!(other_fork.facts().container_id.as_ref(), ahead_of_forks.first());
    ready(&placement, 2).await;

    let another = world.start(&placement, JobSpec { options: "--cpus 1".into(), ..job(&world, "4", "trusted") });
    let another = another.await.unwrap();
    assert_ne!(another.facts().container_id.as_ref(), ahead.first());
    ready(&placement, 3).await;

    placement.remove_leftovers(LeftoverFilter::Run("3".into())).await.unwrap();
    assert!(ids_of(&placement, "3").await.is_empty());
    for job in [first, fork, other_fork, another, taker] {
        job.stop().await.unwrap();
    }
    ends_clean(&world, &placement).await;
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
    ends_clean(&world, &placement).await;
}

/// Jobs that go on when the server ends keep what they have, and only that.
#[tokio::test]
async fn a_server_that_ends_leaves_jobs_alone() {
    let world = World::new();
    let ending = placement(&world).await;
    world.start(&ending, job(&world, "1", "trusted")).await.unwrap().stop().await.unwrap();
    ready(&ending, 1).await;
    let taker = world.start(&ending, job(&world, "2", "trusted")).await.unwrap();
    ready(&ending, 1).await;
    ending.close().await;
    assert_eq!(ids_of(&ending, "ahead").await, Vec::<String>::new());
    assert_eq!(ids_of(&ending, "2").await.len(), 1);
    assert_eq!(world.shared_networks().lines().count(), 1);

    let next = placement(&world).await;
    let taker = next.adopt(&taker.record()).await.unwrap();
    assert_eq!(ok(&*taker, "cat /work/seen").await, "2");
    taker.stop().await.unwrap();
    ends_clean(&world, &next).await;
}

/// Neither the start of another server nor that of a command takes what a server has made ahead.
#[tokio::test]
async fn another_owner_touches_nothing() {
    let (world, other) = (World::new(), World::new());
    let (ours, theirs) = (placement(&world).await, placement(&other).await);
    let job = world.start(&ours, job(&world, "1", "trusted")).await.unwrap();
    ready(&ours, 1).await;
    for filter in [LeftoverFilter::Run("ahead".into()), LeftoverFilter::Abandoned, LeftoverFilter::Own] {
        assert_eq!(theirs.remove_leftovers(filter).await.unwrap(), Removed::default());
    }
    theirs.close().await;
    // A command has the owner of its state folder, even if it were ours: our process lives.
    let command = world.docker(TransportChoice::Socket).await;
    assert_eq!(command.remove_leftovers(LeftoverFilter::Abandoned).await.unwrap(), Removed::default());
    assert_eq!(ids_of(&ours, "ahead").await.len(), 1);
    assert_eq!(world.shared_networks().lines().count(), 1);
    job.stop().await.unwrap();
    ends_clean(&world, &ours).await;
    other.assert_clean();
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
    ends_clean(&world, &next).await;
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
    let fork = world.start(&placement, job(&world, "3", "fork")).await.unwrap();
    assert!(!crate::world::shell(&*fork, &ask).await.0.is_success(), "a fork's job reaches another");
    for job in [serving, asking, fork] {
        job.stop().await.unwrap();
    }
    ends_clean(&world, &placement).await;
}

/// What lies outside is reached as from a network of the job's own: by address and through the engine's name server.
#[tokio::test]
async fn isolated_jobs_reach_what_lies_outside() {
    let world = World::new();
    let placement = placement(&world).await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        }
    });
    let shared = world.start(&placement, job(&world, "1", "trusted")).await.unwrap();
    let own = JobSpec { trust: None, ..job(&world, "2", "trusted") };
    let own = world.start(&placement, own).await.unwrap();
    assert_ne!(shared.facts().network, own.facts().network);
    let says = |job: &Arc<dyn JobHandle>, form: &str| {
        let network = job.facts().network.clone().unwrap();
        crate::world::docker(&["network", "inspect", "-f", form, &network])
    };
    let masquerades = "{{.Internal}} {{index .Options \"com.docker.network.bridge.enable_ip_masquerade\"}}";
    assert_eq!(says(&shared, masquerades), says(&own, masquerades), "the same way out");
    for job in [&shared, &own] {
        let ask = format!("wget -q -O - http://$(ip route | awk '/^default/ {{ print $3 }}'):{port}/");
        assert_eq!(ok(&**job, &ask).await, "hello\n");
        assert!(ok(&**job, "cat /etc/resolv.conf").await.contains("nameserver 127.0.0.11"));
    }
    for job in [shared, own] {
        job.stop().await.unwrap();
    }
    ends_clean(&world, &placement).await;
}
