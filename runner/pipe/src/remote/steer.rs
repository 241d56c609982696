//! `pipe cancel`, `rerun`, `approve`, `reject`, `dispatch`.

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::client::Client;
use super::connect::connect;
use super::watch::{Wish, follow};
use super::{number, place, print, shown};
use crate::args::{CancelArgs, Connect, DispatchArgs, Global, RerunArgs, ReviewArgs};
use crate::exit::{Exit, Failure};

/// What the names of gates in the middle of jobs begin with.
const GATE: &str = "gate:";

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
    if args.environment.as_deref().is_none_or(|name| name.starts_with(GATE)) {
        let waiting = client.get(&format!("/runs/{run}/reviews")).await?;
        if let Some(gate) = gate(run, &waiting, args.environment.as_deref())? {
            let order = if state == "approved" { "promote" } else { "abort" };
            let body = json!({ "order": order, "comment": args.message, "plan": gate["plan"] });
            let value = post(&client, &format!("/rollouts/{}/orders", gate["id"]), &body).await?;
            let asked = shown(&gate["subject"]);
            return print(args.connect.json, &value, |_| format!("run {run}: {asked}: {state}\n"));
        }
    }
    let mut body = json!({ "state": state, "comment": args.message });
    if let Some(environment) = &args.environment {
        body["environment"] = environment.clone().into();
    }
    let value = post(&client, &format!("/runs/{run}/reviews"), &body).await?;
    print(args.connect.json, &value, |_| format!("run {run} is {state}\n"))
}

/// The gate that is meant, of what waits: by its name, or the only one where no environment waits for a review.
fn gate<'a>(run: u64, waiting: &'a Json, name: Option<&str>) -> Result<Option<&'a Json>, Failure> {
    let list = |key: &str| waiting[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let open: Vec<&Json> = list("gates").iter().filter(|gate| gate["outcome"].is_null()).collect();
    let names = || open.iter().map(|gate| shown(&gate["service"])).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let found = open.iter().find(|gate| gate["service"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)));
        let failure = || {
            let others = if open.is_empty() { "none waits".to_owned() } else { format!("there are {}", names()) };
            Failure::new(Exit::Nothing, format!("run {run} has no gate `{name}` that waits; {others}"))
        };
        return found.copied().map(Some).ok_or_else(failure);
    }
    match open.as_slice() {
        _ if !list("reviews").is_empty() => Ok(None),
        [] => Ok(None),
        [only] => Ok(Some(only)),
        [_, ..] => {
            let failure = Failure::usage(format!("run {run} asks several things: {}", names()));
            Err(failure.help(format!("say which: `pipe approve {run} GATE`")))
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_that_is_meant() {
        let gate_of = |name: &str, outcome: Json| json!({ "id": 1, "service": name, "outcome": outcome });
        let check = |waiting: Json, name: Option<&str>| match gate(7, &waiting, name) {
            Ok(found) => found.map_or("none".to_owned(), |gate| shown(&gate["service"])),
            Err(failure) => failure.message,
        };
        let (a, b, over) =
            (gate_of("gate:a", Json::Null), gate_of("gate:b", Json::Null), gate_of("gate:c", "approved".into()));
        let waiting = |reviews: Json, gates: Json| json!({ "reviews": reviews, "gates": gates });
        assert_eq!(check(waiting(json!([]), json!([a, over])), None), "gate:a");
        assert_eq!(check(waiting(json!([{}]), json!([a])), None), "none", "a review of an environment comes first");
        assert_eq!(check(waiting(json!([{}]), json!([a, b])), Some("gate:B")), "gate:b");
        assert_eq!(check(waiting(json!([]), json!([])), None), "none");
        assert_eq!(check(waiting(json!([]), json!([a, b])), None), "run 7 asks several things: gate:a, gate:b");
        assert_eq!(
            check(waiting(json!([]), json!([a, over])), Some("gate:c")),
            "run 7 has no gate `gate:c` that waits; there are gate:a"
        );
    }
}
