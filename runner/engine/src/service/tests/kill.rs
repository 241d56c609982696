//! The process is killed at every transaction of its database: a hook comes in, its run of three jobs is made and goes to
//! its end. Whatever the moment: what was acknowledged becomes one run, every job has one conclusion, no step runs
//! twice, logs are the same to the byte, nothing is left.

use workflow::run::RunEvent;

use super::*;
use crate::store::Moment;
use crate::store::deliveries::{DeliveryFilter, Kept, NewDelivery};

const JOBS: &str = r#"
first:
  runs-on: x
  outputs:
    word: ${{ steps.say.outputs.word }}
  steps:
    - id: say
      run: |
        out "one ${{ secrets.KEY }}\n"
        file OUTPUT "word=blue\n"
        sleep 3
        out "two\n"
    - run: exit 3
      continue-on-error: true
second:
  needs: first
  runs-on: x
  concurrency: g
  steps:
    - run: |
        out "${{ needs.first.outputs.word }}\n"
        sleep 3
third:
  runs-on: x
  concurrency: g
  steps:
    - run: |
        out "alone\n"
        sleep 3
    - if: always()
      run: out "still\n"
"#;

fn delivery() -> NewDelivery {
    NewDelivery {
        guid: "one".into(),
        forge: Forge::Github,
        event: "push".into(),
        repository: "o/r".into(),
        received_at: Timestamp::now(),
        sha256: [1; 32],
        headers: Vec::new(),
        body: b"{}".to_vec(),
        ignored: None,
    }
}

/// What must not depend on whether the process was killed.
#[derive(Debug, PartialEq)]
struct Outcome {
    ends: Vec<String>,
    logs: BTreeMap<String, String>,
    started: Vec<String>,
    left: Vec<String>,
}

impl World {
    /// One process, from its start to the end of all runs or its death: takes the hook if the forge has no answer yet,
    /// and makes runs of deliveries that wait. Gives the number of transactions, and whether it has died.
    async fn live(&self, acknowledged: &mut bool, kill: Option<(usize, Moment)>) -> (usize, bool) {
        let database = self.open();
        if let Some((transaction, moment)) = kill {
            database.kill_at(transaction, moment);
        }
        let life = self.serve(database);
        let work = async {
            let deliveries = &life.service.0.deliveries;
            if !*acknowledged {
                match deliveries.keep(delivery()).await {
                    Ok(Kept::New { .. } | Kept::Duplicate { .. }) => *acknowledged = true,
                    Ok(Kept::Conflict) => panic!("the same hook"),
                    Err(_died) => return std::future::pending().await,
                }
            }
            for waiting in deliveries.waiting().await.unwrap() {
                if life.service.make(Some(waiting.number), vec![spec(JOBS)]).await.is_err() {
                    return std::future::pending().await;
                }
            }
            life.until(RunId(1), "run_finished").await;
        };
        let broken = life.service.broken();
        let died = tokio::select! {
            () = work => false,
            () = broken.cancelled() => true,
            // A death while the hook is taken or the run is made, or after the last fact was told.
            () = dead(&life.database) => true,
            () = tokio::time::sleep(PATIENCE) => panic!("it hangs after {kill:?}"),
        };
        let transactions = life.database.transactions();
        life.stop.cancel();
        // Where it died, writes never end, as in a process that is gone.
        life.serving.abort();
        drop(life.serving.await);
        life.database.close().await;
        (transactions, died)
    }

    async fn outcome(&self) -> Outcome {
        let life = self.begin();
        let facts = life.until(RunId(1), "run_finished").await;
        assert_eq!(life.status(RunId(1)).await, RunStatus::Completed);
        assert!(life.service.0.store.run_row(RunId(2)).await.unwrap().is_none(), "one hook, one run");
        let all =
            life.service.0.deliveries.list(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap();
        assert_eq!(all.iter().map(|delivery| delivery.runs.clone()).collect::<Vec<_>>(), [[RunId(1)]]);
        // What the last process had still to remove is removed at the start, or when the run is put down.
        while life.service.load().0 > 0 {
            tokio::task::yield_now().await;
        }
        life.end().await;
        let starts = facts.iter().filter(|fact| matches!(fact.event, RunEvent::StepStarted { .. })).count();
        let mut left: Vec<_> =
            ["work", "run", "journals"].iter().flat_map(|name| names(&self.root.path().join(name))).collect();
        if self.placement.open() > 0 {
            left.push("a placed job".into());
        }
        let mut logs = texts(&self.logs(RunId(1)));
        // When lines came is another time in each life.
        logs.retain(|name, _| !name.ends_with(".times"));
        let everything = format!("{facts:?} {logs:?}");
        assert!(!everything.contains("known-secret"), "{everything}");
        assert_eq!(starts, 5);
        Outcome { ends: ends(&facts), logs, started: self.started(), left }
    }
}

async fn dead(database: &Database) {
    while !database.is_dead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    entries.iter().map(|entry| entry.path().display().to_string()).collect()
}

async fn undisturbed() -> (Outcome, usize) {
    let world = World::new(2);
    let (transactions, died) = world.live(&mut false, None).await;
    assert!(!died && transactions > 20, "{transactions}");
    let outcome = world.outcome().await;
    assert_eq!(outcome.ends, ["first success", "run success", "second success", "third success"]);
    assert_eq!(outcome.left, Vec::<String>::new());
    assert!(outcome.logs.values().any(|log| log.contains("blue")), "{outcome:#?}");
    (outcome, transactions)
}

/// `PIPE_TORTURE=1` kills at every moment of every transaction; otherwise at one moment of each.
#[tokio::test]
async fn killed_at_every_transaction() {
    let (expect, transactions) = undisturbed().await;
    let all = [Moment::Before, Moment::Committed, Moment::Kept];
    let long = std::env::var_os("PIPE_TORTURE").is_some();
    for transaction in 1..=transactions {
        let moments = if long { &all[..] } else { &all[transaction % 3..][..1] };
        for moment in moments {
            let kill = (transaction, *moment);
            let world = World::new(2);
            let mut acknowledged = false;
            let (_, died) = world.live(&mut acknowledged, Some(kill)).await;
            if died {
                let (_, died) = world.live(&mut acknowledged, None).await;
                assert!(!died);
            }
            assert_eq!(world.outcome().await, expect, "{kill:?}");
        }
    }
}

/// Killed again and again, after each second transaction.
#[tokio::test]
async fn killed_again_and_again() {
    let (expect, _) = undisturbed().await;
    let world = World::new(2);
    let mut acknowledged = false;
    for _ in 0..200 {
        let (_, died) = world.live(&mut acknowledged, Some((2, Moment::Committed))).await;
        if !died {
            return assert_eq!(world.outcome().await, expect);
        }
    }
    panic!("it never ends");
}
