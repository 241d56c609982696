//! Gates and rollouts in a database, and what a channel is told of them.

use engine::notify::{Audience, Channel, Form};
use engine::step::trial::Trial;
use engine::store::rollouts::{Addition, NewRollout, RolloutState};
use engine::store::{Database, NewRun, Options, RunLog as _, SqliteStore};
use serde_json::json;
use workflow::run::{EVENT_VERSION, JobRunKey, Recorded};

use super::*;
use crate::action::approve::Approve;

struct World {
    rollouts: Rollouts,
    outbox: Outbox,
    store: SqliteStore,
    trial: Trial,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let store = SqliteStore::on(database.clone());
        let run = store.create_run(NewRun { repository: "o/r".into(), ..NewRun::default() }).await.unwrap();
        let mut trial = Trial::new(folder.path().to_path_buf(), folder.path().join("w"), folder.path());
        (trial.run.environment, trial.run.id) = (Some("production".into()), run.id);
        let outbox = Outbox::on(database.clone());
        Self { rollouts: Rollouts::on(database), outbox, store, trial, _folder: folder }
    }

    /// As a server begins to watch.
    fn watch(&self) -> Watch {
        let audience = Audience {
            target: "notify team".into(),
            on: Occasion::defaults(),
            environments: vec!["prod*".into()],
            per_minute: 20,
            ..Audience::default()
        };
        let channel = Channel { name: "team".into(), form: Form::Slack, place: String::new(), audience };
        let url = Some("https://ci.example/".to_owned());
        let herald = Herald::new(self.outbox.clone(), vec![channel], url, std::sync::Arc::default());
        Watch::new(self.rollouts.clone(), self.outbox.clone(), herald)
    }

    async fn told(&self) -> Vec<serde_json::Value> {
        let mut told = Vec::new();
        for one in self.outbox.told(None, None, 100).await.unwrap().iter().rev() {
            let message = self.outbox.begin(one.id).await.unwrap().unwrap();
            told.push(serde_json::from_str(&message.body).unwrap());
        }
        told
    }

    async fn fact(&self, seq: u64, event: RunEvent) {
        let fact = Recorded { v: EVENT_VERSION, seq, at: Timestamp::now(), event };
        self.store.append(self.trial.run.id, &[fact]).await.unwrap();
    }
}

/// A job that asks and is lost: people are told once, and asked no more when it is over.
#[tokio::test]
async fn people_are_told_of_gates_and_not_asked_for_nothing() {
    let world = World::new().await;
    let action = Approve { rollouts: Some(world.rollouts.clone()) };
    let inputs = [("subject", "Send the mails?"), ("name", "mails"), ("details", "to 1,203 people")];
    let asked = async {
        let mut changed = world.rollouts.changed();
        loop {
            changed.mark_unchanged();
            if let Some(row) = world.rollouts.asking(None).await.unwrap().pop().filter(|row| row.seq > 1) {
                return row;
            }
            changed.changed().await.unwrap();
        }
    };
    // Its process is killed: the step never ends its gate.
    let row = tokio::select! {
        row = asked => row,
        tried = world.trial.run(&action, &inputs) => panic!("{}", tried.log),
    };
    for _ in 0..2 {
        let mut watch = world.watch();
        watch.look(Timestamp::now()).await.unwrap();
        watch.look(Timestamp::now()).await.unwrap();
    }
    let told = world.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["event"], &told[0]["title"], &told[0]["lines"]),
        (
            &json!("review_requested"),
            &json!("Answer wanted for production"),
            &json!(["Send the mails?", "to 1,203 people"])
        )
    );
    let page = format!("https://ci.example/runs/{}/gates/{}", world.trial.run.id, row.id);
    assert_eq!((&told[0]["review"]["url"], &told[0]["review"]["gate"]), (&json!(page), &json!(row.id)));
    let mut watch = world.watch();
    let ended = |key: &str| RunEvent::JobRunFinished {
        key: JobRunKey::parse(key),
        conclusion: Conclusion::Failure,
        outputs: std::collections::BTreeMap::new(),
        message: None,
    };
    world.fact(1, ended("other")).await;
    watch.look(Timestamp::now()).await.unwrap();
    assert_eq!(world.rollouts.asking(None).await.unwrap().len(), 1, "another job's end is no reason");
    world.fact(2, ended(&row.job)).await;
    watch.look(Timestamp::now()).await.unwrap();
    assert!(world.rollouts.asking(None).await.unwrap().is_empty());
    let row = world.rollouts.get(row.id).await.unwrap().unwrap();
    let view = View::deserialize(&row.view).unwrap();
    assert_eq!(
        (view.outcome, view.words.as_str(), view.orders.len()),
        (Some(Outcome::Rejected), "the job ended before anybody answered", 0)
    );
    watch.look(Timestamp::now()).await.unwrap();
    assert_eq!(world.outbox.told(None, None, 100).await.unwrap().len(), 1);
}

