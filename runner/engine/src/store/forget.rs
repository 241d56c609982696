//! Runs that are removed whole once they are old: their facts, what they were asked for, what tools reported of them.
//!
//! A run goes with all of its attempts or not at all. What stays whatever its age: one that goes on, or has not been counted
//! and reported yet; one that deployed, rolled out or was approved, since what stands, what may be gone back to and who let it
//! through are told from it; and the newest of each workflow, which gives the next one its number.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::sqlite::SqliteStore;
use super::{RunId, StoreError};

/// Runs that are removed in one transaction: others write in between.
const AT_ONCE: usize = 100;
/// Runs of one look; the next one goes on.
const OLD_MAX: usize = 10_000;

/// Of what a run leaves behind that has no `ON DELETE`; that of others (verdicts and findings of scans, deliveries) is kept for as
/// long as they say.
const ROWS: [&str; 4] = [
    "DELETE FROM events WHERE run = ?1",
    "DELETE FROM run_specs WHERE run = ?1",
    "DELETE FROM reported WHERE run = ?1",
    "DELETE FROM runs WHERE id = ?1",
];

impl SqliteStore {
    /// Runs of which all attempts ended before a time and that nothing needs, oldest first, at most ten thousand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn old_runs(&self, before: Timestamp) -> Result<Vec<RunId>, StoreError> {
        self.database().read(move |connection| old(connection, before, Of::All)).await
    }

    /// Removes runs, all that are still old by then. How many.
    ///
    /// # Errors
    /// The database said no; what was removed before that stays removed.
    pub async fn forget_runs(&self, runs: &[RunId], before: Timestamp) -> Result<usize, StoreError> {
        let mut count = 0;
        for some in runs.chunks(AT_ONCE) {
            let some = some.to_vec();
            let write = move |transaction: &Transaction<'_>| {
                let mut gone = 0;
                for first in some {
                    // Somebody may have run one again since. Later attempts name earlier ones.
                    for run in old(transaction, before, Of::Chain(first))?.into_iter().rev() {
                        remove(transaction, run)?;
                        gone += 1;
                    }
                }
                Ok(gone)
            };
            count += self.database().write_surely(write).await?;
        }
        Ok(count)
    }
}

fn remove(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    ROWS.iter().try_for_each(|statement| connection.prepare_cached(statement)?.execute([run.0]).map(drop))
}

/// Which runs are looked at.
#[derive(Debug, Clone, Copy)]
enum Of {
    All,
    /// The attempts of this first one.
    Chain(RunId),
}

