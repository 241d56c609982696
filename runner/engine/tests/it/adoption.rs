//! Jobs that another process started are taken up where they are.

use engine::placement::{
    ExecEvent, ExecId, ExecOutcome, ExecRequest, HostPlacement, JobHandle, JobSpec, Placement, TransportChoice,
};

use crate::world::{World, agent, ok};

/// Waits for a file, so that it runs for as long as the test likes, and leaves a trace each time it is run.
const SCRIPT: &str = "echo ran >> trace; echo one; until [ -e go ]; do sleep 0.01; done; echo two; exit 7";

fn named(id: u64, script: &str) -> ExecRequest {
    ExecRequest { id: Some(ExecId(id)), ..ExecRequest::new(["sh", "-c", script], "") }
}

async fn taken_up(first: &dyn Placement, second: &dyn Placement, world: &World, workdir: &str, hangs_up: bool) {
    let job = world.start(first, JobSpec { workdir: workdir.to_owned(), ..world.spec() }).await.unwrap();
    let mut begun = job.exec(named(7, SCRIPT)).await.unwrap();
    assert!(matches!(begun.next().await, Some(ExecEvent::Output { offset: 0, .. })));
    let record = job.record();
    // The agent on this machine would go with its parent's handle, which a killed parent never drops.
    let mut first = Some((job, begun));
    if hangs_up {
        first = None;
    }

    let later = second.adopt(&record).await.unwrap();
    let again = later.take_up(named(7, SCRIPT), 0).await.unwrap();
    let never_arrived = later.take_up(named(8, "echo new"), 0).await.unwrap();
    assert_eq!(never_arrived.output(100).await.1, b"new\n");
    ok(&*later, "touch go").await;
    let (outcome, output) = again.output(100).await;
    assert!(matches!(outcome, ExecOutcome::Exited { code: 7, .. }), "{outcome:?}");
    assert_eq!(String::from_utf8(output).unwrap(), "one\ntwo\n", "from its first byte on");
    assert_eq!(ok(&*later, "cat trace").await, "ran\n", "it was not started twice");

    let facts = later.facts().clone();
    drop(later);
    let last: std::sync::Arc<dyn JobHandle> = second.adopt(&record).await.unwrap();
    assert_eq!(facts.container_id, last.facts().container_id);
    last.stop().await.unwrap();
    let gone = second.adopt(&record).await.unwrap_err().to_string();
    assert!(gone.contains("gone"), "{gone}");
    drop(first);
}

#[tokio::test]
async fn on_this_machine() {
    let world = World::new();
    let placement = || HostPlacement::new(world.owner(), agent(), world.folder.path().join("marks"));
    taken_up(&placement(), &placement(), &world, world.folder.path().join("workspace").to_str().unwrap(), false).await;
}

#[tokio::test]
async fn in_a_container() {
    let world = World::new();
    let (first, second) = (world.docker(TransportChoice::Socket).await, world.docker(TransportChoice::Socket).await);
    taken_up(&first, &second, &world, "/work", true).await;
    world.assert_clean();
}

#[tokio::test]
async fn in_a_container_over_stdio() {
    let world = World::new();
    let (first, second) = (world.docker(TransportChoice::Stdio).await, world.docker(TransportChoice::Stdio).await);
    taken_up(&first, &second, &world, "/work", true).await;
    world.assert_clean();
}