#[test]
fn a_run_that_ends_ends_its_gates() {
    let finished = |conclusion| RunEvent::RunFinished { conclusion };
    let words = |event: &RunEvent| words_of_end(event, "a").unwrap_or_default();
    assert_eq!(words(&finished(Conclusion::Cancelled)), "the run was cancelled before anybody answered");
    assert_eq!(words(&finished(Conclusion::Failure)), "the run ended before anybody answered");
    assert_eq!(words(&RunEvent::RunStarted), "");
}

/// Each kind of a way back is told once, whoever began it.
#[tokio::test]
async fn people_are_told_of_what_went_back() {
    let world = World::new().await;
    let action = Approve { rollouts: Some(world.rollouts.clone()) };
    // The view of something that is over, to be changed.
    world.trial.run(&action, &[("timeout", "0s")]).await.result.unwrap_err();
    let view = world.rollouts.get(1).await.unwrap().unwrap().view;
    for (service, outcome, of) in [
        ("orders", "rolled-back", json!(null)),
        ("web", "succeeded", json!(7)),
        ("api", "stuck", json!(null)),
        ("quiet", "succeeded", json!(null)),
        ("refused", "rejected", json!(null)),
    ] {
        let mut view = view.clone();
        (view["service"], view["outcome"], view["rollback_of"]) = (service.into(), outcome.into(), of);
        view["words"] = "5 of 40 answers were errors".into();
        let new = NewRollout {
            key: service.into(),
            environment: "production".into(),
            service: service.into(),
            repository: "o/r".into(),
            run: None,
            job: String::new(),
            actor: "ada".into(),
            plan_hash: "sha256:1".into(),
            fact: json!({}),
            view: view.clone(),
            at: Timestamp::now(),
        };
        let row = world.rollouts.create(new).await.unwrap();
        let facts = vec![(Timestamp::now(), json!({}))];
        let state = RolloutState::Closed;
        let addition = Addition { seq: row.seq, token: None, facts, view, state, passing: None };
        world.rollouts.append(row.id, addition).await.unwrap();
    }
    world.watch().look(Timestamp::now()).await.unwrap();
    world.watch().look(Timestamp::now()).await.unwrap();
    let told = world.told().await;
    let titles: Vec<_> =
        told.iter().map(|one| (one["event"].as_str().unwrap(), one["title"].as_str().unwrap())).collect();
    let expected = [
        "Rolled back: orders in production",
        "Put back: web in production",
        "Stuck, and needs somebody: api in production",
    ];
    assert_eq!(titles, expected.map(|title| ("rollback", title)));
    assert_eq!(
        (&told[0]["url"], &told[0]["lines"]),
        (&json!("https://ci.example/rollouts/2"), &json!(["5 of 40 answers were errors"]))
    );
    // Who comes later is not told of what is long over.
    assert!(world.rollouts.ended_since(Timestamp::now() + SignedDuration::from_secs(60)).await.unwrap().is_empty());
}
