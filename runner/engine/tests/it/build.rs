//! Images of actions: what their builds may use, and for how long.

use std::time::Duration;

use engine::placement::{DockerPlacement, ImageOrder, Limits, Placement as _, TransportChoice};
use tokio::sync::mpsc;

use crate::world::{World, docker, image};

/// What such images carry here, beside the number of this process.
const LABEL: &str = "dev.pipe.test-build";

fn order(world: &World, steps: &str) -> ImageOrder {
    let folder = world.folder.path().join("workspace");
    let text = format!("FROM {}\nLABEL {LABEL}={}\n{steps}\n", image(), world.owner().installation());
    std::fs::write(folder.join("Dockerfile"), text).unwrap();
    ImageOrder {
        folder,
        below: "".into(),
        dockerfile: "Dockerfile".into(),
        key: None,
        limits: Limits { memory_bytes: Some(3 << 30), cpus: Some(0.5), ..Limits::default() },
        time: Duration::from_secs(120),
        trust: Some("fork"),
    }
}

async fn isolated(world: &World) -> DockerPlacement {
    let mut settings = world.settings(TransportChoice::Auto);
    settings.isolate = true;
    DockerPlacement::connect(settings).await.unwrap()
}

#[tokio::test]
async fn steps_of_a_build_have_the_limits_and_the_network_of_jobs() {
    let world = World::new();
    let placement = isolated(&world).await;
    // Of cgroups, first version and second; a network that was made has the engine's own server for names.
    let steps = "RUN cd /sys/fs/cgroup; for one in memory/memory.limit_in_bytes memory.max cpu/cpu.cfs_quota_us cpu.max; do \
                 test -e $one && echo \"limit $(cat $one)\"; done; grep nameserver /etc/resolv.conf";
    let (said, mut lines) = mpsc::unbounded_channel();
    let built = placement.build(order(&world, steps), said).await.unwrap();
    docker(&["image", "rm", "--force", &built]);
    let mut seen = Vec::new();
    while let Some(line) = lines.recv().await {
        seen.push(line);
    }
    for expected in ["limit 3221225472", "limit 50000", "nameserver 127.0.0.11"] {
        assert!(seen.iter().any(|line| line.starts_with(expected)), "{expected}: {seen:?}");
    }
    placement.close().await;
    world.assert_clean();
}

#[tokio::test]
async fn a_build_that_takes_too_long_is_ended() {
    let world = World::new();
    let placement = isolated(&world).await;
    let slow = ImageOrder { time: Duration::from_secs(10), ..order(&world, "RUN echo begun && sleep 600") };
    let (said, mut lines) = mpsc::unbounded_channel();
    let error = placement.build(slow, said).await.unwrap_err().to_string();
    assert!(error.contains("it took longer than 10 seconds"), "{error}");
    let mut has_begun = false;
    while let Some(line) = lines.recv().await {
        has_begun |= line == "begun";
    }
    assert!(has_begun, "the step ran when its time was up");
    let filter = format!("label={LABEL}={}", world.owner().installation());
    // The engine ends it after we have hung up, which this thread does too.
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !docker(&["ps", "--all", "--quiet", "--filter", &filter]).is_empty() {
        assert!(std::time::Instant::now() < end, "the step still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    placement.close().await;
    world.assert_clean();
    for image in docker(&["image", "ls", "--quiet", "--filter", &filter]).split_whitespace() {
        docker(&["image", "rm", "--force", image]);
    }
}
