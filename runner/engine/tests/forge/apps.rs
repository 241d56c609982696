//! A GitHub App: its tokens are kept, replaced before their end and after a refusal; redirects stay on the host.

use std::sync::Arc;

use engine::github::{App, Credentials, Flavour, StatusState};
use workflow::secret::Secret;

use super::fake::{Fake, Fault};
use super::world::{World, envelope, status};

const KEY: &str = include_str!("../../src/github/test_key.pem");

fn app() -> Credentials {
    Credentials::App(Arc::new(App::new("123", &Secret::new(KEY)).unwrap()))
}

#[tokio::test]
async fn an_app_gets_a_token_and_keeps_it() {
    for (seconds, expected) in [(3_600, 1), (200, 3)] {
        let world = World::new().await;
        world.fake.state().token_seconds = seconds;
        let (_worker, stop) = world.work(world.sender(Flavour::Github, app())).await;
        for number in 0..3 {
            world.put(&[envelope("mona/shop", status(StatusState::Pending, &format!("{number}")))]).await;
            world.settled().await;
        }
        assert_eq!(world.fake.state().statuses.len(), 3);
        // One that ends within five minutes is replaced at once.
        assert_eq!(world.fake.state().tokens_made, expected);
        stop.cancel();
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced() {
    let world = World::new().await;
    world.fake.state().token_seconds = 3_600;
    let (_worker, stop) = world.work(world.sender(Flavour::Github, app())).await;
    world.put(&[envelope("mona/shop", status(StatusState::Pending, "1"))]).await;
    world.settled().await;
    world.fake.state().token = Some("another".into());
    world.put(&[envelope("mona/shop", status(StatusState::Success, "2"))]).await;
    world.settled().await;
    assert_eq!(world.fake.state().tokens_made, 2);
    stop.cancel();
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only() {
    let elsewhere = Fake::start().await;
    for (location, arrives) in [
        ("/repos/mona/renamed/statuses/cc".to_owned(), true),
        (format!("{}/repos/mona/renamed/statuses/cc", elsewhere.url()), false),
        (format!("//{}/x", elsewhere.address), false),
        ("file:///etc/passwd".to_owned(), false),
    ] {
        let world = World::new().await;
        let fault = Fault::Refuse(307, vec![("location", location)], "moved");
        world.fake.state().faults.insert(0, fault);
        let (_worker, stop) = world.work(world.by_token()).await;
        world.put(&[envelope("mona/shop", status(StatusState::Pending, "x"))]).await;
        world.settled().await;
        assert_eq!(world.fake.state().statuses.len(), usize::from(arrives));
        assert_eq!(world.outbox.depth().await.unwrap().given_up, u64::from(!arrives));
        stop.cancel();
    }
    assert_eq!(elsewhere.state().requests.len(), 0);
}
