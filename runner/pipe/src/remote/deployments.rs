//! `pipe deployments`, `pipe environments`, `pipe messages`.

use axum::http::Method;
use serde_json::Value as Json;

use super::client::query;
use super::connect::connect;
use super::{print, shown};
use crate::args::{DeploymentsArgs, EnvironmentsArgs, Global, MessagesCommand};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn list(args: &DeploymentsArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let limit = args.limit.to_string();
    let query = query(&[
        ("repository", args.repo.as_deref()),
        ("environment", args.environment.as_deref()),
        ("limit", Some(&limit)),
    ]);
    let value = client.get(&format!("/deployments{query}")).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| {
        let fields = ["environment", "repository", "state", "sha", "run", "actor", "started_at"];
        let row = |one: &Json| fields.map(|field| cell(one, field)).to_vec();
        let rows: Vec<_> = value["deployments"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            return "no deployments\n".to_owned();
        }
        table::render(&["ENVIRONMENT", "REPOSITORY", "STATE", "COMMIT", "RUN", "BY", "BEGAN"], &rows, terminal)
    })
}

pub(super) async fn environments(args: &EnvironmentsArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let value = client.get(&format!("/environments{}", query(&[("repository", args.repo.as_deref())]))).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| {
        let row = |one: &Json| {
            let reviewers = one["reviewers"].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>();
            let deployed = &one["deployed"];
            let mut row = ["name", "repository"].map(|field| shown(&one[field])).to_vec();
            row.extend(["sha", "state", "run", "started_at"].map(|field| cell(deployed, field)));
            row.push(reviewers.join(", "));
            row
        };
        let rows: Vec<_> = value["environments"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            return "no environments\n".to_owned();
        }
        let heading = ["ENVIRONMENT", "REPOSITORY", "COMMIT", "STATE", "RUN", "SINCE", "REVIEWERS"];
        table::render(&heading, &rows, terminal)
    })
}

pub(super) async fn messages(command: MessagesCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        MessagesCommand::List { limit, connect: place } => {
            let client = connect(&place).await?;
            let value = client.get(&format!("/messages?limit={limit}")).await?;
            let terminal = Terminal::stdout(global.color);
            print(place.json, &value, |value| {
                let fields = ["id", "state", "target", "kind", "subject", "attempts", "not_before", "problem"];
                let row = |one: &Json| fields.map(|field| shown(&one[field])).to_vec();
                let rows: Vec<_> = value["messages"].as_array().into_iter().flatten().map(row).collect();
                if rows.is_empty() {
                    return "everybody has been told everything\n".to_owned();
                }
                let heading = ["NUMBER", "STATE", "TO", "KIND", "ABOUT", "TRIES", "NEXT", "PROBLEM"];
                table::render(&heading, &rows, terminal)
            })
        }
        MessagesCommand::Retry { number, connect: place } => {
            let client = connect(&place).await?;
            let value = client.json(Method::POST, &format!("/messages/{number}/retry"), None).await?;
            print(place.json, &value, |_| format!("message {number} will be tried again\n"))
        }
    }
}

/// A commit in short, else the field as it is.
fn cell(one: &Json, field: &str) -> String {
    let text = shown(&one[field]);
    if field == "sha" { text.chars().take(7).collect() } else { text }
}
