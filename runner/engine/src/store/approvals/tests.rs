//! Tokens: used once, of one thing, wrong five times at most.

use jiff::SignedDuration;

use super::*;
use crate::store::{NewRun, Options, SqliteStore};

async fn world() -> (tempfile::TempDir, Approvals, RunId) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
    let new = NewRun { repository: "octo/shop".into(), sha: "1".repeat(40), ..NewRun::default() };
    let run = SqliteStore::on(database.clone()).create_run(new).await.unwrap().id;
    (folder, Approvals::on(database), run)
}

fn new(run: RunId, subject: &str) -> NewApproval {
    let expires_at = now() + SignedDuration::from_hours(1_000);
    NewApproval { run, environment: "Production".into(), subject: subject.into(), expires_at }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

#[tokio::test]
async fn a_token_is_used_once_and_kept_as_a_digest() {
    let (folder, approvals, run) = world().await;
    let (id, ada) = approvals.ask(new(run, "s"), "Ada@example.com", now()).await.unwrap().unwrap();
    let (same, bob) = approvals.ask(new(run, "s"), "bob@example.com", now()).await.unwrap().unwrap();
    let (other, _) = approvals.ask(new(run, "t"), "bob@example.com", now()).await.unwrap().unwrap();
    assert!(id == same && id != other && ada.expose() != bob.expose(), "one approval is of one subject");
    assert!(approvals.ask(new(RunId(99), "s"), "bob@example.com", now()).await.unwrap().is_none());
    let found = approvals.find(&id).await.unwrap().unwrap();
    assert_eq!((found.run, found.sha.len(), found.environment.as_str()), (run, 40, "production"));
    assert_eq!(found.expires_at, now() + SignedDuration::from_hours(LINK_HOURS_MAX));
    let good = Token::Good("ada@example.com".into());
    for _ in 0..3 {
        assert_eq!(approvals.look(&id, &ada, now()).await.unwrap(), good);
    }
    let (first, second) =
        tokio::join!(approvals.take(&id, &ada, " PRODUCTION ", now()), approvals.take(&id, &ada, "production", now()));
    let used = Token::Used("ada@example.com".into());
    assert_eq!([first.unwrap(), second.unwrap()].iter().filter(|token| **token == good).count(), 1);
    assert_eq!(approvals.look(&id, &ada, now()).await.unwrap(), used);
    approvals.give_back(&ada).await.unwrap();
    assert_eq!(approvals.look(&id, &ada, now()).await.unwrap(), good);
    assert_eq!(approvals.look(&other, &ada, now()).await.unwrap(), Token::Wrong, "it is of another one");
    let late = now() + SignedDuration::from_hours(LINK_HOURS_MAX);
    assert_eq!(approvals.take(&id, &bob, "production", late).await.unwrap(), Token::Expired);
    for name in ["pipe.db", "pipe.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        let is_in = |token: &Secret| bytes.windows(token.expose().len()).any(|part| part == token.expose().as_bytes());
        assert!(!is_in(&ada) && !is_in(&bob), "{name}");
    }
    assert_eq!(approvals.prune(late + SignedDuration::from_secs(1)).await.unwrap(), 2);
    assert_eq!(approvals.look(&id, &ada, now()).await.unwrap(), Token::Wrong);
}

#[tokio::test]
async fn five_wrong_tries_shut_it() {
    let (_folder, approvals, run) = world().await;
    let (id, token) = approvals.ask(new(run, "s"), "ada@example.com", now()).await.unwrap().unwrap();
    let none = Secret::new("none");
    for wrong in [("staging", &token), ("", &token), ("production", &none), ("production", &none), ("x", &none)] {
        assert_eq!(approvals.take(&id, wrong.1, wrong.0, now()).await.unwrap(), Token::Wrong);
    }
    assert_eq!(approvals.take(&id, &token, "production", now()).await.unwrap(), Token::Locked);
    assert_eq!(approvals.find(&id).await.unwrap().unwrap().tries, TRIES_MAX);
}
