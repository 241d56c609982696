//! `pipe deploy …`: rollouts as they go on, and orders to them.

mod follow;
mod text;

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::client::{Client, escaped, query};
use super::connect::connect;
use super::{place, print, shown};
use crate::args::{DeployCommand, Global, OrderArgs, WhichRollout};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

pub(super) async fn run(command: DeployCommand, global: &Global) -> Result<Exit, Failure> {
    let terminal = Terminal::stdout(global.color);
    match command {
        DeployCommand::Status { which, watch: true } => {
            let client = connect(&which.connect).await?;
            let one = one(&client, &which, Wanted::ActiveFirst).await?;
            let id = one["id"].as_u64().unwrap_or_default();
            follow::follow(&client, id, which.connect.json, terminal).await
        }
        DeployCommand::Status { which, watch: false } => status(&which, terminal).await,
        DeployCommand::History { environment, service, repo, limit, connect: to } => {
            let client = connect(&to).await?;
            let limit = limit.to_string();
            let query = query(&[
                ("environment", environment.as_deref()),
                ("service", service.as_deref()),
                ("repository", repo.as_deref()),
                ("limit", Some(&limit)),
            ]);
            let value = client.get(&format!("/rollouts{query}")).await?;
            print(to.json, &value, |value| text::history(value, terminal))
        }
        DeployCommand::Diff { which } => {
            let client = connect(&which.connect).await?;
            let one = one(&client, &which, Wanted::ActiveFirst).await?;
            let changes = client.get(&format!("/rollouts/{}/changes", one["id"])).await?;
            print(which.connect.json, &changes, |changes| text::changes(&one, changes, terminal))
        }
        DeployCommand::Explain { which } => {
            let client = connect(&which.connect).await?;
            let one = one(&client, &which, Wanted::ActiveFirst).await?;
            print(which.connect.json, &one, |one| text::explanation(one, terminal))
        }
        DeployCommand::Promote { order: args, full } => {
            order(&args, if full { "promote-full" } else { "promote" }).await
        }
        DeployCommand::Pause(args) => order(&args, "pause").await,
        DeployCommand::Resume(args) => order(&args, "resume").await,
        DeployCommand::Abort(args) => order(&args, "abort").await,
        DeployCommand::Rollback { order, to } => roll_back(&order, to).await,
    }
}

/// Which rollouts are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those that go on; where none does, the newest of each service.
    ActiveFirst,
    /// The newest of each service.
    Newest,
}

async fn newest(client: &Client, which: &WhichRollout) -> Result<Vec<Json>, Failure> {
    if let Some(id) = which.rollout {
        return Ok(vec![client.get(&format!("/rollouts/{id}")).await?]);
    }
    let (environment, service) = (which.environment.as_deref(), which.service.as_deref());
    let query = query(&[("newest", Some("true")), ("environment", environment), ("service", service)]);
    let mut value = client.get(&format!("/rollouts{query}")).await?;
    let found = value["rollouts"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if !found.is_empty() {
        return Ok(found);
    }
    let place = match (environment, service) {
        (Some(environment), Some(service)) => format!(" of {service} to {environment}"),
        (Some(environment), None) => format!(" to {environment}"),
        (None, Some(service)) => format!(" of {service}"),
        (None, None) => String::new(),
    };
    let help = "a step with `uses: pipe/deploy-local` rolls a service out; `pipe env ls` lists environments";
    Err(Failure::new(Exit::Nothing, format!("there is no rollout{place}")).help(help))
}

/// The one that is meant.
async fn one(client: &Client, which: &WhichRollout, wanted: Wanted) -> Result<Json, Failure> {
    let found = newest(client, which).await?;
    let active: Vec<_> = found.iter().filter(|one| is_active(one)).cloned().collect();
    let found = if wanted == Wanted::Newest || active.is_empty() { found } else { active };
    if let [one] = found.as_slice() {
        return Ok(one.clone());
    }
    let names = found.iter().map(|one| format!("{} --service {}", shown(&one["environment"]), shown(&one["service"])));
    let names: Vec<_> = names.collect();
    Err(Failure::usage(format!("say which one: {}", names.join(", "))))
}

fn is_active(one: &Json) -> bool {
    one["state"] == "active"
}

async fn status(which: &WhichRollout, terminal: Terminal) -> Result<Exit, Failure> {
    let client = connect(&which.connect).await?;
    let found = newest(&client, which).await?;
    let to = place(&which.connect);
    print(which.connect.json, &json!({ "rollouts": found }), |value| {
        let all = value["rollouts"].as_array().into_iter().flatten();
        let texts: Vec<_> = all.map(|one| text::status(one, &to, terminal)).collect();
        texts.join("\n")
    })
}

async fn order(args: &OrderArgs, word: &str) -> Result<Exit, Failure> {
    let client = connect(&args.which.connect).await?;
    let one = one(&client, &args.which, Wanted::ActiveFirst).await?;
    let body = json!({ "order": word, "comment": args.message });
    let value = client.json(Method::POST, &format!("/rollouts/{}/orders", one["id"]), Some(&body)).await?;
    print(args.which.connect.json, &value, |_| ordered(&one, word, &args.which))
}

fn ordered(one: &Json, word: &str, which: &WhichRollout) -> String {
    let [id, service, environment] = ["id", "service", "environment"].map(|name| shown(&one[name]));
    let to = place(&which.connect);
    format!(
        "rollout {id} of {service} to {environment}: {word} is ordered; follow it with `pipe deploy status --watch \
         --rollout {id}{to}`\n"
    )
}

async fn roll_back(args: &OrderArgs, to: Option<u64>) -> Result<Exit, Failure> {
    let client = connect(&args.which.connect).await?;
    let one = one(&client, &args.which, Wanted::Newest).await?;
    let mut body = json!({ "service": one["service"], "comment": args.message });
    if let Some(to) = to {
        body["to"] = to.into();
    }
    let environment = one["environment"].as_str().unwrap_or_default();
    let path = format!("/environments/{}/rollback", escaped(environment));
    let value = client.json(Method::POST, &path, Some(&body)).await?;
    print(args.which.connect.json, &value, |value| {
        if value["order"].is_null() {
            let [service, environment] = ["service", "environment"].map(|name| shown(&one[name]));
            let place = place(&args.which.connect);
            let id = &value["rollout"];
            return format!(
                "rollout {id} takes back {service} in {environment}; follow it with `pipe deploy status --watch \
                 --rollout {id}{place}`\n"
            );
        }
        ordered(&one, "rollback", &args.which)
    })
}
