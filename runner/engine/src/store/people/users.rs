//! Users: made, listed, removed; their passwords and their roles.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde_json::json;
use workflow::secret::Secret;

use super::name::{full_name_problem, name_problem, password_problem};
use super::password::normalised;
use super::{Assignment, LISTED_MAX, People, PeopleError, Role, Said, UserId, conflict, not_found};
use crate::store::StoreError;
use crate::store::audit::{Actor, Deed};

/// A user to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// What they sign in with, and what the audit log calls them.
    pub name: String,
    /// As people call them; may be empty.
    pub full_name: String,
    /// Without one they sign in elsewhere only.
    pub password: Option<Secret>,
    /// What they may do.
    pub roles: Vec<Assignment>,
}

/// A role that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Assigned {
    /// Its number, to take it away.
    pub id: u64,
    /// What.
    pub role: Role,
    /// Only in this repository; empty: in all.
    pub repository: String,
    /// Reviews and orders only about deployments to this environment; empty: to all.
    pub environment: String,
    /// `local`, or `oidc` for what the last login there said.
    pub source: String,
}

/// A user as a list shows them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct User {
    /// Their number.
    pub id: UserId,
    /// What they sign in with.
    pub name: String,
    /// As people call them.
    pub full_name: String,
    /// Whether they have a password here.
    pub has_password: bool,
    /// Who else vouches for them.
    pub issuer: Option<String>,
    /// When they were made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When they were last seen, to some minutes.
    pub seen_at: Option<Timestamp>,
    /// Their own roles; those of their teams are the teams'.
    pub roles: Vec<Assigned>,
    /// Their teams.
    pub teams: Vec<String>,
    /// Other names, such as `github:octocat`.
    pub aliases: Vec<String>,
}

/// Users who may do everything, by themselves or as members of a team.
pub(super) fn admins(connection: &Connection) -> rusqlite::Result<u64> {
    let select = "SELECT count(DISTINCT users.id) FROM users
        JOIN roles ON roles.role = 'admin'
         AND (roles.user = users.id OR roles.team IN (SELECT team FROM members WHERE members.user = users.id))";
    connection.prepare_cached(select)?.query_row([], |row| row.get(0))
}

/// Carries out a change, or takes it back where it leaves nobody who may do everything.
pub(super) fn keeping_an_admin(
    connection: &Connection,
    change: impl FnOnce() -> rusqlite::Result<usize>,
) -> rusqlite::Result<Said<usize>> {
    let before = admins(connection)?;
    connection.execute_batch("SAVEPOINT keeping_an_admin")?;
    let changed = change()?;
    if before > 0 && admins(connection)? == 0 {
        connection.execute_batch("ROLLBACK TO keeping_an_admin; RELEASE keeping_an_admin")?;
        return conflict("there would be no administrator any more; make another one first");
    }
    connection.execute_batch("RELEASE keeping_an_admin")?;
    Ok(Ok(changed))
}

impl People {
    /// Whether there is any user.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn any(&self) -> Result<bool, StoreError> {
        self.database.read(|connection| connection.prepare("SELECT 1 FROM users")?.exists([])).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// The wish is none, or the name is taken.
    pub async fn create(&self, new: NewUser, by: Actor, now: Timestamp) -> Result<UserId, PeopleError> {
        self.make(new, by, now, false).await
    }

    /// Makes the first user, who may do everything.
    ///
    /// # Errors
    /// There is one already, or the wish is none.
    pub async fn create_first(&self, mut new: NewUser, by: Actor, now: Timestamp) -> Result<UserId, PeopleError> {
        new.roles = vec![Assignment::of_all(Role::Admin)];
        self.make(new, by, now, true).await
    }

