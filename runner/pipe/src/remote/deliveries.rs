//! `pipe deliveries`.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::client::query;
use super::connect::connect;
use super::{print, shown};
use crate::args::{DeliveriesCommand, Global};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn run(command: DeliveriesCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        DeliveriesCommand::List { repo, state, limit, connect: place } => {
            let client = connect(&place).await?;
            let limit = limit.to_string();
            let query = query(&[("repository", repo.as_deref()), ("state", state.as_deref()), ("limit", Some(&limit))]);
            let value = client.get(&format!("/deliveries{query}")).await?;
            let terminal = Terminal::stdout(global.color);
            print(place.json, &value, |value| {
                let rows: Vec<_> = value["deliveries"].as_array().into_iter().flatten().map(row).collect();
                if rows.is_empty() {
                    return "no deliveries\n".to_owned();
                }
                table::render(
                    &["NUMBER", "STATE", "FORGE", "EVENT", "REPOSITORY", "CAME", "RUNS", "WHY"],
                    &rows,
                    terminal,
                )
            })
        }
        DeliveriesCommand::Show { number, connect: place } => {
            let client = connect(&place).await?;
            let value = client.get(&format!("/deliveries/{number}")).await?;
            // A payload is best read as what it is.
            print(true, &value, |_| String::new())
        }
        DeliveriesCommand::Replay { number, connect: place } => {
            let client = connect(&place).await?;
            let value = client.json(Method::POST, &format!("/deliveries/{number}/replay"), Some(&json!({}))).await?;
            print(place.json, &value, |_| format!("delivery {number} is looked at again\n"))
        }
    }
}

fn row(delivery: &Json) -> Vec<String> {
    let runs = delivery["runs"].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ");
    let mut row: Vec<_> = ["number", "state", "forge", "event", "repository", "received_at"]
        .iter()
        .map(|field| shown(&delivery[*field]))
        .collect();
    row.push(runs);
    row.push(shown(&delivery["reason"]));
    row
}
