//! Rollouts in words and columns.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use serde_json::Value as Json;

use super::super::deployments::second;
use super::super::shown;
use crate::table;
use crate::terminal::Terminal;

/// Width of the bar that shows the split.
const BAR_WIDTH: usize = 30;
/// Commits that are printed.
const COMMITS_SHOWN: usize = 20;

/// Where a rollout is; `to` names the server in commands.
pub(super) fn status(one: &Json, to: &str, terminal: Terminal) -> String {
    let view = &one["view"];
    let [environment, service, id] = ["environment", "service", "id"].map(|name| shown(&one[name]));
    let title = terminal.bold(&format!("{environment} · {service}"));
    let mut text = format!("{title}  {}  {}\n", state(view, terminal), terminal.dim(&format!("rollout {id}")));
    push(&mut text, &shown(&view["words"]));
    if view["outcome"] == "stuck" {
        let stuck = "STUCK: a person must look. The lock is held: nothing else is rolled out here until then.";
        push(&mut text, &terminal.strong(AnsiColor::Red, stuck));
    }
    if !view["irreversible"].is_null() {
        let what = format!("a migration cannot be undone: {}", shown(&view["irreversible"]));
        push(&mut text, &terminal.tint(AnsiColor::Yellow, &what));
    }
    push(&mut text, &split(view, terminal));
    text.push('\n');
    text.push_str(&indented(&colours(view, terminal)));
    let steps = list(view, "steps");
    if !steps.is_empty() {
        text.push('\n');
        steps.iter().for_each(|one| push(&mut text, &step(one, terminal)));
    }
    let evidence = list(view, "evidence");
    if !evidence.is_empty() {
        text.push('\n');
        evidence.iter().for_each(|one| push(&mut text, &metric(one)));
    }
    let orders: Vec<_> = list(one, "may_order").iter().map(|order| command(&shown(order))).collect();
    if !orders.is_empty() {
        let which = format!("{environment} --service {service}{to}");
        text.push('\n');
        push(&mut text, &terminal.dim(&format!("pipe deploy {} {which}", orders.join("|"))));
    }
    text
}

/// An order as it is typed.
fn command(word: &str) -> String {
    if word == "promote-full" { "promote --full".to_owned() } else { word.to_owned() }
}

fn push(text: &mut String, line: &str) {
    if !line.is_empty() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn list<'a>(value: &'a Json, name: &str) -> &'a [Json] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn state(view: &Json, terminal: Terminal) -> String {
    match shown(&view["outcome"]).as_str() {
        "" => terminal.strong(AnsiColor::Blue, &shown(&view["phase"])),
        "succeeded" => terminal.strong(AnsiColor::Green, "succeeded"),
        other => terminal.strong(AnsiColor::Red, other),
    }
}

/// `100` thousandths as `10 %`.
fn share(value: &Json) -> String {
    let thousandths = value.as_u64().unwrap_or_default();
    let (whole, tenth) = (thousandths / 10, thousandths % 10);
    if tenth == 0 { format!("{whole} %") } else { format!("{whole}.{tenth} %") }
}

/// The split as a bar: blue first, then green.
pub(super) fn split(view: &Json, terminal: Terminal) -> String {
    let green = view["weight"].as_u64().unwrap_or_default().min(1_000);
    // What is there is seen, and what is not is not.
    let cells =
        (green as usize * BAR_WIDTH).div_ceil(1_000).min(if green == 1_000 { BAR_WIDTH } else { BAR_WIDTH - 1 });
    let bar = [("░", BAR_WIDTH - cells, AnsiColor::Blue), ("█", cells, AnsiColor::Green)];
    let bar: String = bar.iter().map(|(cell, count, color)| terminal.tint(*color, &cell.repeat(*count))).collect();
    let blue = if view["blue"].is_null() {
        String::new()
    } else {
        format!(", {} blue {}", share(&(1_000 - green).into()), name(&view["blue"]["revision"]))
    };
    format!("{bar}  {} green {}{blue}", share(&green.into()), name(&view["green"]["revision"]))
}