    async fn make(&self, new: NewUser, by: Actor, now: Timestamp, is_first: bool) -> Result<UserId, PeopleError> {
        let NewUser { name, full_name, password, roles } = new;
        let problem = name_problem(&name).or_else(|| full_name_problem(&full_name));
        let problem = problem.or_else(|| roles.iter().find_map(Assignment::problem));
        let password = password.map(|password| normalised(&password));
        let problem = problem.or_else(|| password_problem(&name, password.as_ref()?));
        if let Some(problem) = problem {
            return Err(PeopleError::Wish(problem));
        }
        let hash = match password {
            Some(password) => Some(self.hashing.make(password).await?),
            None => None,
        };
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            if is_first && transaction.prepare("SELECT 1 FROM users")?.exists([])? {
                return conflict("there are users already; sign in, or ask an administrator");
            }
            if id_of(transaction, &name)?.is_some() {
                return conflict(format!("there is a user {name} already"));
            }
            let named =
                "SELECT 1 FROM tokens WHERE name = ?1 COLLATE NOCASE AND revoked_at IS NULL AND expires_at > ?2";
            if transaction.prepare(named)?.exists(params![name, now.as_millisecond()])? {
                return conflict(format!("there is a token {name}, which reviews under that name; take it back first"));
            }
            let insert = "INSERT INTO users (name, full_name, password, created_at, created_by)
                          VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
            let row = params![name, full_name, hash, now.as_millisecond(), by.who];
            let id: u64 = transaction.query_row(insert, row, |row| row.get(0))?;
            for role in &roles {
                add_role(transaction, Some(id), None, role, "local")?;
            }
            let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
            let detail = json!({ "roles": roles, "password": hash.is_some() });
            audit.append(
                transaction,
                &Deed { actor: by, what: "user.create", target: format!("user {name}"), detail },
            )?;
            Ok(Ok(UserId(id)))
        };
        self.database.write_surely(write).await?
    }

    /// All users, by name, up to [`LISTED_MAX`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        let read = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT * FROM users ORDER BY name LIMIT ?1")?;
            let mut users: Vec<User> = select.query_map([LISTED_MAX], user_of)?.collect::<Result<_, _>>()?;
            let mut roles: HashMap<u64, Vec<Assigned>> = HashMap::new();
            let mut select = connection.prepare_cached("SELECT * FROM roles WHERE user IS NOT NULL ORDER BY id")?;
            for found in select.query_map([], |row| Ok((row.get("user")?, assigned_of(row)?)))? {
                let (user, role) = found?;
                roles.entry(user).or_default().push(role);
            }
            let mut teams: HashMap<u64, Vec<String>> = HashMap::new();
            let select = "SELECT user, name FROM members JOIN teams ON teams.id = team ORDER BY name";
            for found in connection.prepare_cached(select)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
                let (user, team): (u64, String) = found?;
                teams.entry(user).or_default().push(team);
            }
            for user in &mut users {
                user.roles = roles.remove(&user.id.0).unwrap_or_default();
                user.teams = teams.remove(&user.id.0).unwrap_or_default();
            }
            super::aliases::fill(connection, &mut users)?;
            Ok(users)
        };
        self.database.read(read).await
    }

    /// Removes a user and ends their sessions. What the audit log says of them stays.
    ///
    /// # Errors
    /// There is none, or nobody could administrate any more.
    pub async fn remove(&self, name: &str, by: Actor) -> Result<(), PeopleError> {
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = id_of(transaction, &name)? else {
                return not_found(format!("there is no user {name}"));
            };
            let delete = || transaction.execute("DELETE FROM users WHERE id = ?1", [id]);
            if let Err(refused) = keeping_an_admin(transaction, delete)? {
                return Ok(Err(refused));
            }
            let target = format!("user {name}");
            audit.append(transaction, &Deed { actor: by, what: "user.remove", target, detail: json!({}) })?;
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }

    /// Sets a password; all of the user's sessions end, so that who knew the old one is out.
    ///
    /// # Errors
    /// The password is too weak, or there is no such user.
    pub async fn set_password(&self, name: &str, password: &Secret, by: Actor, now: Timestamp) -> Said<()> {
        let password = normalised(password);
        if let Some(problem) = password_problem(name, &password) {
            return Err(PeopleError::Wish(problem));
        }
        let hash = self.hashing.make(password).await?;
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = id_of(transaction, &name)? else {
                return not_found(format!("there is no user {name}"));
            };
            transaction.execute("UPDATE users SET password = ?2 WHERE id = ?1", params![id, hash])?;
            end_sessions(transaction, id, now)?;
            let target = format!("user {name}");
            audit.append(transaction, &Deed { actor: by, what: "user.password", target, detail: json!({}) })?;
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }

    /// A user's name as it is written, if there is one of that name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn exact_name(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.database.read(move |connection| Ok(id_of(connection, &name)?.map(|(_, name)| name))).await
    }

    /// Who this is, if the password is theirs. For a name that nobody has it takes as long.
    ///
    /// # Errors
    /// The store cannot be read, or too many ask.
    pub async fn check_password(&self, name: &str, password: &Secret) -> Result<Option<(UserId, String)>, PeopleError> {
        let wanted = name.to_owned();
        let find = move |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT id, name, password FROM users WHERE name = ?1")?;
            let found =
                |row: &Row<'_>| Ok((UserId(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?));
            select.query_row([wanted], found).optional()
        };
        let found = self.database.read(find).await?;
        let kept = found.as_ref().and_then(|(_, _, kept)| kept.clone());
        // One that is too long is as wrong as another, at the same price.
        let fits = password.expose().len() <= super::PASSWORD_BYTES_MAX;
        let password = if fits { normalised(password) } else { Secret::new("") };
        let is_right = self.hashing.check(password, kept).await?;
        Ok(found.filter(|_| is_right).map(|(id, name, _)| (id, name)))
    }

    /// Gives a user a role; their sessions end, so that nobody goes on with what they may do no more or not yet.
    ///
    /// # Errors
    /// The role means nothing, or there is no such user.
    pub async fn assign(&self, name: &str, role: Assignment, by: Actor, now: Timestamp) -> Said<u64> {
        if let Some(problem) = role.problem() {
            return Err(PeopleError::Wish(problem));
        }
        let (name, audit) = (name.to_owned(), self.audit.clone());
        let write = move |transaction: &Transaction<'_>| {
            let Some((id, name)) = id_of(transaction, &name)? else {
                return not_found(format!("there is no user {name}"));
            };
            let Some(made) = add_role(transaction, Some(id), None, &role, "local")? else {
                return conflict(format!("{name} is {role} already"));
            };
            end_sessions(transaction, id, now)?;
            let (target, detail) = (format!("user {name}"), json!({ "role": role.to_string() }));
            audit.append(transaction, &Deed { actor: by, what: "role.assign", target, detail })?;
            Ok(Ok(made))
        };
        self.database.write_surely(write).await?
    }

    /// Takes a role away, by its number, from the user or the team that has it; the sessions of those whom it concerns
    /// end.
    ///
    /// # Errors
    /// There is no such role, or nobody could administrate any more.
    pub async fn unassign(&self, role: u64, by: Actor, now: Timestamp) -> Said<()> {
        let audit = self.audit.clone();
        let write = move |transaction: &Transaction<'_>| {
            let select = "SELECT roles.*, coalesce(users.name, '') AS of_user, coalesce(teams.name, '') AS of_team
                          FROM roles LEFT JOIN users ON users.id = user LEFT JOIN teams ON teams.id = team
                          WHERE roles.id = ?1";
            let found = transaction
                .query_row(select, [role], |row| {
                    let whom = (row.get::<_, Option<u64>>("user")?, row.get::<_, Option<u64>>("team")?);
                    Ok((whom, row.get::<_, String>("of_user")?, row.get::<_, String>("of_team")?, assigned_of(row)?))
                })
                .optional()?;
            let Some(((user, team), of_user, of_team, assigned)) = found else {
                return not_found(format!("nobody has the role {role}"));
            };
            let delete = || transaction.execute("DELETE FROM roles WHERE id = ?1", [role]);
            if let Err(refused) = keeping_an_admin(transaction, delete)? {
                return Ok(Err(refused));
            }
            if let Some(user) = user {
                end_sessions(transaction, user, now)?;
            }
            if let Some(team) = team {
                end_sessions_of_team(transaction, team, now)?;
            }
            let target = if of_team.is_empty() { format!("user {of_user}") } else { format!("team {of_team}") };
            let detail = json!({ "role": assigned.assignment().to_string() });
            audit.append(transaction, &Deed { actor: by, what: "role.remove", target, detail })?;
            Ok(Ok(()))
        };
        self.database.write_surely(write).await?
    }
}

