//! `pipe deployments`, `pipe environments`, `pipe env`, `pipe messages`.

use axum::http::Method;
use serde_json::Value as Json;

use super::client::query;
use super::connect::connect;
use super::{print, shown};
use crate::args::{DeploymentsArgs, EnvCommand, EnvironmentsArgs, Global, MessagesCommand};
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

pub(super) async fn env(command: EnvCommand, global: &Global) -> Result<Exit, Failure> {
    let EnvCommand::Ls { repo, connect: place } = command;
    let client = connect(&place).await?;
    let query = query(&[("by", Some("name")), ("repository", repo.as_deref())]);
    let value = client.get(&format!("/environments{query}")).await?;
    let terminal = Terminal::stdout(global.color);
    print(place.json, &value, |value| {
        let rows: Vec<_> = value["environments"].as_array().into_iter().flatten().flat_map(rows_of).collect();
        if rows.is_empty() {
            return "no environments\n".to_owned();
        }
        let heading = ["ENVIRONMENT", "SERVICE", "REPOSITORY", "VERSION", "COMMIT", "STATE", "SINCE", "RULES"];
        table::render(&heading, &rows, terminal)
    })
}

/// Rows of an environment, its name in the first one only.
fn rows_of(one: &Json) -> Vec<Vec<String>> {
    let mut rules = one["reviewers"].as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(", ");
    if !one["frozen"].is_null() {
        rules = format!("frozen until {}", shown(&one["frozen"]["until"]));
    }
    let stands = one["stands"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rows: Vec<Vec<String>> = stands.iter().map(row_of).collect();
    if rows.is_empty() {
        rows.push(vec![
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            "nothing yet".to_owned(),
            String::new(),
        ]);
    }
    for (at, row) in rows.iter_mut().enumerate() {
        row.insert(0, if at == 0 { shown(&one["name"]) } else { String::new() });
        row.push(if at == 0 { std::mem::take(&mut rules) } else { String::new() });
    }
    rows
}

/// Service, repository, version, commit, state, since.
fn row_of(place: &Json) -> Vec<String> {
    let (rolled, deployed) = (&place["rolled"], &place["deployed"]);
    let mut row = ["service", "repository"].map(|field| shown(&place[field])).to_vec();
    if rolled.is_null() {
        row.push(String::new());
        row.extend(["sha", "state", "started_at"].map(|field| cell(deployed, field)));
        return row;
    }
    let revision = &rolled["revision"];
    row.push(shown(&revision["version"]));
    row.push(shown(&revision["commit"]).chars().take(7).collect());
    row.push(match shown(&rolled["outcome"]).as_str() {
        "" => format!("{}, green {} %", shown(&rolled["phase"]), rolled["weight"].as_f64().unwrap_or_default() / 10.0),
        outcome => outcome.to_owned(),
    });
    row.push(second(&rolled["since"]));
    row
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
    match field {
        "sha" => shown(&one[field]).chars().take(7).collect(),
        "started_at" => second(&one[field]),
        _ => shown(&one[field]),
    }
}

/// A time for a person, without parts of a second.
pub(super) fn second(value: &Json) -> String {
    let text = shown(value);
    text.parse::<jiff::Timestamp>().map_or(text, |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::second;

    #[test]
    fn times_are_for_people() {
        for (value, expected) in
            [(json!("2026-11-22T14:22:44.475302Z"), "2026-11-22 14:22:44Z"), (json!("soon"), "soon"), (json!(null), "")]
        {
            assert_eq!(second(&value), expected, "{value}");
        }
    }
}
