//! What a server does from time to time whether or not anybody asks: logs, artifacts, caches and reports whose time is over
//! are removed, and room is made where a disk becomes full.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::collect::{Collected, DISK_PERCENT, Wish, collect};
use engine::folders::Folders;
use engine::kept::{Kept, KeptRules, Tidied};
use engine::placement::Placement;
use engine::store::listing::Listing;
use engine::store::reports::Reports;
use engine::store::rollouts::Rollouts;
use engine::store::{Database, SqliteStore, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::Size;

/// How often it looks whether a disk is full, and after how many such looks what is too old is removed.
const EVERY: Duration = Duration::from_secs(10 * 60);
const OLD_EVERY: u32 = 6;

/// How long reports of tests and coverage are kept where nothing is said.
const REPORT_DAYS: u64 = 90;

/// How long logs are kept where nothing is said: as long as GitHub keeps them.
const LOG_DAYS: u64 = 90;

/// `[retention]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RetentionTable {
    /// Days of artifacts that ask for no other number, and the most that can be asked for.
    pub artifact_days: Option<std::num::NonZeroU64>,
    /// Days after which an entry of a cache goes that nobody uses.
    pub cache_days: Option<std::num::NonZeroU64>,
    /// Caches of one repository on the disk.
    pub cache_size: Option<Size>,
    /// Room is made on disks that are fuller; 100: never.
    pub disk_percent: Option<u8>,
    /// Days of results of tests, and of coverage.
    pub report_days: Option<std::num::NonZeroU64>,
    /// Days of logs, from the end of their run.
    pub log_days: Option<std::num::NonZeroU64>,
    /// Days of runs, from their end; for ever where nothing is said.
    pub run_days: Option<std::num::NonZeroU64>,
}

impl RetentionTable {
    /// What the form alone does not say: the key, and why.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let days = self.run_days?.get();
        let artifacts = self.rules().artifact_days;
        (days < artifacts).then(|| {
            let why = "artifacts are found by their run";
            ("run-days", format!("`run-days` ({days}) must not be less than `artifact-days` ({artifacts}): {why}"))
        })
    }

    /// As those who keep them know it.
    pub fn rules(&self) -> KeptRules {
        let mut rules = KeptRules::default();
        rules.artifact_days = self.artifact_days.map_or(rules.artifact_days, std::num::NonZeroU64::get);
        if let Some(days) = self.cache_days {
            rules.cache_unused = Duration::from_secs(days.get().saturating_mul(24 * 60 * 60));
        }
        rules.cache_bytes = self.cache_size.map_or(rules.cache_bytes, Size::bytes);
        rules
    }
}

/// A server's folder, and what is in it.
#[derive(Debug)]
pub struct House {
    /// The folder.
    pub data: PathBuf,
    /// Artifacts and caches.
    pub kept: Kept,
    /// Runs.
    pub database: Database,
    /// The container engine.
    pub docker: Option<Arc<dyn Placement>>,
    /// From here on room is made.
    pub disk_percent: u8,
    /// How long reports are kept.
    pub reports: SignedDuration,
    /// How long logs are kept.
    pub logs: SignedDuration,
    /// How long runs are kept; `None`: for ever.
    pub runs: Option<SignedDuration>,
}

impl House {
    /// With the rules of a table.
    pub fn new(
        data: PathBuf,
        kept: Kept,
        database: Database,
        docker: Option<Arc<dyn Placement>>,
        table: &RetentionTable,
    ) -> Self {
        let (reports, logs) = (days(table.report_days, REPORT_DAYS), days(table.log_days, LOG_DAYS));
        let disk_percent = table.disk_percent.unwrap_or(DISK_PERCENT).min(100);
        let runs = table.run_days.map(|_| days(table.run_days, u64::MAX));
        Self { data, kept, database, docker, disk_percent, reports, logs, runs }
    }

