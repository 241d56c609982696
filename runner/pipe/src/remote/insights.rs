//! `pipe dora` and `pipe deployment`.

use axum::http::Method;
use serde_json::{Value as Json, json};

use super::client::{escaped, query};
use super::connect::connect;
use super::{print, shown};
use crate::args::{DeploymentCommand, DoraArgs, Global, WindowArgs};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

/// Commits that are printed of a deployment.
const COMMITS_SHOWN: usize = 20;

pub(super) async fn dora(args: &DoraArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let mut wanted = window(&args.window).to_vec();
    wanted.extend([
        ("environment", args.environment.as_deref()),
        ("service", args.service.as_deref()),
        ("repository", args.repo.as_deref()),
    ]);
    let value = client.get(&format!("/insights/dora{}", query(&wanted))).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| dora_text(value, terminal))
}

/// As parts of a query.
pub(super) fn window(window: &WindowArgs) -> [(&'static str, Option<&str>); 4] {
    let WindowArgs { since, from, to, timezone } = window;
    [("since", since.as_deref()), ("from", from.as_deref()), ("to", to.as_deref()), ("timezone", timezone.as_deref())]
}

fn dora_text(value: &Json, terminal: Terminal) -> String {
    let environment = shown(&value["environment"]);
    if environment.is_empty() {
        return "nothing was deployed yet\n".to_owned();
    }
    let window = &value["window"];
    let mut text = format!("{environment}, {} to {}\n\n", shown(&window["from"]), shown(&window["to"]));
    let row = |name: String, figures: &Json| {
        vec![
            name,
            shown(&figures["deployments"]),
            shown(&figures["bucket"]),
            seconds(&figures["lead_time"]["median_seconds"]),
            seconds(&figures["lead_time"]["p90_seconds"]),
            rate(&figures["change_fail_rate"]),
            seconds(&figures["recovery_time"]["median_seconds"]),
            rate(&figures["rework_rate"]),
        ]
    };
    let services = value["services"].as_array().into_iter().flatten();
    let mut rows: Vec<_> = services.map(|one| row(service(one), one)).collect();
    if rows.len() != 1 {
        rows.push(row("all".to_owned(), &value["all"]));
    }
    let heading = ["SERVICE", "DEPLOYMENTS", "HOW OFTEN", "LEAD TIME", "9 OF 10", "FAIL", "RECOVER", "REWORK"];
    text.push_str(&table::render(&heading, &rows, terminal));
    let parts = value["all"]["lead_time_parts"].as_array().into_iter().flatten();
    let parts: Vec<_> = parts.map(|part| format!("{} {}", shown(&part["part"]), rate(&part["share"]))).collect();
    if !parts.is_empty() {
        text.push_str(&format!("\nlead time: {}\n", parts.join(", ")));
    }
    for (field, words) in
        [("stopped", "ended before users had them and do not count"), ("unrecovered", "failed and are not mended yet")]
    {
        if let Some(count) = value["all"][field].as_u64().filter(|count| *count > 0) {
            text.push_str(&format!("{count} deployments {words}\n"));
        }
    }
    text
}

fn service(one: &Json) -> String {
    let (repository, service) = (shown(&one["repository"]), shown(&one["service"]));
    if service.is_empty() { repository } else { format!("{repository} {service}") }
}

pub(super) fn rate(value: &Json) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

pub(super) fn seconds(value: &Json) -> String {
    let Some(seconds) = value.as_f64() else { return "-".to_owned() };
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} m {:02} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {:02} m", whole / 3_600, whole % 3_600 / 60),
        86_400.. => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

pub(super) async fn deployment(command: DeploymentCommand, global: &Global) -> Result<Exit, Failure> {
    match command {
        DeploymentCommand::Show { number, connect: to } => {
            let value = connect(&to).await?.get(&format!("/deployments/{number}")).await?;
            let terminal = Terminal::stdout(global.color);
            print(to.json, &value, |value| deployment_text(value, terminal))
        }
        DeploymentCommand::Mark { number, mark, message, at, connect: to } => {
            let mut body = json!({ "reason": message });
            if let Some(at) = at {
                body["at"] = at.into();
            }
            let path = format!("/deployments/{number}/marks/{}", escaped(&mark));
            let value = connect(&to).await?.json(Method::PUT, &path, Some(&body)).await?;
            print(to.json, &value, |_| format!("deployment {number} is marked as {mark}\n"))
        }
        DeploymentCommand::Unmark { number, mark, connect: to } => {
            let path = format!("/deployments/{number}/marks/{}", escaped(&mark));
            let value = connect(&to).await?.json(Method::DELETE, &path, None).await?;
            print(to.json, &value, |_| format!("deployment {number} is not marked as {mark} any more\n"))
        }
    }
}

fn deployment_text(value: &Json, terminal: Terminal) -> String {
    let mut text = String::new();
    let fields = [
        ("state", "state"),
        ("environment", "environment"),
        ("repository", "repository"),
        ("service", "service"),
        ("commit", "sha"),
        ("ref", "ref"),
        ("run", "run"),
        ("job", "job"),
        ("by", "actor"),
        ("began", "started_at"),
        ("ended", "ended_at"),
        ("approved was", "subject"),
    ];
    for (name, field) in fields {
        let shown = shown(&value[field]);
        if !shown.is_empty() {
            text.push_str(&format!("{} {shown}\n", terminal.dim(&format!("{name:<12}"))));
        }
    }
    let list = |field: &str| value[field].as_array().into_iter().flatten();
    for image in list("images") {
        text.push_str(&format!(
            "{} {} {}\n",
            terminal.dim("image       "),
            shown(&image["name"]),
            shown(&image["value"])
        ));
    }
    for review in list("reviews") {
        let word = if review["approved"] == true { "approved by" } else { "rejected by" };
        let from = shown(&review["origin"]);
        let from = if from.is_empty() { from } else { format!(" from {from}") };
        let (by, at, comment) = (shown(&review["by"]), shown(&review["at"]), shown(&review["comment"]));
        text.push_str(&format!("{} {by}, {at}{from}  {comment}\n", terminal.dim(&format!("{word:<12}"))));
    }
    for mark in list("marks") {
        let (word, by, reason) = (shown(&mark["mark"]), shown(&mark["by"]), shown(&mark["reason"]));
        text.push_str(&format!("{} {word}, says {by}: {reason}\n", terminal.dim("marked      ")));
    }
    let noted = &value["noted"];
    for commit in noted["commits"].as_array().into_iter().flatten().take(COMMITS_SHOWN) {
        let sha: String = shown(&commit["sha"]).chars().take(7).collect();
        text.push_str(&format!("{} {sha} {}\n", terminal.dim("commit      "), shown(&commit["subject"])));
    }
    let more = noted["commits_count"].as_u64().unwrap_or(0).saturating_sub(COMMITS_SHOWN as u64);
    if more > 0 {
        text.push_str(&format!("             and {more} more\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { color: false, interactive: false };

    #[test]
    fn figures_as_a_table() {
        assert_eq!(dora_text(&json!({ "environment": "" }), PLAIN), "nothing was deployed yet\n");
        let spread = json!({ "count": 3, "median_seconds": 5400.0, "p90_seconds": 90_000.0 });
        let figures = json!({
            "deployments": 7, "bucket": "weekly", "lead_time": spread, "change_fail_rate": 0.25, "recovery_time": null,
            "rework_rate": 0.0, "stopped": 1, "unrecovered": 0, "lead_time_parts": [{ "part": "ci", "share": 0.5 }],
        });
        let mut one = figures.clone();
        (one["repository"], one["service"]) = (json!("o/r"), json!("or\u{202e}ders"));
        let value = json!({ "environment": "production", "window": { "from": "a", "to": "b" }, "all": figures, "services": [one] });
        let text = dora_text(&value, PLAIN);
        for part in [
            "production, a to b",
            "o/r orders",
            "1 h 30 m",
            "1 d 1 h",
            "25.0 %",
            " - ",
            "lead time: ci 50.0 %",
            "1 deployments ended",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_deployment_as_text() {
        let value = json!({
            "state": "success", "sha": "abc", "images": [{ "name": "build.image", "value": "sha256:1" }],
            "reviews": [{ "approved": true, "by": "ada", "at": "t", "comment": "fine\u{1b}[2J", "origin": "192.0.2.7" }],
            "marks": [{ "mark": "failed", "by": "bob", "reason": "down" }],
            "noted": { "commits": [{ "sha": "0123456789", "subject": "Add" }], "commits_count": 30 },
        });
        let text = deployment_text(&value, PLAIN);
        for part in [
            "build.image sha256:1",
            "ada, t from 192.0.2.7  fine[2J",
            "failed, says bob: down",
            "0123456 Add",
            "and 10 more",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