/// All attempts of a run carry the number of the first.
fn old(connection: &Connection, before: Timestamp, of: Of) -> rusqlite::Result<Vec<RunId>> {
    let (which, chain) = match of {
        Of::All => ("WHERE ?3 = 0", 0),
        Of::Chain(RunId(first)) => ("WHERE id = ?3 OR first = ?3", first),
    };
    let select = format!(
        "WITH chains AS (
            SELECT coalesce(first, id) AS chain FROM runs {which} GROUP BY chain
            HAVING min(status = 'completed' AND finished_at < ?1) = 1
               AND min(counted = 1 OR NOT EXISTS (SELECT 1 FROM run_specs WHERE run = id)) = 1
               AND max(id) < (SELECT max(id) FROM runs)
            ORDER BY chain LIMIT ?2
        )
        SELECT id FROM chains JOIN runs ON id = chain OR first = chain
        WHERE NOT EXISTS (
            SELECT 1 FROM runs AS one WHERE (one.id = chain OR one.first = chain) AND (
                EXISTS (SELECT 1 FROM deployments WHERE run = one.id)
                OR EXISTS (SELECT 1 FROM rollouts WHERE run = one.id)
                OR EXISTS (SELECT 1 FROM approvals WHERE run = one.id)
                OR EXISTS (SELECT 1 FROM run_specs WHERE run = one.id)
                   AND NOT EXISTS (SELECT 1 FROM reported WHERE run = one.id AND is_over = 1)
                OR one.number = (
                    SELECT max(number) FROM runs AS other
                    WHERE other.repository = one.repository AND other.workflow = one.workflow
                )
            )
        )
        ORDER BY id"
    );
    let mut select = connection.prepare_cached(&select)?;
    select.query_map(params![before.to_string(), OLD_MAX, chain], |row| row.get(0).map(RunId))?.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Transaction;
    use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

    use super::*;
    use crate::store::{Database, NewRun, Options, RunLog as _};

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    struct World {
        store: SqliteStore,
        _folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
            Self { store: SqliteStore::on(database), _folder: folder }
        }

        /// A run of a workflow that ended on this day.
        async fn run(&self, workflow: &str, rerun_of: Option<RunId>, day: Option<i64>) -> RunId {
            let new = NewRun {
                repository: "o/r".into(),
                workflow: workflow.into(),
                started_at: at(0).to_string(),
                rerun_of,
                ..NewRun::default()
            };
            let run = self.store.create_run(new).await.unwrap().id;
            if let Some(day) = day {
                let event = RunEvent::RunFinished { conclusion: Conclusion::Success };
                self.store.append(run, &[Recorded { v: EVENT_VERSION, seq: 1, at: at(day), event }]).await.unwrap();
            }
            run
        }

        async fn write(&self, statement: &str, run: RunId) {
            let statement = statement.to_owned();
            let write = move |transaction: &Transaction<'_>| transaction.execute(&statement, [run.0]).map(drop);
            self.store.database().write_surely(write).await.unwrap();
        }

        async fn count(&self, table: &str, run: RunId) -> u64 {
            let select = format!("SELECT count(*) FROM {table} WHERE run = ?1");
            self.store.database().read(move |it| it.query_row(&select, [run.0], |row| row.get(0))).await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_is_old_and_needed_by_nobody_goes_whole() {
        let world = World::new();
        let plain = world.run("ci.yml", None, Some(1)).await;
        let deployed = world.run("ci.yml", None, Some(1)).await;
        let uncounted = world.run("ci.yml", None, Some(1)).await;
        let unreported = world.run("ci.yml", None, Some(1)).await;
        let served = world.run("ci.yml", None, Some(1)).await;
        let again = world.run("ci.yml", None, Some(1)).await;
        let later = world.run("ci.yml", Some(again), Some(5)).await;
        let _goes_on = world.run("ci.yml", None, None).await;
        let newest_of_other = world.run("other.yml", None, Some(1)).await;
        let newest = world.run("ci.yml", None, Some(1)).await;
        world
            .write(
                "INSERT INTO deployments (run, job, repository, environment, state, started_at)
                 VALUES (?1, 'd', 'o/r', 'prod', 'success', 0)",
                deployed,
            )
            .await;
        for (run, is_counted, is_reported) in [(uncounted, 0, 1), (unreported, 1, 0), (served, 1, 1)] {
            world.write("INSERT INTO run_specs (run, body) VALUES (?1, x'00')", run).await;
            world.write(&format!("INSERT INTO reported VALUES (?1, 1, {is_reported})"), run).await;
            world.write(&format!("UPDATE runs SET counted = {is_counted} WHERE id = ?1"), run).await;
        }
        for (day, expected) in [(1, vec![]), (2, vec![plain, served]), (6, vec![plain, served, again, later])] {
            assert_eq!(world.store.old_runs(at(day)).await.unwrap(), expected, "day {day}");
        }
        let gone = world.store.forget_runs(&[plain, deployed, served, again, later, newest], at(6)).await.unwrap();
        assert_eq!(gone, 4, "what is not old stays, though it was asked for");
        for run in [plain, served, again, later] {
            assert_eq!(world.store.run_row(run).await.unwrap(), None);
            for table in ["events", "run_specs", "reported"] {
                assert_eq!(world.count(table, run).await, 0, "{table} of {run}");
            }
        }
        for run in [deployed, uncounted, unreported, newest_of_other, newest] {
            assert!(world.store.run_row(run).await.unwrap().is_some(), "{run}");
        }
        // Numbers and ids go on.
        let next =
            world.store.create_run(NewRun { repository: "o/r".into(), workflow: "ci.yml".into(), ..NewRun::default() });
        let next = next.await.unwrap();
        assert!(next.id > newest && next.number == 9, "{next:?}");
    }
}
