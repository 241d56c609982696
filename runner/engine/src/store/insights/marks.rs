//! What people say of a deployment afterwards: that it failed, that it was made because of an incident.

use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;

use super::{Insights, time};
use crate::store::StoreError;
use crate::store::audit::{Audit, Deed};

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It hurt users and needed somebody at once.
    Failed,
    /// It was not planned: an incident made it necessary.
    Unplanned,
}

impl Mark {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Failed, Self::Unplanned];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unplanned => "unplanned",
        }
    }

    /// The mark of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.word() == word)
    }
}

/// A mark that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// Which.
    pub mark: Mark,
    /// Since when it was so: of a failure when it was noticed.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// And when.
    pub marked_at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Insights {
    /// Sets a mark, or changes it, together with its row in the audit log.
    ///
    /// # Errors
    /// The database said no.
    pub async fn mark(&self, deployment: u64, marked: Marked, audit: &Audit, deed: Deed) -> Result<(), StoreError> {
        let audit = audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            let (at, marked_at) = (marked.at.as_millisecond(), marked.marked_at.as_millisecond());
            transaction.execute(
                "INSERT OR REPLACE INTO deployment_marks (deployment, mark, at, by, marked_at, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![deployment, marked.mark.word(), at, marked.by, marked_at, marked.reason],
            )?;
            audit.append(transaction, &deed)
        };
        self.database.write_surely(write).await
    }

    /// Takes a mark back; `false` if there was none.
    ///
    /// # Errors
    /// The database said no.
    pub async fn unmark(&self, deployment: u64, mark: Mark, audit: &Audit, deed: Deed) -> Result<bool, StoreError> {
        let audit = audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            let delete = "DELETE FROM deployment_marks WHERE deployment = ?1 AND mark = ?2";
            let was_there = transaction.execute(delete, params![deployment, mark.word()])? == 1;
            if was_there {
                audit.append(transaction, &deed)?;
            }
            Ok(was_there)
        };
        self.database.write_surely(write).await
    }

    /// What was said of a deployment.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn marks(&self, deployment: u64) -> Result<Vec<Marked>, StoreError> {
        let read = move |connection: &Connection| {
            let select = "SELECT * FROM deployment_marks WHERE deployment = ?1 ORDER BY mark";
            let rows =
                connection.prepare_cached(select)?.query_map([deployment], marked)?.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().collect())
        };
        self.database.read(read).await
    }
}

/// `None` for a mark of a newer program.
fn marked(row: &Row<'_>) -> rusqlite::Result<Option<Marked>> {
    let Some(mark) = Mark::parse(&row.get::<_, String>("mark")?) else { return Ok(None) };
    Ok(Some(Marked {
        mark,
        at: time(row.get("at")?),
        by: row.get("by")?,
        marked_at: time(row.get("marked_at")?),
        reason: row.get("reason")?,
    }))
}
