//! Cron lines of default branches, and when each is due next.
//!
//! A time that is due becomes a delivery, as if a forge had sent it, in the transaction that moves the line on: killed at
//! any moment, there is one delivery for it and no second. What the delivery starts is decided when it is looked at.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use tokio::sync::Notify;
use workflow::event::Forge;
use workflow::trigger::cron::Cron;

use super::StoreError;
use super::database::Database;
use super::deliveries::{self, Kept, NewDelivery};

/// Lines that are handed out at once.
const DUE_MAX: usize = 1_000;

/// A line of a workflow's `schedule`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CronLine {
    /// The workflow's path.
    pub workflow: String,
    /// Five fields.
    pub cron: String,
    /// IANA name; UTC where absent.
    pub timezone: Option<String>,
}

impl CronLine {
    /// The line, understood.
    #[must_use]
    pub fn parse(&self) -> Option<Cron> {
        Cron::parse(&self.cron, self.timezone.as_deref()).ok()
    }
}

/// A line and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The repository's number.
    pub repository: u64,
    /// What the repository lies on.
    pub forge: Forge,
    /// Its full name.
    pub full_name: String,
    /// Its URL.
    pub url: String,
    /// Its default branch, whose workflow it is.
    pub default_branch: String,
    /// The line.
    pub line: CronLine,
    /// When it is due; `None`: never.
    pub next_at: Option<Timestamp>,
}

/// The lines in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    database: Database,
    changed: Arc<Notify>,
}

impl Schedules {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database, changed: Arc::default() }
    }

    /// Told when a line came or went.
    #[must_use]
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// The lines of a repository as its default branch has them now. Those that were there keep their next time.
    ///
    /// # Errors
    /// The database said no.
    pub async fn set(
        &self,
        repository: u64,
        default_branch: &str,
        lines: Vec<CronLine>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let branch = default_branch.to_owned();
        let next = |line: CronLine| {
            let next = line.parse().map(|cron| cron.next_after(now).map(Timestamp::as_millisecond))?;
            Some((line, next))
        };
        let lines: Vec<_> = lines.into_iter().filter_map(next).collect();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            let mut known = all_of(transaction, repository)?;
            for (line, next) in lines {
                let zone = line.timezone.clone().unwrap_or_default();
                known.retain(|other| *other != line);
                transaction
                    .prepare_cached(
                        "INSERT INTO schedules (repository, workflow, cron, timezone, default_branch, next_at)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM repositories WHERE id = ?1)
                     ON CONFLICT DO UPDATE SET default_branch = excluded.default_branch",
                    )?
                    .execute(params![repository, line.workflow, line.cron, zone, branch, next])?;
            }
            for gone in known {
                transaction.execute(
                    "DELETE FROM schedules WHERE repository = ?1 AND workflow = ?2 AND cron = ?3 AND timezone = ?4",
                    params![repository, gone.workflow, gone.cron, gone.timezone.unwrap_or_default()],
                )?;
            }
            Ok(())
        };
        self.database.write_surely(write).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Those that are due, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn due(&self, now: Timestamp) -> Result<Vec<Scheduled>, StoreError> {
        self.list(Some(now)).await
    }

    /// All of them, by their next time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(&self) -> Result<Vec<Scheduled>, StoreError> {
        self.list(None).await
    }

    async fn list(&self, until: Option<Timestamp>) -> Result<Vec<Scheduled>, StoreError> {
        let until = until.map(Timestamp::as_millisecond);
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT schedules.*, forge, full_name, url FROM schedules JOIN repositories ON id = repository
                 WHERE ?1 IS NULL OR (next_at IS NOT NULL AND next_at <= ?1) ORDER BY next_at LIMIT ?2",
            )?;
            select.query_map(params![until, DUE_MAX], scheduled)?.collect()
        };
        self.database.read(read).await
    }

    /// When the next one is due.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = |connection: &Connection| {
            connection.query_row("SELECT min(next_at) FROM schedules", [], |row| row.get::<_, Option<i64>>(0))
        };
        let next = self.database.read(read).await?;
        Ok(next.and_then(|next| Timestamp::from_millisecond(next).ok()))
    }

    /// Moves a line on to `next_at` and keeps the delivery of the time that was due, both or none. Nothing happens if
    /// the line was moved on before. Whether there is a delivery that waits.
    ///
    /// # Errors
    /// The database said no.
    pub async fn move_on(
        &self,
        due: &Scheduled,
        next_at: Option<Timestamp>,
        delivery: Option<NewDelivery>,
    ) -> Result<bool, StoreError> {
        let due = due.clone();
        let packed = delivery.map(deliveries::Ready::new);
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            let zone = due.line.timezone.as_deref().unwrap_or_default();
            let moved = transaction.execute(
                "UPDATE schedules SET next_at = ?5
                 WHERE repository = ?1 AND workflow = ?2 AND cron = ?3 AND timezone = ?4 AND next_at IS ?6",
                params![
                    due.repository,
                    due.line.workflow,
                    due.line.cron,
                    zone,
                    next_at.map(Timestamp::as_millisecond),
                    due.next_at.map(Timestamp::as_millisecond)
                ],
            )?;
            match packed {
                Some(ready) if moved > 0 => Ok(matches!(ready.insert(transaction)?, Kept::New { .. })),
                Some(_) | None => Ok(false),
            }
        };
        self.database.write_surely(write).await
    }
}

fn all_of(connection: &Connection, repository: u64) -> rusqlite::Result<Vec<CronLine>> {
    let mut select = connection.prepare_cached("SELECT * FROM schedules WHERE repository = ?1")?;
    select.query_map([repository], line)?.collect()
}

fn line(row: &Row<'_>) -> rusqlite::Result<CronLine> {
    let zone: String = row.get("timezone")?;
    Ok(CronLine {
        workflow: row.get("workflow")?,
        cron: row.get("cron")?,
        timezone: Some(zone).filter(|zone| !zone.is_empty()),
    })
}

fn scheduled(row: &Row<'_>) -> rusqlite::Result<Scheduled> {
    let forge: String = row.get("forge")?;
    let unknown = |what: String| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, format!("unknown {what}").into())
    };
    let next_at = row.get::<_, Option<i64>>("next_at")?.map(Timestamp::from_millisecond).transpose();
    Ok(Scheduled {
        repository: row.get("repository")?,
        forge: Forge::parse(&forge).ok_or_else(|| unknown(format!("forge {forge}")))?,
        full_name: row.get("full_name")?,
        url: row.get("url")?,
        default_branch: row.get("default_branch")?,
        line: line(row)?,
        next_at: next_at.map_err(|error| unknown(format!("time: {error}")))?,
    })
}
