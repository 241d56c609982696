//! `pipe runs` and `pipe show`.

use anstyle::AnsiColor;
use jiff::{SpanRound, Timestamp, Unit};
use serde_json::Value as Json;

use super::client::query;
use super::connect::connect;
use super::{left, number, print, shown};
use crate::args::{Global, OneRun, RunsArgs};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

pub(super) async fn list(args: &RunsArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let limit = args.limit.to_string();
    let query = query(&[
        ("repository", args.repo.as_deref()),
        ("branch", args.branch.as_deref()),
        ("event", args.event.as_deref()),
        ("status", args.status.as_deref()),
        ("actor", args.actor.as_deref()),
        ("sha", args.sha.as_deref()),
        ("workflow", args.workflow.as_deref()),
        ("limit", Some(&limit)),
    ]);
    let value = client.get(&format!("/runs{query}")).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| {
        let rows: Vec<_> = value["runs"].as_array().into_iter().flatten().map(|run| row(run, terminal)).collect();
        if rows.is_empty() {
            return "no runs\n".to_owned();
        }
        let names = ["RUN", "STATUS", "REPOSITORY", "WORKFLOW", "REF", "EVENT", "BY", "MADE", "TITLE"];
        let gates = value["gates"].as_array().into_iter().flatten().filter(|gate| gate["why_not"].is_null());
        let asked: String = gates.map(|gate| format!("run {} waits for you: {}\n", gate["run"], asks(gate))).collect();
        table::render(&names, &rows, terminal) + &asked
    })
}

fn row(run: &Json, _terminal: Terminal) -> Vec<String> {
    let attempt = match run["attempt"].as_u64() {
        Some(attempt) if attempt > 1 => format!(" ({attempt})"),
        Some(_) | None => String::new(),
    };
    vec![
        format!("{}{attempt}", run["id"]),
        state(run).to_owned(),
        shown(&run["repository"]),
        short_workflow(run),
        shown(&run["ref"]).trim_start_matches("refs/heads/").trim_start_matches("refs/").to_owned(),
        shown(&run["event"]),
        shown(&run["actor"]),
        ago(run["created_at"].as_str()),
        match run["reason"].as_str() {
            Some(_) => format!("{} ({})", shown(&run["title"]), shown(&run["reason"])),
            None => shown(&run["title"]),
        },
    ]
}

/// What a job asks, and how it is answered.
fn asks(gate: &Json) -> String {
    let (run, name) = (&gate["run"], shown(&gate["service"]));
    format!("{} (`pipe approve {run} {name}` or `pipe reject {run} {name}`)", shown(&gate["subject"]))
}

/// The conclusion of what is over, else the status.
fn state(value: &Json) -> &str {
    value["conclusion"].as_str().or(value["status"].as_str()).unwrap_or_default()
}

fn short_workflow(run: &Json) -> String {
    shown(&run["workflow"]).trim_start_matches(".github/workflows/").to_owned()
}

fn ago(at: Option<&str>) -> String {
    let Some(at) = at.and_then(|at| at.parse::<Timestamp>().ok()) else { return String::new() };
    let seconds = Timestamp::now().duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

pub(super) async fn show(args: &OneRun, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let run = number(&client, &args.run).await?;
    let mut value = client.get(&format!("/runs/{run}")).await?;
    left::add(&client, &mut value).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| text(value, terminal) + &left::text(value, terminal))
}

fn text(run: &Json, terminal: Terminal) -> String {
    let mut text = format!(
        "{} {}\n{} {} #{} on {} by {}\n",
        terminal.bold(&format!("Run {}", run["id"])),
        shown(&run["title"]),
        shown(&run["repository"]),
        short_workflow(run),
        run["number"],
        shown(&run["ref"]),
        shown(&run["actor"]),
    );
    let why = if run["reason"].is_null() { String::new() } else { format!(": {}", shown(&run["reason"])) };
    text.push_str(&format!("{} {}{why}\n", sign(state(run), terminal), state(run)));
    for job in run["jobs"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n{} {}{}\n", sign(state(job), terminal), shown(&job["name"]), took(job, terminal)));
        if let Some(review) = job["review"].as_object().filter(|_| job["status"] == "waiting") {
            let environment = review.get("environment").map(shown).unwrap_or_default();
            let id = &run["id"];
            text.push_str(&format!(
                "    waits: `pipe approve {id} {environment}` or `pipe reject {id} {environment}`\n"
            ));
        }
        for gate in run["gates"].as_array().into_iter().flatten().filter(|gate| gate["job"] == job["key"]) {
            text.push_str(&format!("    asks: {}\n", asks(gate)));
        }
        if !job["message"].is_null() {
            text.push_str(&format!("    {}\n", shown(&job["message"])));
        }
        for step in job["steps"].as_array().into_iter().flatten() {
            let why = if step["message"].is_null() { String::new() } else { format!(": {}", shown(&step["message"])) };
            let line = format!("{} {}{}{why}", sign(state(step), terminal), shown(&step["name"]), took(step, terminal));
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn took(value: &Json, terminal: Terminal) -> String {
    let at = |name: &str| value[name].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let (Some(begin), Some(end)) = (at("started_at"), at("finished_at")) else { return String::new() };
    let span = (end - begin).round(SpanRound::new().largest(Unit::Hour).smallest(Unit::Millisecond));
    span.map(|span| terminal.dim(&format!(" ({span:#})"))).unwrap_or_default()
}

fn sign(state: &str, terminal: Terminal) -> String {
    match state {
        "success" => terminal.strong(AnsiColor::Green, "✔"),
        "failure" => terminal.strong(AnsiColor::Red, "✘"),
        "cancelled" => terminal.strong(AnsiColor::Yellow, "⊘"),
        "in_progress" => terminal.strong(AnsiColor::Cyan, "▶"),
        "waiting" => terminal.strong(AnsiColor::Yellow, "…"),
        _ => terminal.dim("-"),
    }
}
