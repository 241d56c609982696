//! Repositories that hooks are taken from, each with its own secret. Secrets are stored sealed; what seals them is a
//! port.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use workflow::event::Forge;
use workflow::secret::Secret;

use super::StoreError;
use super::database::Database;

/// Most repositories of one list.
pub const REPOSITORIES_MAX: usize = 10_000;

/// Makes a secret unreadable at rest. `context` is bound to it: what was sealed for one place opens for no other.
pub trait Sealer: Send + Sync + std::fmt::Debug {
    /// The bytes to store.
    ///
    /// # Errors
    /// There is no key.
    fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, SealError>;

    /// The secret again.
    ///
    /// # Errors
    /// The key is another one, or the bytes or the context were changed.
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError>;
}

/// Why a secret can not be sealed or opened. Its text holds nothing of the secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);

/// A repository to register, or to give another secret.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// What sends its hooks.
    pub forge: Forge,
    /// `owner/name`, or a longer path on GitLab. Upper and lower case are one.
    pub full_name: String,
    /// Where it is fetched from.
    pub url: String,
    /// The secret of its hook, sealed under [`hook_context`].
    pub secret: Vec<u8>,
    /// Who fetches it, and the token, sealed under [`fetch_context`].
    pub fetch: Option<FetchToken>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// A repository that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its number here.
    pub id: u64,
    /// What sends its hooks.
    pub forge: Forge,
    /// As it was registered.
    pub full_name: String,
    /// Where it is fetched from.
    pub url: String,
    /// The secret of its hook, sealed.
    pub secret: Vec<u8>,
    /// Who fetches it, and the token, sealed under [`fetch_context`].
    pub fetch: Option<FetchToken>,
}

/// Who we are when a repository is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchToken {
    /// The user's name; for many forges any will do.
    pub user: String,
    /// The token, sealed.
    pub token: Vec<u8>,
}

/// What the secret of a repository's hook is sealed for.
#[must_use]
pub fn hook_context(forge: Forge, full_name: &str) -> String {
    format!("hook {} {}", forge.as_str(), full_name.to_ascii_lowercase())
}

/// What the token that fetches a repository is sealed for.
#[must_use]
pub fn fetch_context(forge: Forge, full_name: &str) -> String {
    format!("fetch {} {}", forge.as_str(), full_name.to_ascii_lowercase())
}

/// The repositories in a database.
#[derive(Debug, Clone)]
pub struct Repositories {
    database: Database,
}

impl Repositories {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }

    /// Registers a repository, or replaces URL and secret of one that is.
    ///
    /// # Errors
    /// The database said no.
    pub async fn put(&self, new: NewRepository) -> Result<u64, StoreError> {
        let (user, token) = new.fetch.map(|fetch| (fetch.user, fetch.token)).unzip();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.query_row(
                "INSERT INTO repositories (forge, full_name, url, secret, created_at, fetch_user, fetch_token)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (forge, full_name) DO UPDATE SET url = excluded.url, secret = excluded.secret,
                     fetch_user = excluded.fetch_user, fetch_token = excluded.fetch_token
                 RETURNING id",
                params![
                    new.forge.as_str(),
                    new.full_name,
                    new.url,
                    new.secret,
                    new.created_at.as_millisecond(),
                    user,
                    token
                ],
                |row| row.get(0),
            )
        };
        self.database.write_surely(write).await
    }

    /// Forgets a repository; its deliveries stay until they are pruned. False if there is none.
    ///
    /// # Errors
    /// The database said no.
    pub async fn remove(&self, forge: Forge, full_name: &str) -> Result<bool, StoreError> {
        let full_name = full_name.to_owned();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            let removed = transaction.execute(
                "DELETE FROM repositories WHERE forge = ?1 AND full_name = ?2",
                params![forge.as_str(), full_name],
            )?;
            Ok(removed > 0)
        };
        self.database.write_surely(write).await
    }

    /// The one of that name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, forge: Forge, full_name: &str) -> Result<Option<Repository>, StoreError> {
        let full_name = full_name.to_owned();
        let read = move |connection: &Connection| {
            let select = "SELECT * FROM repositories WHERE forge = ?1 AND full_name = ?2";
            connection.prepare_cached(select)?.query_row(params![forge.as_str(), full_name], repository).optional()
        };
        self.database.read(read).await
    }

    /// All of them, up to [`REPOSITORIES_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all(&self) -> Result<Vec<Repository>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM repositories ORDER BY id LIMIT ?1")?;
            select.query_map([REPOSITORIES_MAX], repository)?.collect()
        };
        self.database.read(read).await
    }
}

fn repository(row: &Row<'_>) -> rusqlite::Result<Repository> {
    let forge: String = row.get("forge")?;
    let unknown = || {
        rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            format!("unknown forge {forge}").into(),
        )
    };
    Ok(Repository {
        id: row.get("id")?,
        forge: Forge::parse(&forge).ok_or_else(unknown)?,
        full_name: row.get("full_name")?,
        url: row.get("url")?,
        secret: row.get("secret")?,
        fetch: match (row.get::<_, Option<String>>("fetch_user")?, row.get("fetch_token")?) {
            (Some(user), Some(token)) => Some(FetchToken { user, token }),
            (_, _) => None,
        },
    })
}
