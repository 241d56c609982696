//! `pipe notify`.

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::client::{Client, query};
use super::connect::connect;
use super::{print, shown};
use crate::args::{Global, NotifyCommand};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

/// How long a trial is waited for.
const TRIAL_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is asked for.
const ASK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(command: NotifyCommand, global: &Global) -> Result<Exit, Failure> {
    let terminal = Terminal::stdout(global.color);
    match command {
        NotifyCommand::Ls { connect: place } => {
            let value = connect(&place).await?.get("/notifications").await?;
            print(place.json, &value, |value| {
                let rows: Vec<_> = value["channels"].as_array().into_iter().flatten().map(channel).collect();
                if rows.is_empty() {
                    return "no channels; `[notify.NAME]` of pipe.toml makes one\n".to_owned();
                }
                table::render(&["NAME", "FORM", "WHERE", "ON", "ARRIVED", "OPEN", "HELD", "PROBLEM"], &rows, terminal)
            })
        }
        NotifyCommand::Test { name, connect: place } => {
            let client = connect(&place).await?;
            let body = name.map_or_else(|| json!({}), |name| json!({ "channel": name }));
            let sent = client.json(Method::POST, "/notifications/test", Some(&body)).await?;
            let mut told = Vec::new();
            for one in sent["sent"].as_array().into_iter().flatten() {
                told.push(outcome(&client, one).await?);
            }
            let all_arrived = told.iter().all(|one| one["state"] == "arrived");
            let exit = print(place.json, &json!({ "sent": told }), |value| {
                let line = |one: &Json| {
                    let problem = match shown(&one["problem"]) {
                        problem if problem.is_empty() || one["state"] == "arrived" => String::new(),
                        problem => format!(": {problem}"),
                    };
                    format!("{} {}{problem}\n", shown(&one["channel"]), shown(&one["state"]))
                };
                value["sent"].as_array().into_iter().flatten().map(line).collect()
            })?;
            Ok(if all_arrived { exit } else { Exit::Environment })
        }
        NotifyCommand::Deliveries { channel, limit, connect: place } => {
            let client = connect(&place).await?;
            let limit = limit.to_string();
            let query = query(&[("channel", channel.as_deref()), ("limit", Some(&limit))]);
            let value = client.get(&format!("/notifications/deliveries{query}")).await?;
            print(place.json, &value, |value| {
                let fields = ["id", "state", "channel", "subject", "attempts", "created_at", "problem"];
                let row = |one: &Json| fields.map(|field| shown(&one[field])).to_vec();
                let rows: Vec<_> = value["deliveries"].as_array().into_iter().flatten().map(row).collect();
                if rows.is_empty() {
                    return "nobody was told anything\n".to_owned();
                }
                let heading = ["NUMBER", "STATE", "CHANNEL", "ABOUT", "TRIES", "MADE", "PROBLEM"];
                table::render(&heading, &rows, terminal)
            })
        }
        NotifyCommand::Redeliver { number, connect: place } => {
            let client = connect(&place).await?;
            let path = format!("/notifications/deliveries/{number}/redeliver");
            let value = client.json(Method::POST, &path, None).await?;
            print(place.json, &value, |_| format!("notification {number} is sent once more\n"))
        }
    }
}

/// What becomes of a trial: as it stands once it has arrived, went wrong, or took too long.
async fn outcome(client: &Client, sent: &Json) -> Result<Json, Failure> {
    let begin = Instant::now();
    let query = query(&[("channel", sent["channel"].as_str()), ("limit", Some("20"))]);
    loop {
        let value = client.get(&format!("/notifications/deliveries{query}")).await?;
        let mut all = value["deliveries"].as_array().into_iter().flatten();
        let found = all.find(|one| one["id"] == sent["number"]).cloned().unwrap_or_default();
        let is_open = found["state"] == "waiting" || found["state"] == "sending";
        // A channel that failed once is tried for a day; who waits here wants to know why.
        if !is_open || found["attempts"].as_u64() > Some(0) || begin.elapsed() > TRIAL_TIME_MAX {
            return Ok(found);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn channel(one: &Json) -> Vec<String> {
    let on = one["on"].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(" ");
    let standing = &one["standing"];
    let mut row = ["name", "form", "place"].map(|field| shown(&one[field])).to_vec();
    row.push(on);
    row.extend(["arrived_at", "open", "held", "problem"].map(|field| shown(&standing[field])));
    row
}
