//! Facts in order, a lock with tokens, orders.

use serde_json::json;

use super::*;
use crate::store::{Options, RunId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn new(key: &str, service: &str) -> NewRollout {
    NewRollout {
        key: key.into(),
        environment: "production".into(),
        service: service.into(),
        repository: "o/r".into(),
        run: Some(RunId(7)),
        job: "deploy".into(),
        actor: "ada".into(),
        plan_hash: "sha256:1".into(),
        fact: json!({"fact": "planned"}),
        view: json!({"words": "planned"}),
        at: at(1),
    }
}

fn addition(seq: u64, token: impl Into<Option<u64>>, fact: &str) -> Addition {
    Addition {
        seq,
        token: token.into(),
        facts: vec![(at(2), json!({ "fact": fact }))],
        view: json!({ "words": fact }),
        state: RolloutState::Active,
        passing: Some("observed"),
    }
}

fn open() -> (tempfile::TempDir, Rollouts) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
    (folder, Rollouts::on(database))
}

#[tokio::test]
async fn asked_twice_it_is_one_rollout() {
    let (_folder, rollouts) = open();
    let one = rollouts.create(new("7/deploy/3", "orders")).await.unwrap();
    assert_eq!((one.id, one.seq, &one.view["id"]), (1, 1, &json!(1)));
    let again = rollouts.create(NewRollout { actor: "eve".into(), ..new("7/deploy/3", "orders") }).await.unwrap();
    assert_eq!(again, one);
    assert_eq!(rollouts.list(RolloutFilter { limit: 9, ..RolloutFilter::default() }).await.unwrap(), [one]);
}

#[tokio::test]
async fn facts_continue_or_are_not_taken() {
    let (_folder, rollouts) = open();
    let id = rollouts.create(new("a", "orders")).await.unwrap().id;
    rollouts.append(id, addition(1, None, "locked")).await.unwrap();
    let stale = rollouts.append(id, addition(1, None, "done")).await.unwrap_err();
    assert_eq!(stale.to_string(), "rollout 1 is carried on by another process");
    let facts = rollouts.facts(id).await.unwrap();
    assert_eq!(facts, [(at(1), json!({"fact": "planned"})), (at(2), json!({"fact": "locked"}))]);
    let row = rollouts.get(id).await.unwrap().unwrap();
    assert_eq!((row.seq, &row.view["words"], row.updated_at), (2, &json!("locked"), at(2)));
}