/// What people call a revision.
fn name(revision: &Json) -> String {
    let [version, commit, image] = ["version", "commit", "image"].map(|field| shown(&revision[field]));
    match (version.is_empty(), commit.is_empty()) {
        (false, _) => version,
        (true, false) => commit.chars().take(7).collect(),
        (true, true) => digest(&image),
    }
}

fn digest(image: &str) -> String {
    image.rsplit_once("sha256:").map_or(image, |(_, hex)| hex).chars().take(12).collect()
}

fn colours(view: &Json, terminal: Terminal) -> String {
    let sides = [("blue", &view["blue"]), ("green", &view["green"])];
    let row = |(colour, side): &(&str, &Json)| {
        let (requests, errors) =
            (side["requests"].as_u64().unwrap_or_default(), side["errors"].as_u64().unwrap_or_default());
        let rate =
            if requests == 0 { "-".to_owned() } else { format!("{:.2} %", errors as f64 / requests as f64 * 100.0) };
        vec![
            (*colour).to_owned(),
            name(&side["revision"]),
            shown(&side["revision"]["commit"]).chars().take(7).collect(),
            digest(&shown(&side["revision"]["image"])),
            format!("{}/{}", shown(&side["healthy"]), shown(&side["wanted"])),
            requests.to_string(),
            errors.to_string(),
            rate,
            milliseconds(&side["p50_ms"]),
            milliseconds(&side["p95_ms"]),
            shown(&side["restarts"]),
        ]
    };
    let there: Vec<_> = sides.iter().filter(|(_, side)| !side.is_null()).collect();
    let rows: Vec<_> = there.iter().map(|side| row(side)).collect();
    let heading =
        ["", "REVISION", "COMMIT", "IMAGE", "HEALTHY", "REQUESTS", "ERRORS", "RATE", "P50", "P95", "RESTARTS"];
    let mut text = table::render(&heading, &rows, terminal);
    for (colour, side) in there {
        if let Some(trouble) = side["trouble"].as_str() {
            let trouble = shown(&trouble.into());
            let _ = writeln!(text, "{}", terminal.tint(AnsiColor::Red, &format!("{colour}: {trouble}")));
        }
    }
    text
}

fn milliseconds(value: &Json) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |ms| if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") })
}

/// `5m`, `90s`, `1h30m`.
fn span(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        _ if seconds > 0.0 && seconds < 1.0 => format!("{:.0}ms", seconds * 1_000.0),
        0..120 => format!("{whole}s"),
        120..7_200 if whole.is_multiple_of(60) => format!("{}m", whole / 60),
        120..7_200 => format!("{}m{:02}s", whole / 60, whole % 60),
        7_200.. => format!("{}h{:02}m", whole / 3_600, whole % 3_600 / 60),
    }
}

fn step(one: &Json, terminal: Terminal) -> String {
    let (mark, color) = match shown(&one["state"]).as_str() {
        "running" => ("▶", AnsiColor::Blue),
        "passed" => ("✔", AnsiColor::Green),
        "failed" => ("✘", AnsiColor::Red),
        "skipped" => ("-", AnsiColor::White),
        _ => ("·", AnsiColor::White),
    };
    let mut text = format!("{} {:>6}", terminal.tint(color, mark), share(&one["weight"]));
    let _ = write!(text, "  for {}", span(one["hold_seconds"].as_f64().unwrap_or_default()));
    for (field, words) in [("analyse", ", compared with blue"), ("pause", ", then asks a person")] {
        if one[field] == true {
            text.push_str(words);
        }
    }
    let words = shown(&one["words"]);
    if words.is_empty() { text } else { format!("{text}: {words}") }
}

