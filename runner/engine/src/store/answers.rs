//! Answers to requests that were carried out, so that one that is sent again gets the same answer and does nothing.
//!
//! A request is noted before it is carried out: killed between the deed and its answer, a server knows that it may have
//! been done, and does not do it twice.
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
    /// HTTP status; 0: it was begun, and nobody knows what became of it.
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

    /// Notes that a request is about to be carried out, and forgets old ones.
    ///
    /// # Errors
    /// The database said no.
    pub async fn begin(&self, key: [u8; 32], request: [u8; 32], now: Timestamp) -> Result<(), StoreError> {
        let (at, old) = (now.as_millisecond(), (now - KEPT).as_millisecond());
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("DELETE FROM answers WHERE at <= ?1", [old])?;
            let insert = "INSERT INTO answers (key, request, at, status, body) VALUES (?1, ?2, ?3, 0, '')
                          ON CONFLICT (key) DO NOTHING";
            transaction.execute(insert, params![key, request, at]).map(drop)
        };
        self.database.write_surely(write).await
    }

    /// Forgets a request that was begun and refused: nothing came of it.
    ///
    /// # Errors
    /// The database said no.
    pub async fn forget(&self, key: [u8; 32]) -> Result<(), StoreError> {
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("DELETE FROM answers WHERE key = ?1 AND status = 0", [key]).map(drop)
        };
        self.database.write_surely(write).await
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
                          ON CONFLICT (key) DO UPDATE SET status = excluded.status, body = excluded.body
                          WHERE status = 0";
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

    #[tokio::test]
    async fn one_that_was_begun_is_known_until_it_is_answered_or_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let answers = Answers::on(Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let status = async |key| answers.find(key, now).await.unwrap().map(|answer| answer.status);
        for key in [[1; 32], [2; 32]] {
            answers.begin(key, [9; 32], now).await.unwrap();
            assert_eq!(status(key).await, Some(0));
        }
        answers.keep([1; 32], Answer { request: [9; 32], status: 202, body: "{}".into() }, now).await.unwrap();
        answers.begin([1; 32], [9; 32], now).await.unwrap();
        answers.forget([1; 32]).await.unwrap();
        answers.forget([2; 32]).await.unwrap();
        assert_eq!((status([1; 32]).await, status([2; 32]).await), (Some(202), None));
    }
}
