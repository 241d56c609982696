//! Other names of users: their logins at forges and the addresses that their commits carry. Who began a run under one of
//! them may not approve it under another.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::json;

use super::users::id_of;
use super::{People, PeopleError, Said, User, UserId, conflict, not_found};
use crate::service::Reviewer;
use crate::store::StoreError;
use crate::store::audit::{Actor, Deed};

/// What an alias may be of.
const KINDS: [&str; 5] = ["github", "gitea", "forgejo", "gitlab", "mail"];
/// Longest alias, in bytes.
const ALIAS_BYTES_MAX: usize = 254;
/// Most aliases of one user.
const ALIASES_MAX: usize = 50;

/// An alias as it is kept, `github:octocat` or `mail:mona@example.com`, in lower case.
fn read(alias: &str) -> Result<String, String> {
    let known = KINDS.join(", ");
    let wrong = || {
        format!(
            "`{}` is no alias: use KIND:NAME, such as `github:octocat` or `mail:mona@example.com`; kinds are {known}",
            alias.escape_debug()
        )
    };
    let (kind, name) = alias.trim().split_once(':').ok_or_else(wrong)?;
    let (kind, name) = (kind.to_lowercase(), name.trim().to_lowercase());
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-+[]".contains(c);
    let fits = match (kind.as_str(), name.split_once('@')) {
        ("mail", Some((local, host))) => {
            let is_local = |c: char| is_name(c) || "!#$%&'*/=?^`{|}~".contains(c);
            !local.is_empty() && local.chars().all(is_local) && !host.is_empty() && host.chars().all(is_name)
        }
        ("mail", None) | (_, Some(_)) => false,
        (_, None) => !name.is_empty() && name.chars().all(is_name),
    };
    let fits = fits && KINDS.contains(&kind.as_str()) && name.len() <= ALIAS_BYTES_MAX;
    if fits { Ok(format!("{kind}:{name}")) } else { Err(wrong()) }
}

impl People {
    /// Says that a user is somebody at a forge, or has an address; the alias as it is kept. One alias is one user's.
    ///
    /// # Errors
    /// The alias is none or another user's, or there is no such user.
    pub async fn link(&self, name: &str, alias: &str, by: Actor, now: Timestamp) -> Said<String> {
        let alias = read(alias).map_err(PeopleError::Wish)?;
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = id_of(transaction, &name)? else {
                return not_found(format!("there is no user {name}"));
            };
            let select = "SELECT users.name FROM aliases JOIN users ON users.id = user WHERE alias = ?1";
            let held: Option<String> = transaction.query_row(select, [&alias], |row| row.get(0)).optional()?;
            if let Some(held) = held {
                return conflict(format!("{alias} is {held} already"));
            }
            if aliases_of(transaction, id)?.len() >= ALIASES_MAX {
                return conflict(format!("{name} has {ALIASES_MAX} aliases, the most that one can have"));
            }
            let insert = "INSERT INTO aliases (alias, user, created_at, created_by) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(insert, params![alias, id, now.as_millisecond(), by.who])?;
            let (target, detail) = (format!("user {name}"), json!({ "alias": alias }));
            audit.append(transaction, &Deed { actor: by, what: "user.alias", target, detail })?;
            Ok(Ok(alias))
        };
        self.database.write_surely(write).await?
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// The user has none such.
    pub async fn unlink(&self, name: &str, alias: &str, by: Actor) -> Said<()> {
        let alias = read(alias).map_err(PeopleError::Wish)?;
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = id_of(transaction, &name)? else {
                return not_found(format!("there is no user {name}"));
            };
            let delete = "DELETE FROM aliases WHERE alias = ?1 AND user = ?2";
            if transaction.execute(delete, params![alias, id])? == 0 {
                return not_found(format!("{name} is not {alias}"));
            }
            let (target, detail) = (format!("user {name}"), json!({ "alias": alias }));
            audit.append(transaction, &Deed { actor: by, what: "user.unalias", target, detail })?;
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }

    /// Who reviews by an address without signing in: the user who has it, else the address itself.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn reviewer_at(&self, address: &str) -> Result<Reviewer, StoreError> {
        let address = address.to_owned();
        self.database.read(move |connection| reviewer_at(connection, &address)).await
    }
}

/// Who reviews by an address.
pub(in crate::store) fn reviewer_at(connection: &Connection, address: &str) -> rusqlite::Result<Reviewer> {
    let address = address.to_lowercase();
    let select = "SELECT users.id, users.name FROM aliases JOIN users ON users.id = user WHERE alias = ?1";
    let found: Option<(u64, String)> = connection
        .prepare_cached(select)?
        .query_row([format!("mail:{address}")], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((user, name)) = found else { return Ok(Reviewer::named(address)) };
    let (aliases, teams) = (names_of(connection, UserId(user))?, teams_of(connection, UserId(user))?);
    Ok(Reviewer { name, aliases, teams, person: None })
}

/// Gives users of a list their aliases.
pub(super) fn fill(connection: &Connection, users: &mut [User]) -> rusqlite::Result<()> {
    for user in users {
        user.aliases = aliases_of(connection, user.id.0)?;
    }
    Ok(())
}

/// A user's aliases as they are kept, in order.
pub(super) fn aliases_of(connection: &Connection, user: u64) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached("SELECT alias FROM aliases WHERE user = ?1 ORDER BY alias")?;
    select.query_map([user], |row| row.get(0))?.collect()
}

/// A user's other names: each alias whole (`github:octocat`) and as events have it (`octocat`).
pub(super) fn names_of(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<String>> {
    let aliases = aliases_of(connection, user.0)?;
    let bare = aliases.iter().filter_map(|alias| alias.split_once(':')).map(|(_, name)| name.to_owned());
    Ok(bare.chain(aliases.iter().cloned()).collect())
}

/// All names of the user of a name, if there is one: for tokens, which are of whoever made them.
pub(in crate::store) fn names_of_named(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<String>>> {
    let Some((user, name)) = id_of(connection, name)? else { return Ok(None) };
    let mut names = names_of(connection, UserId(user))?;
    names.push(name);
    Ok(Some(names))
}

fn teams_of(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT name FROM teams JOIN members ON team = teams.id WHERE user = ?1 ORDER BY name";
    connection.prepare_cached(select)?.query_map([user.0], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn aliases_are_of_one_form() {
        for (alias, expected) in [
            ("github:Octocat", Some("github:octocat")),
            (" GitHub:octo-cat ", Some("github:octo-cat")),
            ("github:dependabot[bot]", Some("github:dependabot[bot]")),
            ("mail:Mona+ci@Example.com", Some("mail:mona+ci@example.com")),
            ("mail:mona", None),
            ("github:a@b", None),
            ("svn:mona", None),
            ("octocat", None),
            ("github:", None),
            ("github:oct\u{43e}cat", None),
            ("mail:a@b\nBcc: x", None),
        ] {
            assert_eq!(read(alias).ok().as_deref(), expected, "{alias}");
        }
    }
}
