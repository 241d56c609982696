//! Handing out: everything that was kept, in order within a repository, also after a restart and a bug.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::store::deliveries::{Delivery, DeliveryState, WholeDelivery};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use web::{DeliveryProcessor, Outcome, Pump};
use workflow::event::{Event, Forge};

use crate::world::{PATIENCE, Post, Setup, World, push_payload, secret_of, signature};

/// Tells what it is given; what it answers depends on the branch.
#[derive(Debug)]
struct Told {
    told: mpsc::UnboundedSender<String>,
    tries: AtomicUsize,
}

#[async_trait]
impl DeliveryProcessor for Told {
    async fn process(&self, delivery: WholeDelivery, event: Event) -> Outcome {
        let branch = event.git_ref.short().to_owned();
        self.told.send(format!("{} {branch}", delivery.delivery.repository)).unwrap();
        match branch.as_str() {
            "bug" => panic!("a bug in a processor"),
            "late" if self.tries.fetch_add(1, Ordering::Relaxed) == 0 => Outcome::Later(Duration::from_millis(1)),
            "broken" => Outcome::Failed("no such commit".into()),
            "nothing" => Outcome::Ended,
            _ => Outcome::Ignored("no workflow".into()),
        }
    }
}

fn push(repository: &str, branch: &str) -> Post {
    let body = push_payload(repository, branch).to_string();
    Post::github("push", &format!("{repository} {branch}"), body.as_bytes())
        .with("X-Hub-Signature-256", &signature(&secret_of(repository), body.as_bytes()))
}

fn setup() -> Setup {
    let known = Setup::default().known.add(Forge::Github, "a/a").add(Forge::Github, "b/b");
    Setup { known, ..Setup::default() }
}

async fn ended(world: &World) -> Vec<Delivery> {
    loop {
        let list = world.list().await;
        if list.iter().all(|delivery| delivery.state != DeliveryState::Received) {
            return list;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_kept_is_handed_out_in_order_and_after_a_restart() {
    let world = World::start(setup()).await;
    for (repository, branch) in [("a/a", "one"), ("a/a", "late"), ("b/b", "bug"), ("a/a", "broken")] {
        assert_eq!(world.post(&push(repository, branch)).await.status, 202);
    }
    // Nobody has looked at them when the server stops.
    let world = world.restart(setup()).await;
    let (told, mut tellings) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let processor = Arc::new(Told { told, tries: AtomicUsize::new(0) });
    let pump = Pump::new(world.deliveries.clone(), processor, Arc::clone(&world.arrivals));
    let pumping = tokio::spawn(pump.run(stop.clone()));
    tokio::time::timeout(PATIENCE, ended(&world)).await.unwrap();
    assert_eq!(world.post(&push("b/b", "nothing")).await.status, 202);
    let list = tokio::time::timeout(PATIENCE, ended(&world)).await.unwrap();
    stop.cancel();
    pumping.await.unwrap();
    let mut all = Vec::new();
    while let Ok(line) = tellings.try_recv() {
        all.push(line);
    }
    let of = |repository: &str| all.iter().filter(|line| line.starts_with(repository)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a/a"), ["a/a one", "a/a late", "a/a late", "a/a broken"]);
    assert_eq!(of("b/b"), ["b/b bug", "b/b nothing"]);
    let states: Vec<_> = list.iter().rev().map(|delivery| &delivery.state).collect();
    assert!(matches!(states[0], DeliveryState::Ignored(reason) if reason == "no workflow"), "{states:?}");
    assert!(matches!(states[1], DeliveryState::Ignored(_)), "{states:?}");
    assert!(matches!(states[2], DeliveryState::Failed(reason) if reason.contains("a bug")), "{states:?}");
    assert!(matches!(states[3], DeliveryState::Failed(reason) if reason == "no such commit"), "{states:?}");
    assert!(matches!(states[4], DeliveryState::Failed(reason) if reason.contains("no runs")), "{states:?}");
}
