//! Jobs on this machine.

use std::time::{Duration, Instant};

use engine::placement::{ExecOutcome, ExecRequest, HostPlacement, LeftoverFilter, Placement as _};

use crate::world::{World, agent, ok};

fn placement(world: &World) -> HostPlacement {
    HostPlacement::new(world.owner(), agent(), world.folder.path().join("marks"))
}

#[tokio::test]
async fn a_job() {
    let world = World::new();
    let placement = placement(&world);
    let mut spec = world.spec();
    spec.workdir = world.folder.path().join("workspace").display().to_string();
    let job = world.start(&placement, spec).await.unwrap();
    assert_eq!(ok(&*job, "pwd").await.trim(), world.folder.path().join("workspace").to_str().unwrap());
    let ours = placement.ours().await.unwrap();
    assert_eq!((ours.len(), ours[0].owner_alive, ours[0].job.as_str()), (1, true, "build (a)"));
    assert_eq!(placement.remove_leftovers(LeftoverFilter::Abandoned).await.unwrap().processes, 0);
    let background = job.exec(ExecRequest::new(["sleep", "1000"], "/")).await.unwrap();
    let pid: i32 = ok(&*job, "sleep 1000 & echo $!").await.trim().parse().unwrap();
    let began = Instant::now();
    job.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(!background.output(0).await.0.is_success());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "what a step left is ended");
    assert!(placement.ours().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_long_path_and_a_killed_agent() {
    let mut world = World::new();
    let deep = tempfile::Builder::new().prefix(&"x".repeat(120)).tempdir().unwrap();
    std::fs::create_dir(deep.path().join("run")).unwrap();
    std::fs::create_dir(deep.path().join("workspace")).unwrap();
    world.folder = deep;
    let placement = placement(&world);
    let job = world.start(&placement, world.spec()).await.unwrap();
    let exec = job.exec(ExecRequest::new(["sleep", "100"], "/")).await.unwrap();
    let pid: i32 = placement.ours().await.unwrap()[0].id.parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let (outcome, _) = exec.output(0).await;
    assert!(matches!(&outcome, ExecOutcome::Lost { reason } if reason.contains("signal: 9")), "{outcome:?}");
    job.stop().await.unwrap();
}

#[tokio::test]
async fn steps_are_quick() {
    let world = World::new();
    let job = world.start(&placement(&world), world.spec()).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        let (outcome, _) = job.exec(ExecRequest::new(["true"], "/")).await.unwrap().output(0).await;
        times.push(began.elapsed());
        assert!(outcome.is_success());
    }
    times.sort_unstable();
    eprintln!("a step on this machine: median {:?}, slowest {:?}", times[25], times[49]);
    job.stop().await.unwrap();
}

#[tokio::test]
async fn own_agents_are_removed_at_once() {
    let world = World::new();
    let placement = placement(&world);
    let job = world.start(&placement, world.spec()).await.unwrap();
    assert_eq!(placement.remove_leftovers(LeftoverFilter::Run("other".into())).await.unwrap().processes, 0);
    assert_eq!(placement.remove_leftovers(LeftoverFilter::Own).await.unwrap().processes, 1);
    job.stop().await.unwrap();
    assert!(placement.ours().await.unwrap().is_empty());
}
