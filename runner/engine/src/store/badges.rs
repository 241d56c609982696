//! Who may see the badges of a repository without being signed in: nobody, who has the repository's token, or everybody. Only
//! a digest of the token is kept.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use workflow::secret::Secret;

use super::StoreError;
use super::audit::{Actor, Audit, Deed};
use super::database::Database;
use crate::sealing::random;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 16;

/// Who may see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadgesFor {
    /// Who is signed in and may see the repository.
    #[default]
    People,
    /// They, and whoever has the address with the token.
    Token,
    /// Everybody.
    Everybody,
}

/// What is set, in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Badges {
    database: Database,
    audit: Audit,
}

impl Badges {
    /// That of this database.
    #[must_use]
    pub fn on(database: Database, audit: Audit) -> Self {
        Self { database, audit }
    }

    /// Says who may see those of a repository; the new token, if it is by token. The one before is good no more.
    ///
    /// # Errors
    /// The database said no, or the system gives no random bytes; nothing was changed.
    pub async fn set(&self, repository: &str, who: BadgesFor, by: Actor) -> Result<Option<Secret>, StoreError> {
        let token = match who {
            BadgesFor::Token => Some(self.make()?),
            BadgesFor::People | BadgesFor::Everybody => None,
        };
        let (repository, digest) = (repository.to_owned(), token.as_ref().map(|token| digest(token.expose())));
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            if who == BadgesFor::People {
                transaction.execute("DELETE FROM badges WHERE repository = ?1", [&repository])?;
            } else {
                transaction.execute(
                    "INSERT INTO badges (repository, token) VALUES (?1, ?2)
                     ON CONFLICT (repository) DO UPDATE SET token = excluded.token",
                    params![repository, digest],
                )?;
            }
            let detail = json!({ "for": who });
            audit.append(transaction, &Deed { actor: by, what: "repository.badges", target: repository, detail })?;
            Ok(())
        };
        self.database.write_surely(write).await?;
        Ok(token)
    }

    /// What is set for a repository.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of(&self, repository: &str) -> Result<BadgesFor, StoreError> {
        Ok(match self.row(repository).await? {
            None => BadgesFor::People,
            Some(Some(_)) => BadgesFor::Token,
            Some(None) => BadgesFor::Everybody,
        })
    }

    /// Whether somebody who is not known may see them, with this token or without one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn are_for(&self, repository: &str, token: Option<&str>) -> Result<bool, StoreError> {
        Ok(match self.row(repository).await? {
            None => false,
            Some(None) => true,
            Some(Some(kept)) => token.is_some_and(|token| bool::from(digest(token).as_slice().ct_eq(&kept))),
        })
    }

    async fn row(&self, repository: &str) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        let repository = repository.to_owned();
        let read = move |connection: &Connection| {
            let select = "SELECT token FROM badges WHERE repository = ?1";
            connection.prepare_cached(select)?.query_row([repository], |row| row.get(0)).optional()
        };
        self.database.read(read).await
    }

    fn make(&self) -> Result<Secret, StoreError> {
        let bytes = random::<TOKEN_BYTES>().map_err(|error| StoreError::File {
            action: "make a token for",
            path: self.database.path().display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }
}

fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::{MasterKey, MasterKeys, Vault};
    use crate::store::Options;

    #[tokio::test]
    async fn badges_are_for_whom_the_repository_says() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let vault = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap());
        let audit = Audit::open(database.clone(), &vault).await.unwrap();
        let badges = Badges::on(database.clone(), audit);
        let by = || Actor { who: "ada".into(), origin: "command line".into() };
        let seen = async |token: Option<&str>| badges.are_for("octo/shop", token).await.unwrap();
        assert!(!seen(None).await && !seen(Some("")).await);
        let first = badges.set("octo/shop", BadgesFor::Token, by()).await.unwrap().unwrap();
        let second = badges.set("Octo/Shop", BadgesFor::Token, by()).await.unwrap().unwrap();
        assert!(!seen(Some(first.expose())).await, "the one before is good no more");
        assert!(seen(Some(second.expose())).await && !seen(None).await && !seen(Some("x")).await);
        assert!(!badges.are_for("octo/other", Some(second.expose())).await.unwrap());
        assert_eq!(badges.of("octo/shop").await.unwrap(), BadgesFor::Token);
        assert!(badges.set("octo/shop", BadgesFor::Everybody, by()).await.unwrap().is_none());
        assert!(seen(None).await && seen(Some("x")).await);
        badges.set("octo/shop", BadgesFor::People, by()).await.unwrap();
        assert!(!seen(None).await);
    }
}
