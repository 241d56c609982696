//! Order in a lane, replacing, positions, uncertainty, giving up.

use super::*;
use crate::store::{NewRun, Options, RunLog as _, SqliteStore};
use workflow::run::{Conclusion, EVENT_VERSION, RunEvent};

struct World {
    _folder: tempfile::TempDir,
    database: Database,
    outbox: Outbox,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
        Self { _folder: folder, outbox: Outbox::on(database.clone()), database }
    }

    async fn run(&self, facts: &[RunEvent]) -> RunId {
        let store = SqliteStore::on(self.database.clone());
        let new = NewRun {
            repository: "a/b".into(),
            workflow: "ci.yml".into(),
            event: "push".into(),
            git_ref: "refs/heads/main".into(),
            sha: "0".repeat(40),
            started_at: "2026-01-01T00:00:00Z".into(),
            ..NewRun::default()
        };
        let run = store.create_run(new).await.unwrap().id;
        let facts: Vec<_> = facts
            .iter()
            .zip(1..)
            .map(|(event, seq)| Recorded { v: EVENT_VERSION, seq, at: Timestamp::UNIX_EPOCH, event: event.clone() })
            .collect();
        store.append(run, &facts).await.unwrap();
        run
    }

    /// What is due at a second, as texts, in order.
    async fn due(&self, second: i64) -> Vec<String> {
        let due = self.outbox.due(at(second), 100).await.unwrap();
        let ids: Vec<_> = due.iter().map(|due| due.id as i64).collect();
        let body = |connection: &rusqlite::Connection, id: i64| {
            connection.query_row("SELECT lane || ' ' || body FROM outbox WHERE id = ?1", [id], |row| row.get(0))
        };
        self.database.read(move |connection| ids.iter().map(|id| body(connection, *id)).collect()).await.unwrap()
    }

    /// Begins the first.
    async fn begin(&self) -> Message {
        let first = self.outbox.due(at(1_000_000), 1).await.unwrap().pop().unwrap();
        self.outbox.begin(first.id).await.unwrap().unwrap()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn message(lane: &str, subject: &str, replaces: bool, body: &str) -> NewMessage {
    NewMessage {
        target: "github".into(),
        kind: "status".into(),
        lane: lane.into(),
        subject: subject.into(),
        replaces,
        at_most: None,
        body: body.into(),
    }
}

fn again(second: i64, uncertain: bool) -> Again {
    Again { not_before: at(second), uncertain, counts: true, problem: "502".into() }
}

#[tokio::test]
async fn a_lane_waits_for_its_first() {
    let world = World::new();
    let messages = ["a", "b", "c"].map(|body| message("x", body, true, body)).into_iter();
    world.outbox.put(messages.chain([message("y", "d", true, "d")]).collect(), at(0)).await.unwrap();
    assert_eq!(world.due(0).await, ["x a", "y d"]);
    let first = world.begin().await;
    assert_eq!(world.outbox.begin(first.id).await.unwrap(), None);
    assert_eq!(world.due(0).await, ["y d"]);
    world.outbox.failed(first.id, again(60, true)).await.unwrap();
    assert_eq!(world.due(59).await, ["y d"]);
    assert_eq!(world.outbox.next_due(at(0)).await.unwrap(), Some(at(60)));
    let first = world.begin().await;
    assert_eq!((first.body.as_str(), first.attempts, first.uncertain), ("a", 1, true));
    world.outbox.arrived(first.id, Some("77".into()), at(61)).await.unwrap();
    assert_eq!(world.outbox.remote("github", "a").await.unwrap().as_deref(), Some("77"));
    assert_eq!(world.due(61).await, ["x b", "y d"]);
    world.outbox.give_up(world.begin().await.id, "refused".into()).await.unwrap();
    assert_eq!(world.due(61).await, ["x c", "y d"]);
    assert_eq!(world.outbox.depth().await.unwrap(), Depth { open: 2, given_up: 1 });
    let listed = world.outbox.list(None, 10).await.unwrap();
    let given_up = listed.iter().find(|listed| listed.state == State::GivenUp).unwrap();
    assert_eq!(given_up.problem.as_deref(), Some("refused"));
    assert_eq!(world.outbox.prune(at(100), Duration::from_secs(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_overtaken_is_not_sent_unless_it_is_on_its_way() {
    let world = World::new();
    let put = |body: &'static str, replaces| world.outbox.put(vec![message("x", "build", replaces, body)], at(0));
    put("queued", true).await.unwrap();
    let first = world.begin().await;
    put("in_progress", true).await.unwrap();
    put("completed", true).await.unwrap();
    // The one that is being sent stays first, the one behind it is gone.
    assert_eq!(world.outbox.depth().await.unwrap().open, 2);
    assert!(world.due(0).await.is_empty());
    world.outbox.failed(first.id, again(0, true)).await.unwrap();
    assert_eq!(world.due(0).await, ["x queued"]);
    // One that may have arrived hands its doubt on to what replaces it.
    put("again", true).await.unwrap();
    let last = world.begin().await;
    assert_eq!((last.body.as_str(), last.uncertain), ("again", true));
    put("deployment", false).await.unwrap();
    world.outbox.drop_message(last.id).await.unwrap();
    assert_eq!(world.due(0).await, ["x deployment"]);
}

#[tokio::test]
async fn an_attempt_of_a_killed_process_is_uncertain() {
    let world = World::new();
    world.outbox.put(vec![message("x", "a", true, "a")], at(0)).await.unwrap();
    assert!(!world.begin().await.uncertain);
    assert_eq!(world.outbox.recover().await.unwrap(), 1);
    assert!(world.begin().await.uncertain);
}

#[tokio::test]
async fn messages_and_position_are_one() {
    let world = World::new();
    let over = world.run(&[RunEvent::RunStarted, RunEvent::RunFinished { conclusion: Conclusion::Success }]).await;
    let open = world.run(&[RunEvent::RunStarted]).await;
    // The first time, what is over counts as reported.
    world.outbox.recover().await.unwrap();
    let from = Position { run: open, seq: 0 };
    assert_eq!(world.outbox.open_runs().await.unwrap(), [from]);
    assert_eq!(world.outbox.facts(open, 0).await.unwrap().len(), 1);
    let record = |from, to, is_over| {
        world.outbox.record(
            from,
            to,
            is_over,
            News { messages: vec![message("x", "a", true, "a")], ..News::default() },
            at(0),
        )
    };
    assert!(record(from, 1, false).await.unwrap());
    assert!(!record(from, 1, false).await.unwrap());
    assert!(!record(Position { run: over, seq: 0 }, 2, true).await.unwrap());
    assert_eq!(world.outbox.depth().await.unwrap().open, 1);
    assert!(world.outbox.facts(open, 1).await.unwrap().is_empty());
    // Later runs are reported from their beginning, even when they are over.
    world.outbox.recover().await.unwrap();
    let quick = world.run(&[RunEvent::RunStarted, RunEvent::RunFinished { conclusion: Conclusion::Success }]).await;
    assert_eq!(world.outbox.open_runs().await.unwrap(), [Position { run: quick, seq: 0 }]);
    assert!(record(Position { run: quick, seq: 0 }, 2, true).await.unwrap());
    assert_eq!(world.outbox.open_runs().await.unwrap(), []);
}

#[tokio::test]
async fn the_first_run_of_a_new_server_is_reported() {
    let world = World::new();
    world.outbox.recover().await.unwrap();
    let quick = world.run(&[RunEvent::RunFinished { conclusion: Conclusion::Success }]).await;
    assert_eq!(world.outbox.open_runs().await.unwrap(), [Position { run: quick, seq: 0 }]);
}

#[tokio::test]
async fn one_that_was_given_up_can_be_tried_again() {
    let world = World::new();
    world.outbox.put(vec![message("x", "a", true, "a")], at(0)).await.unwrap();
    let id = world.begin().await.id;
    assert!(!world.outbox.retry(id, at(5)).await.unwrap());
    world.outbox.give_up(id, "é".repeat(PROBLEM_BYTES_MAX)).await.unwrap();
    assert!(world.outbox.retry(id, at(5)).await.unwrap());
    let again = world.begin().await;
    assert_eq!((again.created_at, again.uncertain), (at(5), true));
}
