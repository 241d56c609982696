//! Keeping, knowing again, handing out, ending, pruning; the registered repositories.

use super::*;
use crate::store::repositories::{NewRepository, Repositories};
use crate::store::{Options, RunLog as _, SqliteStore};
use workflow::run::{EVENT_VERSION, RunEvent};

fn open(folder: &tempfile::TempDir) -> Database {
    Database::open(&folder.path().join("x.db"), Options::SERVER).unwrap()
}

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap()
}

fn new(guid: &str, body: &str, hours: i64) -> NewDelivery {
    NewDelivery {
        guid: guid.into(),
        forge: Forge::Github,
        event: "push".into(),
        repository: "a/b".into(),
        received_at: at(hours),
        sha256: sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(body)).into(),
        headers: vec![("user-agent".into(), "GitHub-Hookshot/1".into())],
        body: body.into(),
        ignored: None,
    }
}

#[tokio::test]
async fn a_delivery_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let deliveries = Deliveries::on(open(&folder));
    let first = Kept::New { number: 1 };
    assert_eq!(deliveries.keep(new("g1", "one", 0)).await.unwrap(), first);
    for (guid, body, hours, expected) in [
        ("g1", "one", 1, Kept::Duplicate { number: 1 }),
        ("g1", "one", 24 * 30, Kept::Duplicate { number: 1 }),
        ("g1", "two", 1, Kept::Conflict),
        ("g2", "one", 23, Kept::Duplicate { number: 1 }),
        ("g3", "one", 25, Kept::New { number: 2 }),
        ("g2", "two", 1, Kept::New { number: 3 }),
    ] {
        assert_eq!(deliveries.keep(new(guid, body, hours)).await.unwrap(), expected, "{guid} {body} {hours}");
    }
    let other = NewDelivery { repository: "a/c".into(), ..new("g4", "one", 1) };
    assert_eq!(deliveries.keep(other).await.unwrap(), Kept::New { number: 4 });
    let many = (0..50).map(|_| deliveries.keep(new("same", "at once", 1)));
    let many: Vec<_> = futures_util::future::join_all(many).await;
    let made = many.into_iter().filter(|kept| matches!(kept, Ok(Kept::New { .. }))).count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn it_is_handed_out_until_it_is_done_and_its_runs_are_made_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder);
    let deliveries = Deliveries::on(database.clone());
    let long = format!("{{\"text\": \"{}\"}}", "long ".repeat(10_000));
    for (guid, body) in [("g1", "one"), ("g2", long.as_str()), ("g3", "three")] {
        deliveries.keep(new(guid, body, 0)).await.unwrap();
    }
    let ignored = NewDelivery { ignored: Some("starts nothing".into()), ..new("g4", "four", 0) };
    deliveries.keep(ignored).await.unwrap();
    deliveries.keep(NewDelivery { repository: "a/c".into(), ..new("g5", "five", 0) }).await.unwrap();
    let waiting = |list: Vec<Delivery>| list.into_iter().map(|delivery| delivery.number).collect::<Vec<_>>();
    assert_eq!(waiting(deliveries.waiting().await.unwrap()), [1, 5]);
    let fact = Recorded { v: EVENT_VERSION, seq: 1, at: at(0), event: RunEvent::RunStarted };
    let row = |workflow: &str| NewRun {
        repository: "a/b".into(),
        workflow: workflow.into(),
        event: "push".into(),
        git_ref: "refs/heads/main".into(),
        sha: "0".repeat(40),
        ..NewRun::default()
    };
    let runs = || {
        ["ci.yml", "cd.yml"].map(|workflow| {
            let fact = fact.clone();
            RunOfDelivery { run: row(workflow), spec: None, facts: Box::new(|_| vec![fact]) }
        })
    };
    let made = deliveries.make_runs(1, runs().into()).await.unwrap().unwrap();
    assert_eq!(made.iter().map(|numbers| numbers.id).collect::<Vec<_>>(), [RunId(1), RunId(2)]);
    assert_eq!(deliveries.make_runs(1, runs().into()).await.unwrap(), None, "not twice");
    assert_eq!(SqliteStore::on(database.clone()).read(RunId(2)).await.unwrap(), std::slice::from_ref(&fact));
    assert!(deliveries.finish(3, DeliveryState::Failed("no such commit".into())).await.unwrap());
    assert!(!deliveries.finish(3, DeliveryState::Processed).await.unwrap());
    let shown = deliveries.show(1).await.unwrap().unwrap();
    assert_eq!((shown.delivery.state, shown.delivery.runs), (DeliveryState::Processed, vec![RunId(1), RunId(2)]));
    let shown = deliveries.show(2).await.unwrap().unwrap();
    assert_eq!((shown.body, shown.delivery.received_at), (long.into_bytes(), at(0)));
    assert_eq!(shown.headers, new("", "", 0).headers);
    let failed = DeliveryFilter { state: Some("failed".into()), limit: 10, ..DeliveryFilter::default() };
    assert_eq!(deliveries.list(failed).await.unwrap()[0].state, DeliveryState::Failed("no such commit".into()));
    let number = deliveries.find("g3").await.unwrap().unwrap();
    assert!(deliveries.replay(number).await.unwrap() && !deliveries.replay(99).await.unwrap());
    assert_eq!(waiting(deliveries.next_of(Forge::Github, "a/b").await.unwrap().into_iter().collect()), [2]);
    deliveries.finish(2, DeliveryState::Processed).await.unwrap();
    assert_eq!(waiting(deliveries.waiting().await.unwrap()), [3, 5]);
    assert_eq!(deliveries.prune(at(24 * 6), Duration::ZERO).await.unwrap(), 0, "kept for seven days");
    assert_eq!(deliveries.prune(at(24 * 8), Duration::ZERO).await.unwrap(), 3, "what waits stays");
    let all = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    assert_eq!(waiting(deliveries.list(all).await.unwrap()), [5, 3]);
}