    /// Keeps it in order: at once, then from time to time.
    pub async fn keep(self, stop: CancellationToken) {
        let mut looks = 0;
        loop {
            if looks % OLD_EVERY == 0 {
                once(self.kept.clone()).await;
                self.forget_reports().await;
                self.forget_logs(Timestamp::now()).await;
                self.forget_runs(Timestamp::now()).await;
            }
            looks += 1;
            self.make_room().await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn forget_reports(&self) {
        let before = Timestamp::now().checked_sub(self.reports).unwrap_or(Timestamp::MIN);
        match Reports::on(self.database.clone()).prune(before).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "reports that were kept long enough are removed"),
            Err(error) => tracing::warn!(%error, "old reports cannot be removed"),
        }
        if let Err(error) = Reports::on(self.database.clone()).verdicts().prune(before).await {
            tracing::warn!(%error, "old verdicts of scans cannot be removed");
        }
        if let Err(error) = Reports::on(self.database.clone()).scans().prune(before).await {
            tracing::warn!(%error, "old findings of scans cannot be removed");
        }
    }

    /// Logs of runs that ended long enough ago go; the runs stay.
    async fn forget_logs(&self, now: Timestamp) {
        let folders = Folders { state: self.data.clone(), runtime: self.data.clone() };
        let before = now.checked_sub(self.logs).unwrap_or(Timestamp::MIN);
        let looking = tokio::task::spawn_blocking({
            let folders = folders.clone();
            move || folders.with_logs()
        });
        let there = looking.await.unwrap_or_default();
        let old = match Listing::on(self.database.clone()).ended_before(before, there).await {
            Ok(old) => old,
            Err(error) => return tracing::warn!(%error, "which logs are old is not known"),
        };
        let count = old.len();
        let remove = move || old.into_iter().filter_map(|run| folders.remove_logs(run).err()).collect::<Vec<_>>();
        for error in tokio::task::spawn_blocking(remove).await.unwrap_or_default() {
            tracing::warn!(%error, "an old log cannot be removed");
        }
        if count > 0 {
            tracing::info!(runs = count, "logs that were kept long enough are removed");
        }
    }

    /// Runs that ended long enough ago and that nothing needs go whole.
    async fn forget_runs(&self, now: Timestamp) {
        let Some(runs) = self.runs else { return };
        let before = now.checked_sub(runs).unwrap_or(Timestamp::MIN);
        let store = SqliteStore::on(self.database.clone());
        match forget_runs(&store, &self.data, before).await {
            Ok((0, problems)) if problems.is_empty() => {}
            Ok((removed, problems)) => {
                tracing::info!(removed, "runs that were kept long enough are removed");
                problems.iter().for_each(|problem| tracing::warn!(problem, "an old run is not removed whole"));
            }
            Err(error) => tracing::warn!(%error, "old runs cannot be removed"),
        }
    }

    async fn make_room(&self) {
        let (listing, rollouts) = (Listing::on(self.database.clone()), Rollouts::on(self.database.clone()));
        let (spared_since, needed) = match tokio::join!(listing.oldest_open(Timestamp::MIN), rollouts.images()) {
            (Ok(spared_since), Ok(needed)) => (spared_since, needed),
            (Err(error), _) | (_, Err(error)) => {
                return tracing::warn!(%error, "whether room has to be made is not known");
            }
        };
        let wish = Wish { disk_percent: self.disk_percent, dry_run: false, spared_since, needed };
        let Collected { gone, bytes, problems, disks } =
            collect(&self.data, &self.kept, self.docker.as_ref(), wish).await;
        for one in &gone {
            tracing::info!(kind = one.kind, name = one.name, bytes = one.bytes, "removed, since the disk is full");
        }
        if !gone.is_empty() {
            tracing::info!(count = gone.len(), bytes, "room was made");
        }
        for disk in disks.iter().filter(|disk| disk.wanted_bytes > bytes) {
            let path = disk.path.display();
            tracing::warn!(%path, percent = disk.percent, "the disk is full, and nothing more of ours may go");
        }
        problems.iter().for_each(|problem| tracing::warn!(problem, "room could not be made"));
    }
}

/// Removes runs that ended before a time and that nothing needs: first their files, so that what is cut short is found again by
/// their rows. How many, and what could not be removed.
///
/// # Errors
/// The store said no.
pub async fn forget_runs(
    store: &SqliteStore,
    data: &Path,
    before: Timestamp,
) -> Result<(usize, Vec<String>), StoreError> {
    let old = store.old_runs(before).await?;
    let folders = Folders { state: data.to_owned(), runtime: data.to_owned() };
    let removing = tokio::task::spawn_blocking(move || {
        let (mut gone, mut problems) = (Vec::with_capacity(old.len()), Vec::new());
        for run in old {
            match folders.remove_run(run) {
                Ok(()) => gone.push(run),
                Err(error) => problems.push(format!("files of run {run}: {error}")),
            }
        }
        (gone, problems)
    });
    let (gone, problems) = removing.await.unwrap_or_default();
    Ok((store.forget_runs(&gone, before).await?, problems))
}

