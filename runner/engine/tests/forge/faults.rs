//! Every fault at every request, and a sender killed at every request: the forge ends as it would have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use engine::github::Envelope;
use engine::reporting::{Outcome, Target};
use engine::store::outbox::{Message, Outbox};
use serde_json::Value as Json;
use tokio::sync::Notify;

use super::fake::Fault;
use super::world::{World, story, until};

/// How the reports come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Each when the one before has arrived.
    OneByOne,
    /// All at once, so that some overtake others.
    Together,
}

/// Tells the story with faults at some requests. Gives what the forge has in the end, and how many requests it took.
async fn told(pace: Pace, faults: &[(usize, Fault)]) -> (Json, usize) {
    let world = World::new().await;
    world.fake.state().faults = faults.iter().cloned().collect();
    let (worker, stop) = world.work(world.by_token()).await;
    tell(&world, pace).await;
    world.settled().await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(world.outbox.depth().await.unwrap().given_up, 0);
    let state = world.fake.state();
    (state.seen(), state.requests.len())
}

async fn tell(world: &World, pace: Pace) {
    let story: Vec<Envelope> = story();
    match pace {
        Pace::Together => world.put(&story).await,
        Pace::OneByOne => {
            for report in story {
                world.put(&[report]).await;
                world.settled().await;
            }
        }
    }
}

fn kinds() -> Vec<Fault> {
    let header = |name, value: String| vec![(name, value)];
    let reset = (jiff::Timestamp::now().as_second() - 1).to_string();
    vec![
        Fault::Refuse(500, Vec::new(), "Server Error"),
        Fault::Refuse(503, header("retry-after", "0".into()), "Unavailable"),
        Fault::Refuse(429, header("retry-after", "0".into()), "Too Many Requests"),
        Fault::Refuse(403, header("retry-after", "0".into()), "You have exceeded a secondary rate limit."),
        Fault::Refuse(
            403,
            vec![("x-ratelimit-remaining", "0".into()), ("x-ratelimit-reset", reset)],
            "API rate limit exceeded",
        ),
        Fault::Refuse(404, Vec::new(), "Not Found"),
        Fault::Refuse(422, Vec::new(), "No commit found for SHA"),
        Fault::LieAfter(502),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::HangBefore,
        Fault::HangAfter,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_fault_at_any_request_changes_nothing_in_the_end() {
    for pace in [Pace::OneByOne, Pace::Together] {
        let (ideal, requests) = told(pace, &[]).await;
        assert!(requests >= 8, "{requests}");
        for fault in kinds() {
            let all = (0..requests).map(|at| {
                let fault = fault.clone();
                async move { (at, told(pace, &[(at, fault)]).await.0) }
            });
            for (at, seen) in futures_util::future::join_all(all).await {
                // A comment that the forge says is gone is not made again.
                let gone = matches!(fault, Fault::Refuse(404 | 422, ..)) && seen["comments"] != ideal["comments"];
                if !gone {
                    assert_eq!(seen, ideal, "{pace:?}: {fault:?} at request {at}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_faults_in_a_row_change_nothing_in_the_end() {
    let (ideal, _) = told(Pace::OneByOne, &[]).await;
    for first in [Fault::HangAfter, Fault::ResetAfter, Fault::LieAfter(500)] {
        let all = (0..14).map(|at| {
            let faults = [
                (at, first.clone()),
                (at + 1, Fault::Refuse(502, Vec::new(), "Bad Gateway")),
                (at + 2, Fault::ResetBefore),
                (at + 3, Fault::LieAfter(504)),
            ];
            async move { (at, told(Pace::OneByOne, &faults).await.0) }
        });
        for (at, seen) in futures_util::future::join_all(all).await {
            assert_eq!(seen, ideal, "{first:?} at request {at}");
        }
    }
}

/// Does what it should, but for one attempt, which never comes back.
#[derive(Debug)]
struct Dies {
    real: Arc<dyn Target>,
    at: usize,
    attempts: AtomicUsize,
    /// Whether the message was sent before.
    after: bool,
    dead: Arc<Notify>,
}

#[async_trait]
impl Target for Dies {
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome {
        if self.attempts.fetch_add(1, Ordering::SeqCst) != self.at {
            return self.real.send(message, outbox).await;
        }
        if self.after {
            self.real.send(message, outbox).await;
        }
        self.dead.notify_one();
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sender_killed_around_any_message_neither_loses_nor_doubles_one() {
    let (ideal, _) = told(Pace::OneByOne, &[]).await;
    for after in [false, true] {
        for at in 0..story().len() {
            let world = World::new().await;
            let dead = Arc::new(Notify::new());
            let real = world.by_token();
            let dies = Dies { real, at, attempts: AtomicUsize::new(0), after, dead: Arc::clone(&dead) };
            let (worker, _stop) = world.work(Arc::new(dies)).await;
            let story = story();
            for report in &story[..at] {
                world.put(std::slice::from_ref(report)).await;
                world.settled().await;
            }
            world.put(&story[at..=at]).await;
            dead.notified().await;
            worker.abort();
            let (_worker, stop) = world.work(world.by_token()).await;
            for report in &story[at + 1..] {
                world.settled().await;
                world.put(std::slice::from_ref(report)).await;
            }
            world.settled().await;
            stop.cancel();
            assert_eq!(world.fake.state().seen(), ideal, "killed at message {at}, sent before: {after}");
        }
    }
}

#[tokio::test]
async fn a_repository_that_hangs_holds_up_nobody_else() {
    let world = World::new().await;
    world.fake.state().always.push(("/mona/", Fault::HangBefore));
    let (_worker, stop) = world.work(world.by_token()).await;
    let hanging = (0..200).map(|number| {
        let mut report = story().remove(0);
        report.commit = format!("{number:040x}");
        report
    });
    world.put(&hanging.collect::<Vec<_>>()).await;
    let other = story().into_iter().map(|report| Envelope { repository: "other/shop".into(), ..report });
    world.put(&other.collect::<Vec<_>>()).await;
    until(async || world.fake.state().seen()["checks"].as_array().unwrap().len() == 2).await;
    until(async || world.fake.state().statuses.len() == 1).await;
    // Few wait for the one that hangs.
    let hung = world.fake.state().requests.iter().filter(|(_, request)| request.contains("/mona/")).count();
    assert!(hung < 200, "{hung}");
    stop.cancel();
}
