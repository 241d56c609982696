//! What a forge says about when, whether and who: delays that it asks for, refusals for ever, rights that lack.

use std::time::Duration;

use engine::github::{CheckStatus, Report, StatusState};

use super::fake::Fault;
use super::world::{World, check, envelope, status, story};

#[tokio::test]
async fn a_delay_that_is_asked_for_is_kept_by_all_of_the_owner() {
    for is_header in [true, false] {
        // The end of the window has whole seconds; what is asked for is cut to a little more than one.
        let soon = (jiff::Timestamp::now().as_second() + 3).to_string();
        let headers = if is_header {
            vec![("retry-after", "1".to_owned())]
        } else {
            vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", soon)]
        };
        let world = World::new().await;
        world.fake.state().faults.insert(0, Fault::Refuse(403, headers, "slow down"));
        let (_worker, stop) = world.work(world.by_token()).await;
        world.put(&[envelope("mona/one", status(StatusState::Pending, "x"))]).await;
        super::world::until(async || !world.fake.state().requests.is_empty()).await;
        super::world::until(async || world.outbox.list(None, 1).await.unwrap()[0].problem.is_some()).await;
        world.put(&[envelope("mona/two", status(StatusState::Pending, "x"))]).await;
        world.put(&[envelope("other/three", status(StatusState::Pending, "x"))]).await;
        world.settled().await;
        let state = world.fake.state();
        let began = state.requests[0].0;
        for (at, request) in &state.requests[1..] {
            let waited = at.duration_since(began);
            assert_eq!(waited >= Duration::from_millis(900), request.contains("/mona/"), "{request} after {waited:?}");
        }
        stop.cancel();
    }
}

#[tokio::test]
async fn what_is_refused_for_ever_is_given_up_and_the_next_goes_on() {
    for refusal in [404, 422, 400, 410] {
        let world = World::new().await;
        world.fake.state().always.push(("check-runs", Fault::Refuse(refusal, Vec::new(), "no")));
        let (_worker, stop) = world.work(world.by_token()).await;
        world.put(&story()).await;
        world.settled().await;
        assert_eq!(world.fake.state().statuses.last().unwrap().1["state"], "success");
        let listed = world.outbox.list(None, 10).await.unwrap();
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert_eq!(listed[0].problem.as_deref(), Some(format!("{refusal} no").as_str()));
        stop.cancel();
    }
}

#[tokio::test]
async fn a_token_without_the_right_to_checks_still_sets_statuses() {
    let world = World::new().await;
    let forbidden = "Resource not accessible by personal access token";
    for part in ["check-runs", "deployments", "comments"] {
        world.fake.state().always.push((part, Fault::Refuse(403, Vec::new(), forbidden)));
    }
    let (_worker, stop) = world.work(world.by_token()).await;
    for _ in 0..3 {
        world.put(&story()).await;
        world.settled().await;
    }
    {
        let state = world.fake.state();
        let asked = |part: &str| state.requests.iter().filter(|(_, request)| request.contains(part)).count();
        assert_eq!((asked("check-runs"), asked("comments")), (1, 1));
        assert_eq!(state.statuses.last().unwrap().1["state"], "success");
    }
    // Nobody is to be bothered with a list of what was never wanted; statuses of deployments need one.
    let listed = world.outbox.list(None, 100).await.unwrap();
    assert!(listed.iter().all(|listed| listed.kind == "deployment_status"), "{listed:?}");
    stop.cancel();
}

#[tokio::test]
async fn a_status_that_may_not_be_set_is_seen() {
    let world = World::new().await;
    world.fake.state().always.push(("statuses", Fault::Refuse(403, Vec::new(), "no rights")));
    let (_worker, stop) = world.work(world.by_token()).await;
    world.put(&[envelope("mona/shop", status(StatusState::Pending, "x"))]).await;
    world.settled().await;
    assert_eq!(world.outbox.list(None, 10).await.unwrap()[0].problem.as_deref(), Some("403 no rights"));
    stop.cancel();
}

#[tokio::test]
async fn names_from_outside_cannot_change_the_address() {
    let world = World::new().await;
    let (_worker, stop) = world.work(world.by_token()).await;
    let report = || status(StatusState::Pending, "x");
    let mut bad = vec![];
    for repository in ["mona", "mona/../x", "mona/a b", "mona/a?x", "mona/%2e%2e", "../..", "a/b#c"] {
        bad.push(envelope(repository, report()));
    }
    let mut commit = envelope("mona/shop", report());
    commit.commit = "../../user".into();
    bad.push(commit);
    world.put(&bad).await;
    world.settled().await;
    assert_eq!(world.fake.state().requests.len(), 0);
    assert_eq!(world.outbox.depth().await.unwrap().given_up, 8);
    stop.cancel();
}

#[tokio::test]
async fn annotations_come_in_batches() {
    let world = World::new().await;
    let (_worker, stop) = world.work(world.by_token()).await;
    let report: Report = check("test", CheckStatus::Completed, 500);
    world.put(&[envelope("mona/shop", report)]).await;
    world.settled().await;
    assert_eq!(world.fake.state().checks[0]["output"]["annotations_count"], 500);
    assert_eq!(world.fake.state().requests.len(), 10);
    stop.cancel();
}
