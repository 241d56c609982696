//! Answers to requests that were carried out, so that one that is sent again gets the same answer and does nothing.
//!
//! Follows <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header>.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use super::database::Database;

/// How long an answer is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Digest of the request.
    pub request: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// The answers in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Answers {
    database: Database,
}

impl Answers {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// The answer that was given for a key within the last day.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, key: [u8; 32], now: Timestamp) -> Result<Option<Answer>, StoreError> {
        let since = (now - KEPT).as_millisecond();
        let read = move |connection: &Connection| {
            let select = "SELECT request, status, body FROM answers WHERE key = ?1 AND at > ?2";
            let answer = connection.prepare_cached(select)?.query_row(params![key, since], |row| {
                Ok(Answer { request: row.get(0)?, status: row.get(1)?, body: row.get(2)? })
            });
            answer.optional()
        };
        self.database.read(read).await
    }

    /// Remembers an answer, and forgets old ones.
    ///
    /// # Errors
    /// The database said no.
    pub async fn keep(&self, key: [u8; 32], answer: Answer, now: Timestamp) -> Result<(), StoreError> {
        let (at, old) = (now.as_millisecond(), (now - KEPT).as_millisecond());
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("DELETE FROM answers WHERE at <= ?1", [old])?;
            let insert = "INSERT INTO answers (key, request, at, status, body) VALUES (?1, ?2, ?3, ?4, ?5)
                          ON CONFLICT (key) DO NOTHING";
            transaction.execute(insert, params![key, answer.request, at, answer.status, answer.body]).map(drop)
        };
        self.database.write_surely(write).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn an_answer_is_remembered_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let answers = Answers::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let answer = Answer { request: [1; 32], status: 202, body: "{}".into() };
        answers.keep([7; 32], answer.clone(), now).await.unwrap();
        answers.keep([7; 32], Answer { status: 500, ..answer.clone() }, now).await.unwrap();
        assert_eq!(answers.find([7; 32], now + SignedDuration::from_hours(23)).await.unwrap(), Some(answer));
        assert_eq!(answers.find([7; 32], now + SignedDuration::from_hours(24)).await.unwrap(), None);
        assert_eq!(answers.find([8; 32], now).await.unwrap(), None);
    }
}
