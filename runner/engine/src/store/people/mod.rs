//! People: who may sign in, what each of them may do, and who is signed in.
//!
//! Passwords are [`password`]'s, names [`name`]'s, roles [`role`]'s, teams [`teams`]'s, sessions [`sessions`]'s. Every
//! change is in the audit log, in the transaction that makes it. How somebody proves who they are is the caller's.

mod aliases;
mod first;
mod name;
mod password;
mod role;
mod sessions;
mod teams;
#[cfg(test)]
mod tests;
mod users;
mod vouched;

pub use first::FirstCode;
pub use name::{FULL_NAME_BYTES_MAX, NAME_BYTES_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
pub use password::Cost;
pub use role::{Assignment, Role};
pub use sessions::{IDLE_MAX, LIFE_MAX, Session, Sessions, SignedIn, Way, csrf_of};
pub use teams::Team;
pub use users::{Assigned, NewUser, User};
pub use vouched::Vouched;

pub(in crate::store) use aliases::{names_of_named, reviewer_at};

use super::StoreError;
use super::audit::Audit;
use super::database::Database;
use password::Hashing;

/// Most users and teams of one list.
pub const LISTED_MAX: usize = 1_000;

/// Number of a user, from 1, unique in one store and never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why something about people cannot be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeopleError {
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked for is none.
    #[error("{0}")]
    Wish(String),
    /// It does not fit to what is there.
    #[error("{0}")]
    Conflict(String),
    /// There is none.
    #[error("{0}")]
    NotFound(String),
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
    /// Something of the system failed.
    #[error("{0}")]
    Unavailable(String),
}

/// The people of a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct People {
    database: Database,
    audit: Audit,
    hashing: Hashing,
}

impl People {
    /// Those of this database.
    #[must_use]
    pub fn on(database: Database, audit: Audit) -> Self {
        Self { database, audit, hashing: Hashing::new(Cost::SERVER) }
    }

    /// With other costs of passwords.
    #[must_use]
    pub fn with_cost(mut self, cost: Cost) -> Self {
        self.hashing = Hashing::new(cost);
        self
    }
}

/// What a transaction says: done, or why not, with nothing changed.
type Said<T> = Result<T, PeopleError>;

fn conflict<T>(text: impl Into<String>) -> rusqlite::Result<Said<T>> {
    Ok(Err(PeopleError::Conflict(text.into())))
}

fn not_found<T>(text: impl Into<String>) -> rusqlite::Result<Said<T>> {
    Ok(Err(PeopleError::NotFound(text.into())))
}
