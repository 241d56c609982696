//! Which workflows are followed, and what of them: `workflows:` and `types:` of `on: workflow_run`, as default branches have
//! them.
//!
//! It only says whether an event of a run is worth a delivery; what that starts is decided when it is looked at.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};
use workflow::event::Forge;

use super::StoreError;
use super::database::Database;

/// What a workflow wants to hear of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Following {
    /// The name of the other; empty: of all.
    pub name: String,
    /// Such as `completed`.
    pub activity: String,
}

/// What is followed in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Followers {
    database: Database,
}

impl Followers {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// What the workflows of a repository's default branch follow now.
    ///
    /// # Errors
    /// The database said no.
    pub async fn set(&self, repository: u64, all: Vec<Following>) -> Result<(), StoreError> {
        let wanted: BTreeSet<Following> = all.into_iter().collect();
        let known = self.database.read(move |connection: &Connection| all_of(connection, repository)).await?;
        // Nearly every push leaves them as they are.
        if known == wanted {
            return Ok(());
        }
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("DELETE FROM followers WHERE repository = ?1", [repository])?;
            for Following { name, activity } in &wanted {
                transaction.execute(
                    "INSERT INTO followers (repository, name, activity)
                     SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM repositories WHERE id = ?1)",
                    params![repository, name, activity],
                )?;
            }
            Ok(())
        };
        self.database.write_surely(write).await
    }

    /// What is followed of a workflow of a repository: activity types.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of(&self, forge: &str, repository: &str, workflow: &str) -> Result<Vec<String>, StoreError> {
        // A forge that nobody knows any more has no repositories.
        let Some(forge) = Forge::parse(forge) else { return Ok(Vec::new()) };
        let (repository, workflow) = (repository.to_owned(), workflow.to_owned());
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT DISTINCT activity FROM followers JOIN repositories ON id = repository
                 WHERE forge = ?1 AND full_name = ?2 AND name IN ('', ?3)",
            )?;
            select.query_map(params![forge.as_str(), repository, workflow], |row| row.get(0))?.collect()
        };
        self.database.read(read).await
    }
}

fn all_of(connection: &Connection, repository: u64) -> rusqlite::Result<BTreeSet<Following>> {
    let mut select = connection.prepare_cached("SELECT name, activity FROM followers WHERE repository = ?1")?;
    let following = |row: &Row<'_>| Ok(Following { name: row.get(0)?, activity: row.get(1)? });
    select.query_map([repository], following)?.collect()
}