#[tokio::test]
async fn looks_are_forgotten_once_nothing_is_left_to_do() {
    let (_folder, rollouts) = open();
    let id = rollouts.create(new("a", "orders")).await.unwrap().id;
    let kinds = async || {
        let facts = rollouts.facts(id).await.unwrap().into_iter();
        facts.map(|(_, fact)| fact["fact"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (seq, fact) in ["observed", "locked", "observed"].into_iter().enumerate() {
        rollouts.append(id, addition(seq as u64 + 1, None, fact)).await.unwrap();
    }
    let ended = Addition { state: RolloutState::Ended, ..addition(4, None, "ended") };
    rollouts.append(id, ended).await.unwrap();
    assert_eq!(kinds().await, "planned observed locked observed ended");
    let closed = Addition { state: RolloutState::Closed, ..addition(5, None, "stopped") };
    rollouts.append(id, closed).await.unwrap();
    assert_eq!(kinds().await, "planned locked ended stopped");
    assert_eq!(rollouts.first_fact(id).await.unwrap(), Some(json!({"fact": "planned"})));
    assert_eq!(rollouts.first_fact(id + 1).await.unwrap(), None);
    assert_eq!(rollouts.get(id).await.unwrap().unwrap().seq, 6, "of all that happened");
}

#[tokio::test]
async fn the_lock_has_one_holder_and_its_tokens_only_grow() {
    let (_folder, rollouts) = open();
    let one = rollouts.create(new("a", "orders")).await.unwrap().id;
    let two = rollouts.create(new("b", "orders")).await.unwrap().id;
    let other = rollouts.create(new("c", "products")).await.unwrap().id;
    assert_eq!(rollouts.take_lock(one).await.unwrap(), LockAnswer::Taken(1));
    assert_eq!(rollouts.take_lock(two).await.unwrap(), LockAnswer::Held(one));
    let rivals = rollouts.rivals(two).await.unwrap();
    let told = |all: &[RivalRow]| all.iter().map(|one| (one.rollout.id, one.has_lock)).collect::<Vec<_>>();
    assert_eq!((told(&rivals), &rivals[0].first), (vec![(one, true)], &json!({"fact": "planned"})));
    assert_eq!(told(&rollouts.rivals(one).await.unwrap()), [(two, false)]);
    assert_eq!(rollouts.take_lock(other).await.unwrap(), LockAnswer::Taken(1), "another service");
    // Another process takes the first one up: what the first process still writes is refused.
    rollouts.append(one, addition(1, 1, "locked")).await.unwrap();
    assert_eq!(rollouts.take_lock(one).await.unwrap(), LockAnswer::Taken(2));
    assert!(matches!(rollouts.append(one, addition(2, 1, "late")).await, Err(NotAdded::Overtaken(1))));
    rollouts.append(one, addition(2, 2, "goes on")).await.unwrap();
    rollouts.release_lock(one, 1).await.unwrap();
    assert_eq!(rollouts.take_lock(two).await.unwrap(), LockAnswer::Held(one), "an old token gives nothing back");
    let end = Addition { state: RolloutState::Ended, ..addition(3, 2, "ended") };
    rollouts.append(one, end).await.unwrap();
    rollouts.release_lock(one, 2).await.unwrap();
    assert_eq!(rollouts.take_lock(two).await.unwrap(), LockAnswer::Taken(3));
}

#[tokio::test]
async fn orders_are_read_once_and_in_order() {
    let (_folder, rollouts) = open();
    let id = rollouts.create(new("a", "orders")).await.unwrap().id;
    let mut changed = rollouts.changed();
    changed.mark_unchanged();
    let first = rollouts.order(id, "pause", "ada", "wait", at(3)).await.unwrap();
    assert!(changed.has_changed().unwrap());
    rollouts.order(id, "promote", "bob", "", at(4)).await.unwrap();
    let words = |all: Vec<OrderRow>| all.into_iter().map(|one| (one.word, one.actor)).collect::<Vec<_>>();
    assert_eq!(
        words(rollouts.orders_after(id, 0).await.unwrap()),
        [("pause".to_owned(), "ada".to_owned()), ("promote".into(), "bob".into())]
    );
    assert_eq!(words(rollouts.orders_after(id, first).await.unwrap()), [("promote".to_owned(), "bob".to_owned())]);
}

#[tokio::test]
async fn lists_are_of_places_and_states() {
    let (_folder, rollouts) = open();
    let one = rollouts.create(new("a", "orders")).await.unwrap().id;
    let two = rollouts.create(new("b", "orders")).await.unwrap().id;
    let other = rollouts.create(new("c", "products")).await.unwrap().id;
    rollouts.append(one, Addition { state: RolloutState::Closed, ..addition(1, None, "closed") }).await.unwrap();
    let open = rollouts.open().await.unwrap();
    assert_eq!(open.iter().map(|one| one.id).collect::<Vec<_>>(), [two, other], "the oldest first");
    assert_eq!((open[0].run, open[0].state, open[0].created_at), (Some(RunId(7)), RolloutState::Active, at(1)));
    let ids = |all: Vec<RolloutRow>| all.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let list = async |filter: RolloutFilter| ids(rollouts.list(filter).await.unwrap());
    let all = RolloutFilter { limit: 9, ..RolloutFilter::default() };
    assert_eq!(list(RolloutFilter { open: Some(true), ..all.clone() }).await, [other, two]);
    assert_eq!(list(RolloutFilter { open: Some(false), ..all.clone() }).await, [one]);
    assert_eq!(list(RolloutFilter { service: Some("orders".into()), before: Some(two), ..all.clone() }).await, [one]);
    assert_eq!(list(RolloutFilter { environment: Some("Production".into()), limit: 1, ..all }).await, [other]);
    assert_eq!(ids(rollouts.newest(Some("PRODUCTION".into())).await.unwrap()), [two, other]);
    assert_eq!(ids(rollouts.newest(Some("staging".into())).await.unwrap()), [0_u64; 0]);
}

#[tokio::test]
async fn gates_that_ask_are_found() {
    let (_folder, rollouts) = open();
    let asking = async |run| rollouts.asking(run).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
    let waiting = || json!({ "words": "?", "outcome": null });
    let gate = NewRollout { view: waiting(), ..new("a", "gate:move") };
    let first = rollouts.create(gate.clone()).await.unwrap().id;
    rollouts.create(new("b", "orders")).await.unwrap();
    let second = rollouts.create(NewRollout { key: "c".into(), run: Some(RunId(8)), ..gate }).await.unwrap().id;
    assert_eq!((asking(None).await, asking(Some(RunId(8))).await), (vec![first, second], vec![second]));
    // It is closed from the beginning, since nobody but its step carries it on.
    let still = Addition { view: waiting(), state: RolloutState::Closed, ..addition(1, None, "asks") };
    rollouts.append(first, still).await.unwrap();
    assert_eq!(asking(None).await, [first, second]);
    let ended = Addition { view: json!({ "outcome": "succeeded" }), ..addition(2, None, "ended") };
    rollouts.append(first, ended).await.unwrap();
    assert_eq!(asking(None).await, [second]);
}

#[tokio::test]
async fn images_that_can_be_gone_back_to_are_known() {
    let (_folder, rollouts) = open();
    let of = |place: usize, service: &str| NewRollout {
        fact: json!({"fact": "planned", "plan": {"image": format!("{service}@sha256:{place}"), "name": "image"}}),
        view: json!({"words": "planned", "was": [{"image": "shop:old"}, {"image": null}]}),
        ..new(&format!("{service}/{place}"), service)
    };
    for place in 0..GONE_BACK_TO_MAX + 2 {
        rollouts.create(of(place, "orders")).await.unwrap();
    }
    rollouts.create(of(0, "web")).await.unwrap();
    let images = rollouts.images().await.unwrap();
    let newest = (2..GONE_BACK_TO_MAX + 2).map(|place| format!("orders@sha256:{place}"));
    let expected: BTreeSet<String> = newest.chain(["web@sha256:0".to_owned(), "shop:old".to_owned()]).collect();
    assert_eq!(images, expected);
}
