//! `pipe secret` and `pipe var`. A secret's value comes from standard input or a hidden prompt, never from an argument.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use axum::http::Method;
use engine::store::Options;
use engine::store::rekey::{rekey as seal_again, sealed_with_others};
use engine::store::secrets::NOTIFY;
use serde_json::{Value as Json, json};
use workflow::secret::Secret;

use super::client::{escaped, query};
use super::connect::{Opened, connect, person};
use super::{print, shown};
use crate::args::{Connect, Global, Place, SecretCommand, VarCommand};
use crate::exit::{Exit, Failure};
use crate::run::ask;
use crate::table;
use crate::terminal::Terminal;

/// Longest value that is read.
const VALUE_BYTES_MAX: u64 = 64 * 1_024;

pub(super) async fn secret(command: SecretCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        SecretCommand::Set { name, place, notify, connect } => {
            let value = typed(&format!("secret {name}"))?;
            set("secret", &name, &value, &of_channels(place, notify), &connect).await
        }
        SecretCommand::Ls { repo, connect } => list("secrets", repo.as_deref(), &connect, global).await,
        SecretCommand::Rm { name, place, notify, connect } => {
            remove("secret", &name, &of_channels(place, notify), &connect).await
        }
        SecretCommand::Rekey { data, json } => rekey(&data, json).await,
    }
}

/// Where secrets of channels are kept, if that is meant.
fn of_channels(place: Place, notify: bool) -> Place {
    if notify { Place { repo: Some(NOTIFY.to_owned()), ..place } } else { place }
}

pub(super) async fn variable(command: VarCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        VarCommand::Set { name, value, place, connect } => {
            let value = match value {
                Some(value) => Secret::new(value),
                None => read_input()?,
            };
            set("variable", &name, &value, &place, &connect).await
        }
        VarCommand::Ls { repo, connect } => list("variables", repo.as_deref(), &connect, global).await,
        VarCommand::Rm { name, place, connect } => remove("variable", &name, &place, &connect).await,
    }
}

/// From a pipe as it is, without the line break at its end; from a person unseen.
pub(super) fn typed(name: &str) -> Result<Secret, Failure> {
    if !std::io::stdin().is_terminal() {
        return read_input();
    }
    ask::type_unseen(name).map(Secret::new)
}

fn read_input() -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(VALUE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read the value from standard input: {error}")))?;
    if text.len() as u64 > VALUE_BYTES_MAX {
        return Err(Failure::usage(format!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    let end = text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(end);
    Ok(Secret::new(text))
}

async fn set(kind: &str, name: &str, value: &Secret, place: &Place, to: &Connect) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let body = json!({
        "value": value.expose(), "repository": text(&place.repo), "environment": text(&place.env),
        "branch": text(&place.branch),
    });
    let path = format!("/{kind}s/{}", escaped(name));
    let value = client.json(Method::PUT, &path, Some(&body)).await?;
    print(to.json, &value, |value| format!("{kind} {} is set\n", shown(&value["name"])))
}

async fn remove(kind: &str, name: &str, place: &Place, to: &Connect) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let query = query(&[
        ("repository", place.repo.as_deref()),
        ("environment", place.env.as_deref()),
        ("branch", place.branch.as_deref()),
    ]);
    let value = client.json(Method::DELETE, &format!("/{kind}s/{}{query}", escaped(name)), None).await?;
    print(to.json, &value, |value| format!("{kind} {} is removed\n", shown(&value["name"])))
}

async fn list(kinds: &str, repo: Option<&str>, to: &Connect, global: &Global) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let value = client.get(&format!("/{kinds}{}", query(&[("repository", repo)]))).await?;
    let terminal = Terminal::stdout(global.color);
    print(to.json, &value, |value| {
        let row = |one: &Json| {
            let fields = ["name", "repository", "environment", "branch", "updated_at", "updated_by", "value"];
            fields.iter().map(|field| shown(&one[*field])).collect::<Vec<_>>()
        };
        let rows: Vec<_> = value[kinds].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            return format!("no {kinds}\n");
        }
        let heading = ["NAME", "REPOSITORY", "ENVIRONMENT", "BRANCH", "SET", "BY", "VALUE"];
        let columns = if kinds == "secrets" { heading.len() - 1 } else { heading.len() };
        table::render(&heading[..columns], &rows, terminal)
    })
}

/// Everything is sealed with a new key; one that was cut off goes on.
pub(super) async fn rekey(data: &Path, json: bool) -> Result<Exit, Failure> {
    let opened = Opened::open(data, Options::SERVER, false).await?;
    let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot {error}"));
    let keys = opened.keys.begin_rekey().map_err(|error| failed(&error))?;
    opened.vault.replace(keys);
    let count = seal_again(&opened.database, &opened.vault, &opened.audit, person()).await;
    let count = count.map_err(|error| failed(&error))?;
    let left = sealed_with_others(&opened.database, opened.vault.current()).await.map_err(|error| failed(&error))?;
    if left > 0 {
        return Err(Failure::environment(format!("{left} values are still sealed with the old key; run this again")));
    }
    let is_left_to_user = opened.keys.end_rekey().map_err(|error| failed(&error))?;
    let key = opened.vault.current().to_string();
    opened.database.close().await;
    print(json, &json!({ "key": key, "values": count }), |_| {
        let more = if is_left_to_user { "; take the old key out of PIPE_MASTER_KEY" } else { "" };
        format!("{count} values are sealed with the key {key}{more}\n")
    })
}