impl Assigned {
    /// What it is.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        Assignment { role: self.role, repository: self.repository.clone(), environment: self.environment.clone() }
    }
}

/// Number and exact name of a user, found by name or number.
pub(super) fn id_of(connection: &Connection, which: &str) -> rusqlite::Result<Option<(u64, String)>> {
    let mut select = connection.prepare_cached("SELECT id, name FROM users WHERE name = ?1")?;
    select.query_row([which], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// The number of a role that was added; `None` if it was there.
pub(super) fn add_role(
    connection: &Connection,
    user: Option<u64>,
    team: Option<u64>,
    role: &Assignment,
    source: &str,
) -> rusqlite::Result<Option<u64>> {
    let insert = "INSERT INTO roles (user, team, role, repository, environment, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                  ON CONFLICT DO NOTHING RETURNING id";
    let row = params![user, team, role.role.as_str(), role.repository, role.environment, source];
    connection.query_row(insert, row, |row| row.get(0)).optional()
}

pub(super) fn end_sessions(connection: &Connection, user: u64, now: Timestamp) -> rusqlite::Result<usize> {
    let update = "UPDATE sessions SET ended_at = ?2 WHERE user = ?1 AND ended_at IS NULL";
    connection.execute(update, params![user, now.as_millisecond()])
}

pub(super) fn end_sessions_of_team(connection: &Connection, team: u64, now: Timestamp) -> rusqlite::Result<usize> {
    let update = "UPDATE sessions SET ended_at = ?2
                  WHERE ended_at IS NULL AND user IN (SELECT user FROM members WHERE team = ?1)";
    connection.execute(update, params![team, now.as_millisecond()])
}

pub(super) fn assigned_of(row: &Row<'_>) -> rusqlite::Result<Assigned> {
    let word: String = row.get("role")?;
    // A role of a newer program is not guessed at.
    let unknown = || rusqlite::Error::InvalidColumnType(0, format!("role {word}"), rusqlite::types::Type::Text);
    Ok(Assigned {
        id: row.get("id")?,
        role: Role::parse(&word).ok_or_else(unknown)?,
        repository: row.get("repository")?,
        environment: row.get("environment")?,
        source: row.get("source")?,
    })
}

fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    let at = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
    Ok(User {
        id: UserId(row.get("id")?),
        name: row.get("name")?,
        full_name: row.get("full_name")?,
        has_password: row.get::<_, Option<String>>("password")?.is_some(),
        issuer: row.get("issuer")?,
        created_at: at(row.get("created_at")?),
        created_by: row.get("created_by")?,
        seen_at: row.get::<_, Option<i64>>("seen_at")?.map(at),
        roles: Vec::new(),
        teams: Vec::new(),
        aliases: Vec::new(),
    })
}
