//! `pipe user` and `pipe team`. A password comes from standard input or a hidden prompt, never from an argument.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::client::{Client, escaped};
use super::connect::connect;
use super::settings::typed;
use super::{print, shown};
use crate::args::{AliasCommand, Connect, Global, RolePlace, TeamCommand, UserCommand};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn user(command: UserCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        UserCommand::Add { name, full_name, role, place, no_password, connect: to } => {
            let client = connect(&to).await?;
            let mut body = json!({ "name": name, "full_name": full_name });
            if let Some(role) = role {
                body["roles"] = json!([self::role(&role, &place)]);
            }
            if !no_password {
                body["password"] = typed("password")?.expose().into();
            }
            let value = client.json(Method::POST, "/users", Some(&body)).await?;
            print(to.json, &value, |_| format!("user {name} is made\n"))
        }
        UserCommand::Ls { connect: to } => {
            let value = connect(&to).await?.get("/users").await?;
            list(
                &value,
                "users",
                &["name", "full_name", "teams", "aliases", "seen_at"],
                &["NAME", "FULL NAME", "TEAMS", "IS ALSO", "SEEN", "ROLES"],
                &to,
                global,
            )
        }
        UserCommand::Rm { name, connect: to } => {
            delete(&to, &format!("/users/{}", escaped(&name)), &format!("user {name} is removed")).await
        }
        UserCommand::Passwd { name, connect: to } => {
            let client = connect(&to).await?;
            let body = json!({ "password": typed("password")?.expose() });
            let value = client.json(Method::PUT, &format!("/users/{}/password", escaped(&name)), Some(&body)).await?;
            print(to.json, &value, |_| format!("the password of {name} is set; their sessions ended\n"))
        }
        UserCommand::Alias(AliasCommand::Add { name, alias, connect: to }) => {
            let path = format!("/users/{}/aliases/{}", escaped(&name), escaped(&alias));
            let value = connect(&to).await?.json(Method::PUT, &path, None).await?;
            print(to.json, &value, |value| format!("{name} is also {}\n", shown(&value["alias"])))
        }
        UserCommand::Alias(AliasCommand::Rm { name, alias, connect: to }) => {
            let path = format!("/users/{}/aliases/{}", escaped(&name), escaped(&alias));
            delete(&to, &path, &format!("{name} is {alias} no more")).await
        }
        UserCommand::Role { name, role, remove, place, connect: to } => {
            change_role(&to, "users", &name, &role, &place, remove).await
        }
    }
}

pub(super) async fn team(command: TeamCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        TeamCommand::Add { name, connect: to } => {
            let value = connect(&to).await?.json(Method::POST, "/teams", Some(&json!({ "name": name }))).await?;
            print(to.json, &value, |_| format!("team {name} is made\n"))
        }
        TeamCommand::Ls { connect: to } => {
            let value = connect(&to).await?.get("/teams").await?;
            list(&value, "teams", &["name", "members"], &["NAME", "MEMBERS", "ROLES"], &to, global)
        }
        TeamCommand::Rm { name, connect: to } => {
            delete(&to, &format!("/teams/{}", escaped(&name)), &format!("team {name} is removed")).await
        }
        TeamCommand::Join { team, user, connect: to } => {
            let path = format!("/teams/{}/members/{}", escaped(&team), escaped(&user));
            let value = connect(&to).await?.json(Method::PUT, &path, None).await?;
            print(to.json, &value, |_| format!("{user} is in the team {team}\n"))
        }
        TeamCommand::Leave { team, user, connect: to } => {
            let path = format!("/teams/{}/members/{}", escaped(&team), escaped(&user));
            delete(&to, &path, &format!("{user} is not in the team {team}")).await
        }
        TeamCommand::Role { team, role, remove, place, connect: to } => {
            change_role(&to, "teams", &team, &role, &place, remove).await
        }
    }
}

fn role(role: &str, place: &RolePlace) -> Json {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    json!({ "role": role, "repository": text(&place.repo), "environment": text(&place.env) })
}

async fn delete(to: &Connect, path: &str, said: &str) -> Result<Exit, Failure> {
    let value = connect(to).await?.json(Method::DELETE, path, None).await?;
    print(to.json, &value, |_| format!("{said}\n"))
}

async fn change_role(
    to: &Connect,
    kinds: &str,
    name: &str,
    word: &str,
    place: &RolePlace,
    remove: bool,
) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let wanted = role(word, place);
    if !remove {
        let value = client.json(Method::POST, &format!("/{kinds}/{}/roles", escaped(name)), Some(&wanted)).await?;
        return print(to.json, &value, |_| format!("{name} is {word}\n"));
    }
    let number = find(&client, kinds, name, &wanted).await?;
    let value = client.json(Method::DELETE, &format!("/roles/{number}"), None).await?;
    print(to.json, &value, |_| format!("{name} is {word} no more\n"))
}

/// The number of a role that somebody has.
async fn find(client: &Client, kinds: &str, name: &str, wanted: &Json) -> Result<u64, Failure> {
    let value = client.get(&format!("/{kinds}")).await?;
    let same = |one: &Json, other: &Json| {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_lowercase();
        text(one) == text(other)
    };
    let all = value[kinds].as_array().into_iter().flatten();
    let own = all
        .filter(|one| same(&one["name"], &json!(name)))
        .flat_map(|one| one["roles"].as_array().into_iter().flatten());
    let fields = ["role", "repository", "environment"];
    let mut found = own.filter(|role| fields.iter().all(|field| same(&role[field], &wanted[field])));
    let number = found.next().and_then(|role| role["id"].as_u64());
    number.ok_or_else(|| {
        Failure::usage(format!("{name} has no such role")).help("`pipe user ls` and `pipe team ls` show them")
    })
}

fn list(
    value: &Json,
    kinds: &str,
    fields: &[&str],
    heading: &[&str],
    to: &Connect,
    global: &Global,
) -> Result<Exit, Failure> {
    let terminal = Terminal::stdout(global.color);
    print(to.json, value, |value| {
        let words = |value: &Json| match value.as_array() {
            Some(all) => all.iter().map(shown).collect::<Vec<_>>().join(" "),
            None => shown(value),
        };
        let role = |one: &Json| {
            let place = |name: &str, field: &str| match shown(&one[field]) {
                text if text.is_empty() => text,
                text => format!(" {name} {text}"),
            };
            format!("{}{}{}", shown(&one["role"]), place("in", "repository"), place("for", "environment"))
        };
        let row = |one: &Json| {
            let roles: Vec<_> = one["roles"].as_array().into_iter().flatten().map(role).collect();
            fields.iter().map(|field| words(&one[*field])).chain([roles.join(", ")]).collect::<Vec<_>>()
        };
        let rows: Vec<_> = value[kinds].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() { format!("no {kinds}\n") } else { table::render(heading, &rows, terminal) }
    })
}