fn days(given: Option<std::num::NonZeroU64>, usual: u64) -> SignedDuration {
    let days = given.map_or(usual, std::num::NonZeroU64::get);
    SignedDuration::from_hours(i64::try_from(days).unwrap_or(i64::MAX / 10_000).saturating_mul(24))
}

async fn once(kept: Kept) {
    match tokio::task::spawn_blocking(move || kept.tidy()).await {
        Ok(Ok(Tidied { artifacts: 0, caches: 0, bytes: 0 })) => {}
        Ok(Ok(Tidied { artifacts, caches, bytes })) => {
            tracing::info!(artifacts, caches, bytes, "what was kept long enough is removed");
        }
        Ok(Err(error)) => tracing::warn!(%error, "artifacts and caches cannot be tidied"),
        Err(error) => tracing::error!(%error, "a bug in pipe: tidying ended"),
    }
}

#[cfg(test)]
mod tests {
    use engine::store::{NewRun, Options, RunId, RunLog as _};
    use workflow::run::{Conclusion, EVENT_VERSION, Recorded, RunEvent};

    use super::*;

    #[tokio::test]
    async fn logs_go_when_their_run_ended_long_enough_ago() {
        let data = tempfile::tempdir().unwrap();
        let database = Database::open(&data.path().join("pipe.db"), Options::LOCAL).unwrap();
        let store = SqliteStore::on(database.clone());
        let table = RetentionTable { log_days: std::num::NonZeroU64::new(2), ..RetentionTable::default() };
        let kept = Kept::new(data.path(), table.rules());
        let house = House::new(data.path().to_owned(), kept, database, None, &table);
        let at = |hour: i64| Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap();
        // The last one goes on.
        for end in [Some(0), Some(1), None] {
            let new = NewRun { started_at: at(-100).to_string(), ..NewRun::default() };
            let run = store.create_run(new).await.unwrap().id;
            std::fs::create_dir_all(data.path().join(format!("runs/{run}/logs/build"))).unwrap();
            if let Some(hour) = end {
                let event = RunEvent::RunFinished { conclusion: Conclusion::Success };
                store.append(run, &[Recorded { v: EVENT_VERSION, seq: 1, at: at(hour), event }]).await.unwrap();
            }
        }
        let folders = Folders { state: data.path().to_owned(), runtime: data.path().to_owned() };
        let there = |run: u64| data.path().join(format!("runs/{run}")).exists();
        let left = || {
            let mut left = folders.with_logs();
            left.sort_unstable();
            left
        };
        for (now, expected) in [(48, vec![1, 2, 3]), (49, vec![2, 3]), (1_000, vec![3])] {
            house.forget_logs(at(now)).await;
            assert_eq!(left(), expected.into_iter().map(RunId).collect::<Vec<_>>(), "after {now} hours");
        }
        // The runs stayed; with `run-days` those go that ended long enough ago, with all that lies beside their logs.
        let days = |days| std::num::NonZeroU64::new(days);
        let table = RetentionTable { run_days: days(100), ..table };
        let house = House::new(data.path().to_owned(), house.kept, house.database, None, &table);
        std::fs::create_dir_all(data.path().join("runs/1/other")).unwrap();
        for (now, gone) in [(100 * 24, &[][..]), (100 * 24 + 1, &[1]), (101 * 24, &[1, 2])] {
            house.forget_runs(at(now)).await;
            for run in 1..=3 {
                let row = store.run_row(RunId(run)).await.unwrap();
                assert_eq!(row.is_none(), gone.contains(&run), "run {run} after {now} hours");
                assert!(there(1) != gone.contains(&1));
            }
        }
        assert!(table.problem().is_none());
        let short = RetentionTable { run_days: days(9), artifact_days: days(10), ..RetentionTable::default() };
        assert!(short.problem().unwrap().1.contains("artifacts are found by their run"));
    }
}
