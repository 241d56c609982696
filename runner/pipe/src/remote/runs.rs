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
        text.push_str(&reviewed(&run["id"], job));
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

/// What a job waits for, or who let it go on, when and why.
fn reviewed(run: &Json, job: &Json) -> String {
    let review = &job["review"];
    let environment = shown(&review["environment"]);
    let mut text = String::new();
    for one in review["reviews"].as_array().into_iter().flatten() {
        let deed = if one["approved"] == true { "approved" } else { "rejected" };
        let comment = shown(&one["comment"]);
        let why = if comment.is_empty() { String::new() } else { format!(": {comment}") };
        let at = shown(&one["at"]);
        let at = at.parse::<Timestamp>().map_or(at, |at| format!("{at:.0}"));
        text.push_str(&format!("    {environment} {deed} by {}, {at}{why}\n", shown(&one["by"])));
    }
    if job["status"] == "waiting" && !review.is_null() {
        let until = review["waits_until"].as_str().and_then(|until| until.parse::<Timestamp>().ok());
        if let Some(until) = until.filter(|until| *until > Timestamp::now()) {
            text.push_str(&format!("    waits until {until:.0}: the wait timer of {environment}\n"));
        }
        // With a timer alone nobody is asked.
        if review["reviewers"].as_array().is_none_or(|asked| !asked.is_empty()) {
            text.push_str(&format!(
                "    waits: `pipe approve {run} {environment}` or `pipe reject {run} {environment}`\n"
            ));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_let_it_go_on_is_shown_and_what_it_waits_for() {
        let review = |reviewers: &[&str], until: Option<&str>, reviews: Json| {
            let environment = "production";
            json!({ "environment": environment, "reviewers": reviewers, "waits_until": until, "reviews": reviews })
        };
        let answer = |by: &str, approved: bool, comment: &str| {
            let at = "2026-08-01T10:00:00.123456Z";
            json!({ "by": by, "approved": approved, "comment": comment, "at": at })
        };
        let later = Some("2999-01-01T00:00:00.5Z");
        let asks = "    waits: `pipe approve 7 production` or `pipe reject 7 production`\n";
        let timer = "    waits until 2999-01-01T00:00:00Z: the wait timer of production\n";
        for (status, review, expected) in [
            ("completed", Json::Null, String::new()),
            ("waiting", Json::Null, String::new()),
            ("waiting", review(&["ada"], None, json!([])), asks.to_owned()),
            ("waiting", review(&[], later, json!([])), timer.to_owned()),
            ("waiting", review(&["ada"], later, json!([])), format!("{timer}{asks}")),
            ("in_progress", review(&[], later, json!([])), String::new()),
            (
                "completed",
                review(&["ada", "ben"], None, json!([answer("ada", true, ""), answer("ben", false, "not today")])),
                "    production approved by ada, 2026-08-01T10:00:00Z\n    production rejected by ben, \
                 2026-08-01T10:00:00Z: not today\n"
                    .to_owned(),
            ),
        ] {
            let job = json!({ "status": status, "review": review });
            assert_eq!(reviewed(&json!(7), &job), expected, "{job}");
        }
    }
}
