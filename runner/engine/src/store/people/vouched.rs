//! People for whom somebody else vouches, such as an OpenID provider.
//!
//! Who they are is issuer and subject, never a name or an address: those can be given to somebody else. Roles and teams
//! that come from there are those of the last login; what was given here stays.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::json;

use super::name::{full_name_problem, name_problem};
use super::teams::team_id;
use super::users::{add_role, end_sessions, id_of};
use super::{Assignment, People, PeopleError, Said, UserId};
use crate::store::audit::{Actor, Deed};

/// What somebody else says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who says it.
    pub issuer: String,
    /// Whom they mean.
    pub subject: String,
    /// Names that would do here, the best first.
    pub names: Vec<String>,
    /// As people call them.
    pub full_name: String,
    /// What they may do.
    pub roles: Vec<Assignment>,
    /// Teams that they are in; those that are not there are left out.
    pub teams: Vec<String>,
}

impl People {
    /// The user of a person for whom somebody else vouches: made at the first time, with the roles and teams of this
    /// login each time. A user who was made here is never taken over, whatever their name.
    ///
    /// # Errors
    /// It cannot be kept, or no name will do.
    pub async fn vouched(&self, said: Vouched, origin: &str, now: Timestamp) -> Said<(UserId, String)> {
        if let Some(problem) = said.roles.iter().find_map(Assignment::problem) {
            return Err(PeopleError::Wish(problem));
        }
        let (audit, origin) = (self.audit.clone(), origin.to_owned());
        let write = move |transaction: &Transaction<'_>| {
            let select = "SELECT id, name FROM users WHERE issuer = ?1 AND subject = ?2";
            let found = transaction
                .query_row(select, [&said.issuer, &said.subject], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (id, name): (u64, String) = match found {
                Some(found) => found,
                None => {
                    let Some(name) = free_name(transaction, &said.names)? else {
                        let text = "no name that the provider tells will do here; ask an administrator";
                        return Ok(Err(PeopleError::Conflict(text.to_owned())));
                    };
                    let full_name = full_name_problem(&said.full_name).map_or(said.full_name.as_str(), |_| "");
                    let insert = "INSERT INTO users (name, full_name, issuer, subject, created_at, created_by)
                                  VALUES (?1, ?2, ?3, ?4, ?5, ?3) RETURNING id";
                    let row = params![name, full_name, said.issuer, said.subject, now.as_millisecond()];
                    let id = transaction.query_row(insert, row, |row| row.get(0))?;
                    let actor = Actor { who: name.clone(), origin: origin.clone() };
                    let (target, detail) = (format!("user {name}"), json!({ "issuer": said.issuer }));
                    audit.append(transaction, &Deed { actor, what: "user.create", target, detail })?;
                    (id, name)
                }
            };
            let before = kept(transaction, id)?;
            transaction.execute("DELETE FROM roles WHERE user = ?1 AND source = 'oidc'", [id])?;
            transaction.execute("DELETE FROM members WHERE user = ?1 AND source = 'oidc'", [id])?;
            for role in &said.roles {
                add_role(transaction, Some(id), None, role, "oidc")?;
            }
            for team in &said.teams {
                if let Some((team, _)) = team_id(transaction, team)? {
                    let insert =
                        "INSERT INTO members (team, user, source) VALUES (?1, ?2, 'oidc') ON CONFLICT DO NOTHING";
                    transaction.execute(insert, [team, id])?;
                }
            }
            let after = kept(transaction, id)?;
            if before != after {
                end_sessions(transaction, id, now)?;
                let actor = Actor { who: said.issuer.clone(), origin };
                let (target, detail) = (format!("user {name}"), json!({ "before": before, "after": after }));
                audit.append(transaction, &Deed { actor, what: "role.sync", target, detail })?;
            }
            Ok(Ok((UserId(id), name)))
        };
        self.database.write_surely(write).await?
    }
}

/// The first name that is one and that nobody has; with a number behind it where all are taken.
fn free_name(connection: &Connection, names: &[String]) -> rusqlite::Result<Option<String>> {
    for name in names {
        if name_problem(name).is_none() && id_of(connection, name)?.is_none() {
            return Ok(Some(name.clone()));
        }
    }
    let Some(name) = names.iter().find(|name| name_problem(name).is_none()) else { return Ok(None) };
    for number in 2..100 {
        let name = format!("{name}-{number}");
        if name_problem(&name).is_none() && id_of(connection, &name)?.is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Roles and teams that came from elsewhere, in words.
fn kept(connection: &Connection, user: u64) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT role || ' ' || repository || ' ' || environment FROM roles WHERE user = ?1 AND source = 'oidc'
                  UNION SELECT 'team ' || name FROM members JOIN teams ON teams.id = team
                  WHERE user = ?1 AND source = 'oidc' ORDER BY 1";
    let mut select = connection.prepare_cached(select)?;
    select.query_map([user], |row| Ok(row.get::<_, String>(0)?.trim().to_owned()))?.collect()
}
