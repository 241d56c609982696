//! `pipe cancel`, `rerun`, `approve`, `reject`, `dispatch`.

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::client::Client;
use super::connect::connect;
use super::watch::{Wish, follow};
use super::{number, place, print, shown};
use crate::args::{CancelArgs, Connect, DispatchArgs, Global, RerunArgs, ReviewArgs};
use crate::exit::{Exit, Failure};

pub(super) async fn cancel(args: &CancelArgs, _global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let run = number(&client, &args.run).await?;
    let value = post(&client, &format!("/runs/{run}/cancel"), &json!({ "force": args.force })).await?;
    print(args.connect.json, &value, |_| format!("run {run} is being cancelled\n"))
}

pub(super) async fn rerun(args: &RerunArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let run = number(&client, &args.run).await?;
    let body = match &args.job {
        Some(job) => json!({ "job": job }),
        None => json!({ "failed": args.failed }),
    };
    let value = post(&client, &format!("/runs/{run}/rerun"), &body).await?;
    if args.watch {
        return watch(&client, &value["run"], &args.connect, global).await;
    }
    print(args.connect.json, &value, |value| started(&value["run"]))
}

pub(super) async fn review(args: &ReviewArgs, state: &str, _global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let run = number(&client, &args.run).await?;
    if args.environment.is_none() && client.get(&format!("/runs/{run}")).await?["held"].is_string() {
        let (deed, told) = match state {
            "approved" => ("approve", "may run"),
            _ => ("cancel", "is cancelled"),
        };
        let value = post(&client, &format!("/runs/{run}/{deed}"), &json!({})).await?;
        return print(args.connect.json, &value, |_| format!("run {run} {told}\n"));
    }
    let mut body = json!({ "state": state, "comment": args.message });
    if let Some(environment) = &args.environment {
        body["environment"] = environment.clone().into();
    }
    let value = post(&client, &format!("/runs/{run}/reviews"), &body).await?;
    print(args.connect.json, &value, |_| format!("run {run} is {state}\n"))
}

pub(super) async fn dispatch(args: &DispatchArgs, global: &Global) -> Result<Exit, Failure> {
    let mut inputs = Map::new();
    for input in &args.inputs {
        let (name, value) = input
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`{input}` is no input")).help("write `--input NAME=VALUE`"))?;
        inputs.insert(name.to_owned(), value.into());
    }
    let body = match (&args.workflow, &args.event_type) {
        (Some(workflow), _) => {
            let mut body = json!({ "repository": args.repo, "workflow": workflow, "inputs": inputs });
            if let Some(git_ref) = &args.git_ref {
                body["ref"] = git_ref.clone().into();
            }
            body
        }
        (None, event_type) => json!({ "repository": args.repo, "event_type": event_type, "client_payload": inputs }),
    };
    let client = connect(&args.connect).await?;
    let value = post(&client, "/dispatch", &body).await?;
    if args.watch {
        return watch(&client, &value["runs"][0], &args.connect, global).await;
    }
    print(args.connect.json, &value, |value| {
        let runs = value["runs"].as_array().into_iter().flatten();
        let lines: String = runs.map(started).collect();
        if lines.is_empty() { "no workflow runs on it\n".to_owned() } else { lines }
    })
}

fn started(run: &Json) -> String {
    let run = shown(run);
    format!("run {run} is queued; follow it with `pipe watch {run}`\n")
}

async fn watch(client: &Client, run: &Json, to: &Connect, global: &Global) -> Result<Exit, Failure> {
    let run = run.as_u64().ok_or_else(|| Failure::new(Exit::Nothing, "no run was started"))?;
    follow(client, &Wish { run, job: None, json: to.json, place: place(to), until_review: false }, global).await
}

async fn post(client: &Client, path: &str, body: &Json) -> Result<Json, Failure> {
    Ok(client.json(Method::POST, path, Some(body)).await?)
}
