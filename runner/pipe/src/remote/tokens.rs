//! `pipe token` and `pipe audit`.

use std::path::Path;

use axum::http::Method;
use engine::store::Options;
use engine::store::audit::{AuditError, Checkpoint};
use serde_json::{Value as Json, json};

use super::client::{escaped, query};
use super::connect::{Opened, connect};
use super::{print, shown};
use crate::args::{Connect, Global, TokenCommand};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn run(command: TokenCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create { name, scopes, repos, days, connect: to } => {
            let client = connect(&to).await?;
            let body = json!({ "name": name, "scopes": scopes, "repositories": repos, "expires_in_days": days });
            let value = client.json(Method::POST, "/tokens", Some(&body)).await?;
            // Alone on its line, so that a script can take it.
            print(to.json, &value, |value| format!("{}\n", shown(&value["token"])))
        }
        TokenCommand::Ls { connect: to } => {
            let client = connect(&to).await?;
            let value = client.get("/tokens").await?;
            let terminal = Terminal::stdout(global.color);
            print(to.json, &value, |value| tokens(value, terminal))
        }
        TokenCommand::Revoke { token, connect: to } => {
            let client = connect(&to).await?;
            let value = client.json(Method::DELETE, &format!("/tokens/{}", escaped(&token)), None).await?;
            print(to.json, &value, |_| format!("token {token} is taken back\n"))
        }
    }
}

fn tokens(value: &Json, terminal: Terminal) -> String {
    let row = |one: &Json| {
        let join = |field: &str| one[field].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ");
        let state = if one["revoked_at"].is_null() { "" } else { "taken back" };
        let text = |field: &str| shown(&one[field]);
        vec![
            text("id"),
            text("name"),
            join("scopes"),
            join("repositories"),
            text("expires_at"),
            text("used_at"),
            state.to_owned(),
        ]
    };
    let rows: Vec<_> = value["tokens"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "no tokens\n".to_owned();
    }
    table::render(&["ID", "NAME", "SCOPES", "REPOSITORIES", "ENDS", "USED", ""], &rows, terminal)
}

pub(super) async fn audit(what: Option<&str>, limit: usize, to: &Connect, global: &Global) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let limit = limit.to_string();
    let value = client.get(&format!("/audit{}", query(&[("what", what), ("limit", Some(&limit))]))).await?;
    let terminal = Terminal::stdout(global.color);
    print(to.json, &value, |value| {
        let row = |one: &Json| {
            ["seq", "at", "who", "origin", "what", "target", "detail"].iter().map(|field| shown(&one[*field])).collect()
        };
        let rows: Vec<Vec<String>> = value["entries"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            return "no deeds\n".to_owned();
        }
        table::render(&["", "WHEN", "WHO", "FROM", "WHAT", "TO", "MORE"], &rows, terminal)
    })
}

pub(super) async fn verify(data: &Path, anchor: Option<&str>, json: bool) -> Result<Exit, Failure> {
    let anchor: Option<Checkpoint> = anchor.map(str::parse).transpose().map_err(Failure::usage)?;
    let opened = Opened::open(data, Options::SERVER, false).await?;
    let checkpoint = opened.audit.verify(anchor).await.map_err(|error| match error {
        AuditError::Changed(_) => Failure::new(Exit::Failure, error.to_string()),
        AuditError::Store(_) | AuditError::Key(_) => Failure::environment(format!("cannot {error}")),
    })?;
    opened.database.close().await;
    let value = json!({ "count": checkpoint.count, "head": checkpoint.head, "anchor": checkpoint.to_string() });
    print(json, &value, |_| {
        format!("{} rows hold together\nkeep this elsewhere, for the next --anchor: {checkpoint}\n", checkpoint.count)
    })
}