fn metric(one: &Json) -> String {
    let figure = |name: &str| one[name].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    let figures = format!("E = {}, goes back at {}", trimmed(figure("e_value")), trimmed(figure("limit")));
    format!("{}: {} ({figures}; {})", shown(&one["metric"]), shown(&one["words"]), shown(&one["verdict"]))
}

/// A text of several lines, below each other.
fn lines(value: &Json) -> String {
    let text = value.as_str().unwrap_or_default();
    text.lines().map(|line| shown(&line.into())).collect::<Vec<_>>().join("\n            ")
}

/// A line of the story.
pub(super) fn line(one: &Json, terminal: Terminal) -> String {
    let at = shown(&one["at"]);
    let time = at.parse::<jiff::Timestamp>().map_or(at, |at| at.strftime("%H:%M:%S").to_string());
    let words = lines(&one["words"]);
    let words = if one["is_bad"] == true { terminal.tint(AnsiColor::Red, &words) } else { words };
    format!("{}  {words}", terminal.dim(&time))
}

/// Evidence and story.
pub(super) fn explanation(one: &Json, terminal: Terminal) -> String {
    let view = &one["view"];
    let [environment, service, id, actor, hash] =
        ["environment", "service", "id", "actor", "plan_hash"].map(|name| shown(&one[name]));
    let title = terminal.bold(&format!("{environment} · {service}"));
    let mut text = format!("{title}  {}  {}\n", state(view, terminal), terminal.dim(&format!("rollout {id}")));
    push(&mut text, &shown(&view["words"]));
    if !view["cause"].is_null() {
        push(&mut text, &format!("cause: {}", shown(&view["cause"])));
    }
    push(&mut text, &format!("asked for by {actor}, plan {}", hash.chars().take(16).collect::<String>()));
    let mut section = |title: &str, lines: Vec<String>, empty: &str| {
        let _ = write!(text, "\n{}\n", terminal.bold(title));
        if lines.is_empty() {
            push(&mut text, empty);
        }
        lines.iter().for_each(|line| push(&mut text, line));
    };
    section("Evidence", list(view, "evidence").iter().map(metric).collect(), "none: nothing was compared so far");
    section(
        "Steps",
        list(view, "steps").iter().map(|one| step(one, terminal)).collect(),
        "none: all of the traffic at once",
    );
    section("What happened", list(view, "timeline").iter().map(|one| line(one, terminal)).collect(), "nothing yet");
    text
}

/// Rollouts, a row each.
pub(super) fn history(value: &Json, terminal: Terminal) -> String {
    let row = |one: &Json| {
        let view = &one["view"];
        let outcome = shown(&view["outcome"]);
        let began = shown(&view["started_at"]);
        let times = (began.parse::<jiff::Timestamp>(), shown(&view["ended_at"]).parse::<jiff::Timestamp>());
        let took = match times {
            (Ok(from), Ok(to)) => span((to - from).total(jiff::Unit::Second).unwrap_or_default()),
            (Ok(_) | Err(_), _) => String::new(),
        };
        let state =
            if outcome.is_empty() { format!("{} {}", shown(&view["phase"]), share(&view["weight"])) } else { outcome };
        vec![
            shown(&one["id"]),
            shown(&one["environment"]),
            shown(&one["service"]),
            name(&view["green"]["revision"]),
            state,
            shown(&one["actor"]),
            second(&view["started_at"]),
            took,
            shown(&view["words"]),
        ]
    };
    let rows: Vec<_> = list(value, "rollouts").iter().map(row).collect();
    if rows.is_empty() {
        return "no rollouts\n".to_owned();
    }
    let heading = ["NUMBER", "ENVIRONMENT", "SERVICE", "VERSION", "STATE", "BY", "BEGAN", "TOOK", "WHY"];
    table::render(&heading, &rows, terminal)
}