/// The same move of a ref, told with another id and body.
#[tokio::test]
async fn w04_the_same_push_is_known_by_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let deliveries = Deliveries::on(open(&folder));
    let push = |number, git_ref: &str, sha: &str, hours| SamePush {
        number,
        forge: Forge::Github,
        repository: "a/b".into(),
        git_ref: git_ref.into(),
        sha: sha.into(),
        at: at(hours),
    };
    let keep = async |body: &str, hours| match deliveries.keep(new(body, body, hours)).await.unwrap() {
        Kept::New { number } => number,
        Kept::Duplicate { .. } | Kept::Conflict => panic!("{body} is known"),
    };
    let build = async |number, sha: &str, hours| {
        let run = NewRun {
            repository: "a/b".into(),
            forge: "github".into(),
            event: "push".into(),
            git_ref: "refs/heads/main".into(),
            sha: sha.into(),
            started_at: at(hours).to_string(),
            workflow: "ci.yml".into(),
            ..NewRun::default()
        };
        let run = RunOfDelivery { run, spec: None, facts: Box::new(|_| Vec::new()) };
        deliveries.make_runs(number, vec![run]).await.unwrap().unwrap()[0].id
    };
    let same = async |push| deliveries.same_push(push).await.unwrap();
    let first = keep("one", 0).await;
    assert_eq!(same(push(first, "refs/heads/main", "a", 0)).await, None);
    let run = build(first, "a", 0).await;
    let again = keep("one, told by another hook", 1).await;
    assert_eq!(same(push(again, "refs/heads/main", "a", 1)).await, Some(run));
    assert_eq!(same(push(first, "refs/heads/main", "a", 1)).await, None, "its own run");
    assert_eq!(same(push(again, "refs/heads/other", "a", 1)).await, None);
    assert_eq!(same(push(again, "refs/heads/main", "b", 1)).await, None);
    assert_eq!(same(push(again, "refs/heads/main", "a", 25)).await, None, "a day later");
    let other = SamePush { repository: "a/c".into(), ..push(again, "refs/heads/main", "a", 1) };
    assert_eq!(same(other).await, None);
    deliveries.finish(again, DeliveryState::Ignored("the same".into())).await.unwrap();
    deliveries.replay(again).await.unwrap();
    assert_eq!(same(push(again, "refs/heads/main", "a", 1)).await, None, "somebody wants it");
    let moved = keep("two", 2).await;
    build(moved, "b", 2).await;
    let back = keep("three", 3).await;
    assert_eq!(same(push(back, "refs/heads/main", "a", 3)).await, None, "moved there again");
    let run = build(back, "a", 3).await;
    let gone = keep("four", 4).await;
    let anew = keep("five", 5).await;
    assert_eq!(same(push(anew, "refs/heads/main", "a", 5)).await, Some(run));
    deliveries.finish(gone, DeliveryState::Ignored(deleted_reason("refs/heads/main"))).await.unwrap();
    assert_eq!(same(push(anew, "refs/heads/main", "a", 5)).await, None, "deleted and made anew");
}

#[tokio::test]
async fn repositories_are_one_whatever_their_case() {
    let folder = tempfile::tempdir().unwrap();
    let repositories = Repositories::on(open(&folder));
    let new = |name: &str, secret: &[u8]| NewRepository {
        forge: Forge::Gitea,
        full_name: name.into(),
        url: "https://git.test/a/b.git".into(),
        secret: secret.into(),
        fetch: None,
        created_at: at(0),
    };
    let id = repositories.put(new("A/b", b"1")).await.unwrap();
    assert_eq!(repositories.put(new("a/B", b"2")).await.unwrap(), id);
    let found = repositories.find(Forge::Gitea, "a/b").await.unwrap().unwrap();
    assert_eq!((found.full_name.as_str(), found.secret.as_slice()), ("A/b", b"2".as_slice()));
    assert_eq!(repositories.find(Forge::Github, "a/b").await.unwrap(), None);
    assert_eq!(repositories.all().await.unwrap(), [found]);
    assert!(repositories.remove(Forge::Gitea, "a/b").await.unwrap());
    assert_eq!(repositories.all().await.unwrap(), []);
}
