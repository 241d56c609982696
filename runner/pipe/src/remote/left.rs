//! What the steps of a run left, for `pipe show`: its annotations.

use anstyle::AnsiColor;
use engine::store::reports::RunTests;
use serde_json::Value as Json;

use super::client::Client;
use super::shown;
use crate::exit::Failure;
use crate::terminal::Terminal;

/// What became of the tests of a run, in words; `None` where nobody reported that, or it cannot be asked now.
pub(super) async fn tests(client: &Client, run: u64) -> Option<String> {
    let found = client.get(&format!("/runs/{run}/tests?limit=1")).await.ok()?;
    serde_json::from_value::<RunTests>(found).ok()?.words()
}

/// Adds what a run left to what is known of it.
pub(super) async fn add(client: &Client, run: &mut Json) -> Result<(), Failure> {
    let found = client.get(&format!("/runs/{}/annotations", run["id"])).await?;
    run["annotations"] = found["annotations"].clone();
    run["annotations_more"] = found["more"].clone();
    let mut found = client.get(&format!("/runs/{}/tests?limit=1", run["id"])).await?;
    if let Some(found) = found.as_object_mut() {
        found.retain(|name, _| !matches!(name.as_str(), "cases" | "next"));
    }
    run["tests"] = found;
    run["coverage"] = client.get(&format!("/runs/{}/coverage", run["id"])).await?["coverage"].clone();
    Ok(())
}

/// In words; empty where there is nothing.
pub(super) fn text(run: &Json, terminal: Terminal) -> String {
    let mut text = String::new();
    for found in run["annotations"].as_array().into_iter().flatten() {
        text.push_str(&annotation(run, found, terminal));
    }
    if let Some(more) = run["annotations_more"].as_u64().filter(|more| *more > 0) {
        text.push_str(&format!("  and {more} more; the logs have them\n"));
    }
    if !text.is_empty() {
        text = format!("\nAnnotations\n{text}");
    }
    let tests = serde_json::from_value::<RunTests>(run["tests"].clone()).ok().and_then(|tests| tests.words());
    if let Some(tests) = tests {
        text.push_str(&format!("\ntests: {}\n", shown(&Json::from(tests))));
    }
    for one in run["coverage"].as_array().into_iter().flatten() {
        let Some(percent) = one["percent"].as_f64() else { continue };
        let change = one["change"].as_f64().map(|change| format!(", {change:+.2}")).unwrap_or_default();
        let name = shown(&one["name"]);
        text.push_str(&format!("coverage: {percent:.2} % of lines{change}  {}\n", terminal.dim(&name)));
    }
    text
}

fn annotation(run: &Json, found: &Json, terminal: Terminal) -> String {
    let one = &found["annotation"];
    let level = match one["level"].as_str() {
        Some("error") => terminal.strong(AnsiColor::Red, "error"),
        Some("warning") => terminal.strong(AnsiColor::Yellow, "warning"),
        Some(_) | None => terminal.strong(AnsiColor::Cyan, "notice"),
    };
    let place = match (one["file"].as_str(), one["line"].as_u64()) {
        (Some(_), Some(line)) => format!(" {}:{line}", shown(&one["file"])),
        (Some(_), None) => format!(" {}", shown(&one["file"])),
        (None, _) => String::new(),
    };
    let title = if one["title"].is_null() { String::new() } else { format!(" {}:", shown(&one["title"])) };
    let message = one["message"].as_str().unwrap_or_default();
    let first = shown(&Json::from(message.lines().next().unwrap_or_default()));
    let more = if message.lines().nth(1).is_some() { " …" } else { "" };
    let from = terminal.dim(&source(run, found));
    format!("  {level}{place}:{title} {first}{more}  {from}\n")
}

/// The names of job and step.
fn source(run: &Json, found: &Json) -> String {
    let job = run["jobs"].as_array().into_iter().flatten().find(|job| job["key"] == found["job"]);
    let name = job.map_or_else(|| shown(&found["job"]), |job| shown(&job["name"]));
    let steps = job.and_then(|job| job["steps"].as_array()).into_iter().flatten();
    let mut steps = steps.filter(|step| !found["step"].is_null() && step["number"] == found["step"]);
    steps.next().map_or(name.clone(), |step| format!("{name} › {}", shown(&step["name"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Terminal = Terminal { color: false, interactive: false };

    #[test]
    fn annotations_have_their_place_and_source() {
        let found = |step: Option<u32>, level: &str, message: &str| {
            let annotation = json!({ "level": level, "message": message, "file": "a.rs", "line": 3, "title": null });
            json!({ "job": "build", "step": step, "annotation": annotation })
        };
        let run = json!({
            "jobs": [{ "key": "build", "name": "Build", "steps": [{ "number": 4, "name": "Test" }] }],
            "annotations": [found(Some(4), "error", "one\u{1b}[2J\ntwo"), found(None, "warning", "w")],
            "annotations_more": 2,
        });
        let text = text(&run, PLAIN);
        assert!(text.starts_with("\nAnnotations\n  error a.rs:3: one"), "{text}");
        assert!(text.contains(" …  Build › Test\n  warning a.rs:3: w  Build\n  and 2 more"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(super::text(&json!({}), PLAIN), "");
        let totals = json!({ "passed": 812, "failed": 2, "errors": 0, "skipped": 0, "flaky": 0, "time_ms": 7 });
        let mut report = json!({ "id": 1, "run": 1, "job": "build", "name": "Tests", "files": 1, "more": 0 });
        report.as_object_mut().unwrap().extend(totals.as_object().unwrap().clone());
        let tests = json!({ "totals": totals, "failed": ["a", "b"], "reports": [report] });
        let run = json!({ "tests": tests, "coverage": [{ "percent": 50.0, "change": -1.5, "name": "Coverage" }] });
        let expect = "\ntests: 812 passed, 2 failed (a, b)\ncoverage: 50.00 % of lines, -1.50  Coverage\n";
        assert_eq!(super::text(&run, PLAIN), expect);
    }
}