/// What a rollout changes.
pub(super) fn changes(one: &Json, changes: &Json, terminal: Terminal) -> String {
    let [environment, service, id] = ["environment", "service", "id"].map(|name| shown(&one[name]));
    let title = terminal.bold(&format!("{environment} · {service}"));
    let mut text = format!("{title}  {}\n", terminal.dim(&format!("rollout {id}")));
    let (old, new) = (&changes["old"], &changes["new"]);
    for (label, field) in [("version", "version"), ("image", "image"), ("commit", "commit")] {
        let (before, now) = (shown(&old[field]), shown(&new[field]));
        let change = match (before.is_empty(), before == now) {
            (_, true) => format!("{now} (the same)"),
            (true, false) => format!("{now} (nothing stood there before)"),
            (false, false) => format!("{before} → {now}"),
        };
        push(&mut text, &format!("{label:8} {change}"));
    }
    if !changes["irreversible"].is_null() {
        let what = format!("a migration cannot be undone: {}", shown(&changes["irreversible"]));
        push(&mut text, &terminal.tint(AnsiColor::Yellow, &what));
    }
    let mut section = |title: String, lines: Vec<String>| {
        let _ = write!(text, "\n{}\n", terminal.bold(&title));
        lines.iter().for_each(|line| push(&mut text, line));
    };
    let apart = &changes["apart"];
    if apart.is_null() {
        section("Commits".to_owned(), vec![format!("not known: {}", shown(&changes["problem"]))]);
    } else {
        let commits = list(apart, "commits").iter().take(COMMITS_SHOWN);
        let commits = commits.map(|commit| {
            let sha: String = shown(&commit["sha"]).chars().take(7).collect();
            format!(
                "{}  {}  {}",
                terminal.tint(AnsiColor::Yellow, &sha),
                shown(&commit["subject"]),
                shown(&commit["author"])
            )
        });
        let gone = apart["behind"].as_u64().filter(|gone| *gone > 0);
        let gone = gone.map(|gone| format!(", {gone} go away")).unwrap_or_default();
        section(format!("Commits: {}{gone}", shown(&apart["ahead"])), commits.collect());
        let migrations = list(changes, "migrations").iter();
        let migrations: Vec<_> =
            migrations.map(|file| format!("{:8} {}", shown(&file["change"]), shown(&file["path"]))).collect();
        if !migrations.is_empty() {
            section("Migrations".to_owned(), migrations);
        }
    }
    let settings: Vec<_> = list(changes, "settings").iter().chain(list(changes, "plan")).map(setting).collect();
    match (changes["no_plan"].as_str(), settings.is_empty()) {
        (Some(reason), _) => section("Settings".to_owned(), vec![format!("not compared: {}", shown(&reason.into()))]),
        (None, true) => section("Settings".to_owned(), vec!["the same".to_owned()]),
        (None, false) => section("Settings".to_owned(), settings),
    }
    text
}

fn setting(one: &Json) -> String {
    let value = |value: &Json| if value.is_null() { "not set".to_owned() } else { shown(value) };
    format!("{}  {} → {}", shown(&one["name"]), value(&one["old"]), value(&one["new"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Terminal = Terminal { color: false, interactive: false };

    #[test]
    fn splits_are_bars() {
        for (weight, blue, green) in [(0, 30, 0), (1, 29, 1), (100, 27, 3), (500, 15, 15), (999, 1, 29), (1_000, 0, 30)]
        {
            let view = json!({ "weight": weight, "blue": { "revision": { "version": "v1" } }, "green": { "revision": { "version": "v2" } } });
            let bar = split(&view, PLAIN);
            assert_eq!((bar.matches('░').count(), bar.matches('█').count()), (blue, green), "{bar}");
        }
        let first = json!({ "weight": 1_000, "blue": null, "green": { "revision": { "version": "", "commit": "abcdef0123" } } });
        assert!(split(&first, PLAIN).ends_with("  100 % green abcdef0"));
    }

    #[test]
    fn spans() {
        for (seconds, expected) in
            [(0.0, "0s"), (0.25, "250ms"), (90.0, "90s"), (300.0, "5m"), (125.0, "2m05s"), (7_260.0, "2h01m")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
