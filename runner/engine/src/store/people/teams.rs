//! Teams: several people who have the same roles, and who can be named as reviewers together.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;

use super::name::name_problem;
use super::users::{add_role, assigned_of, end_sessions, end_sessions_of_team, id_of, keeping_an_admin};
use super::{Assigned, Assignment, LISTED_MAX, People, PeopleError, Said, conflict, not_found};
use crate::store::StoreError;
use crate::store::audit::{Actor, Deed};

/// A team as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Team {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Names of its members.
    pub members: Vec<String>,
    /// What each of them may do.
    pub roles: Vec<Assigned>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

impl People {
    /// All teams, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn teams(&self) -> Result<Vec<Team>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM teams ORDER BY name LIMIT ?1")?;
            let mut teams: Vec<Team> = select.query_map([LISTED_MAX], team_of)?.collect::<Result<_, _>>()?;
            let members = "SELECT name FROM members JOIN users ON users.id = user WHERE team = ?1 ORDER BY name";
            let mut members = connection.prepare_cached(members)?;
            let mut roles = connection.prepare_cached("SELECT * FROM roles WHERE team = ?1 ORDER BY id")?;
            for team in &mut teams {
                team.members = members.query_map([team.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
                team.roles = roles.query_map([team.id], assigned_of)?.collect::<Result<_, _>>()?;
            }
            Ok(teams)
        };
        self.database.read(read).await
    }

    /// Makes a team.
    ///
    /// # Errors
    /// The name is none, or taken.
    pub async fn create_team(&self, name: &str, by: Actor, now: Timestamp) -> Said<u64> {
        if let Some(problem) = name_problem(name) {
            return Err(PeopleError::Wish(problem));
        }
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let insert = "INSERT INTO teams (name, created_at, created_by) VALUES (?1, ?2, ?3)
                          ON CONFLICT DO NOTHING RETURNING id";
            let row = params![name, now.as_millisecond(), by.who];
            let Some(id) = transaction.query_row(insert, row, |row| row.get::<_, u64>(0)).optional()? else {
                return conflict(format!("there is a team {name} already"));
            };
            let target = format!("team {name}");
            audit.append(transaction, &Deed { actor: by, what: "team.create", target, detail: json!({}) })?;
            Ok(Ok(id))
        };
        self.database.write_surely(write).await?
    }

    /// Removes a team; its members lose its roles and are signed out.
    ///
    /// # Errors
    /// There is none, or nobody could administrate any more.
    pub async fn remove_team(&self, name: &str, by: Actor, now: Timestamp) -> Said<()> {
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = team_id(transaction, &name)? else {
                return not_found(format!("there is no team {name}"));
            };
            let delete = || {
                end_sessions_of_team(transaction, id, now)?;
                transaction.execute("DELETE FROM teams WHERE id = ?1", [id])
            };
            if let Err(refused) = keeping_an_admin(transaction, delete)? {
                return Ok(Err(refused));
            }
            let target = format!("team {name}");
            audit.append(transaction, &Deed { actor: by, what: "team.remove", target, detail: json!({}) })?;
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }

    /// Puts somebody into a team, or takes them out; they are signed out.
    ///
    /// # Errors
    /// There is no such team or user, or nobody could administrate any more.
    pub async fn set_member(&self, team: &str, user: &str, is_in: bool, by: Actor, now: Timestamp) -> Said<()> {
        let (team, user, audit) = (team.to_owned(), user.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((team, team_name)) = team_id(transaction, &team)? else {
                return not_found(format!("there is no team {team}"));
            };
            let Some((user, user_name)) = id_of(transaction, &user)? else {
                return not_found(format!("there is no user {user}"));
            };
            let changed = if is_in {
                let insert = "INSERT INTO members (team, user, source) VALUES (?1, ?2, 'local') ON CONFLICT DO NOTHING";
                transaction.execute(insert, [team, user])?
            } else {
                let delete = || transaction.execute("DELETE FROM members WHERE team = ?1 AND user = ?2", [team, user]);
                match keeping_an_admin(transaction, delete)? {
                    Ok(changed) => changed,
                    Err(refused) => return Ok(Err(refused)),
                }
            };
            if changed > 0 {
                end_sessions(transaction, user, now)?;
                let (what, target) = (if is_in { "team.join" } else { "team.leave" }, format!("team {team_name}"));
                let detail = json!({ "user": user_name });
                audit.append(transaction, &Deed { actor: by, what, target, detail })?;
            }
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }

    /// Gives a team a role; its members are signed out.
    ///
    /// # Errors
    /// The role means nothing, or there is no such team.
    pub async fn assign_team(&self, team: &str, role: Assignment, by: Actor, now: Timestamp) -> Said<u64> {
        if let Some(problem) = role.problem() {
            return Err(PeopleError::Wish(problem));
        }
        let (team, audit) = (team.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = team_id(transaction, &team)? else {
                return not_found(format!("there is no team {team}"));
            };
            let Some(made) = add_role(transaction, None, Some(id), &role, "local")? else {
                return conflict(format!("team {name} is {role} already"));
            };
            end_sessions_of_team(transaction, id, now)?;
            let (target, detail) = (format!("team {name}"), json!({ "role": role.to_string() }));
            audit.append(transaction, &Deed { actor: by, what: "role.assign", target, detail })?;
            Ok(Ok(made))
        };
        self.database.write_surely(write).await?
    }
}

pub(super) fn team_id(connection: &Connection, name: &str) -> rusqlite::Result<Option<(u64, String)>> {
    let mut select = connection.prepare_cached("SELECT id, name FROM teams WHERE name = ?1")?;
    select.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

fn team_of(row: &Row<'_>) -> rusqlite::Result<Team> {
    Ok(Team {
        id: row.get("id")?,
        name: row.get("name")?,
        members: Vec::new(),
        roles: Vec::new(),
        created_at: Timestamp::from_millisecond(row.get("created_at")?).unwrap_or_default(),
        created_by: row.get("created_by")?,
    })
}
