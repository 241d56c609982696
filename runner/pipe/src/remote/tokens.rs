//! `pipe token` and `pipe audit`.

use std::io::Write as _;
use std::path::Path;

use axum::http::Method;
use engine::store::audit::{AuditError, Checkpoint, SignedCheckpoint};
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};

use super::client::{escaped, query};
use super::connect::{Opened, connect};
use super::{print, shown};
use crate::args::{Connect, Global, TokenCommand};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::{self, Terminal};

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

pub(super) async fn verify(
    data: &Path,
    anchor: Option<&str>,
    checkpoints: Option<&Path>,
    json: bool,
) -> Result<Exit, Failure> {
    let anchor: Option<Checkpoint> = anchor.map(str::parse).transpose().map_err(Failure::usage)?;
    let kept = checkpoints.map(signed).transpose()?.unwrap_or_default();
    let opened = Opened::look(data).await?;
    let changed = |error: AuditError| match error {
        AuditError::Changed(_) => Failure::new(Exit::Failure, error.to_string()),
        AuditError::Store(_) | AuditError::Key(_) => Failure::environment(format!("cannot {error}")),
    };
    opened.audit.verify_signed(&kept).await.map_err(changed)?;
    let checkpoint = opened.audit.verify(anchor).await.map_err(changed)?;
    let signed = opened.audit.sign(&checkpoint, jiff::Timestamp::now());
    opened.database.close().await;
    let value = json!({
        "count": checkpoint.count, "head": checkpoint.head, "anchor": checkpoint.to_string(), "checkpoint": signed,
        "checked": kept.len(),
    });
    print(json, &value, |_| {
        let held =
            if kept.is_empty() { String::new() } else { format!(" and are those of {} checkpoints", kept.len()) };
        format!(
            "{} rows hold together{held}\nkeep this elsewhere, for the next --anchor: {checkpoint}\nor this line, in a file for \
             --checkpoint (signed with the key {}):\n{signed}\n",
            checkpoint.count, signed.key
        )
    })
}

/// The checkpoints of a file.
fn signed(path: &Path) -> Result<Vec<SignedCheckpoint>, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
    let kept = SignedCheckpoint::read_all(&text);
    if kept.is_empty() {
        let help = "`pipe audit verify` and `pipe audit export` print one, and servers keep audit-checkpoints.ndjson";
        return Err(Failure::usage(format!("there is no signed checkpoint in `{}`", path.display())).help(help));
    }
    Ok(kept)
}

/// As it comes: it may be long.
pub(super) async fn export(to: &Connect) -> Result<Exit, Failure> {
    let client = connect(to).await?;
    let mut stream = client.send(Method::GET, "/audit/export", None, &[]).await?.into_body().into_data_stream();
    let mut output = terminal::results();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| Failure::environment(format!("the answer ended early: {error}")))?;
        output.write_all(&bytes)?;
    }
    output.flush()?;
    Ok(Exit::Success)
}
