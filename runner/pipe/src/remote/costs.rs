//! `pipe costs`.

use serde_json::Value as Json;

use super::client::query;
use super::connect::connect;
use super::insights::{rate, seconds};
use super::{print, shown};
use crate::args::{CostsArgs, CostsBy, Global};
use crate::exit::{Exit, Failure};
use crate::table;
use crate::terminal::Terminal;

/// Steps that are printed.
const STEPS_SHOWN: usize = 5;

pub(super) async fn costs(args: &CostsArgs, global: &Global) -> Result<Exit, Failure> {
    let client = connect(&args.connect).await?;
    let wanted = query(&[
        ("repository", args.repo.as_deref()),
        ("since", args.since.as_deref()),
        ("from", args.from.as_deref()),
        ("to", args.to.as_deref()),
    ]);
    let value = client.get(&format!("/costs{wanted}")).await?;
    let terminal = Terminal::stdout(global.color);
    print(args.connect.json, &value, |value| text(value, args.by, terminal))
}

fn text(value: &Json, by: CostsBy, terminal: Terminal) -> String {
    let (list, heading) = match by {
        CostsBy::Workflow => ("workflows", "WORKFLOW"),
        CostsBy::Job => ("jobs", "JOB"),
        CostsBy::Service => ("services", "SERVICE"),
        CostsBy::Label => ("labels", "LABELS"),
    };
    let currency = shown(&value["currency"]);
    let money = |value: &Json| match value.as_f64() {
        Some(amount) if !currency.is_empty() => format!("{amount:.2} {currency}"),
        Some(_) | None => "-".to_owned(),
    };
    let row = |name: String, sum: &Json| {
        vec![name, shown(&sum["runs"]), seconds(&sum["seconds"]), shown(&sum["minutes"]), money(&sum["money"])]
    };
    let name = |one: &Json| {
        let parts = [shown(&one["repository"]), shown(&one["name"])];
        parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<_> = value[list].as_array().into_iter().flatten().map(|one| row(name(one), one)).collect();
    if rows.is_empty() {
        return "no job ran in these days\n".to_owned();
    }
    rows.push(row("all".to_owned(), &value["total"]));
    let mut text = table::render(&[heading, "JOBS", "TIME", "MINUTES", "COST"], &rows, terminal);
    for step in value["steps"].as_array().into_iter().flatten().take(STEPS_SHOWN) {
        let average = step["ms"].as_f64().unwrap_or(0.0) / step["runs"].as_f64().unwrap_or(1.0).max(1.0) / 1_000.0;
        let average = seconds(&Json::from(average));
        text.push_str(&format!("slow step: {average}  {} › {}\n", shown(&step["job"]), shown(&step["step"])));
    }
    for cache in value["caches"].as_array().into_iter().flatten().take(STEPS_SHOWN) {
        text.push_str(&format!("cache hits: {}  {}\n", rate(&cache["hit_rate"]), shown(&cache["workflow"])));
    }
    let budget = &value["budget"];
    if let (Some(spent), Some(whole)) = (budget["spent"].as_f64(), budget["budget"].as_f64()) {
        let percent = spent / whole * 100.0;
        text.push_str(&format!(
            "budget of {}: {spent:.2} of {whole:.2} {currency} ({percent:.1} %)\n",
            shown(&budget["month"])
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn costs_as_a_table() {
        let plain = Terminal { color: false, interactive: false };
        assert_eq!(text(&json!({ "workflows": [] }), CostsBy::Workflow, plain), "no job ran in these days\n");
        let sum = json!({ "runs": 3, "seconds": 125.0, "minutes": 4, "money": 0.024 });
        let mut one = sum.clone();
        (one["repository"], one["name"]) = (json!("o/r"), json!("ci\u{1b}.yml"));
        let value = json!({
            "currency": "EUR", "total": sum, "workflows": [one],
            "steps": [{ "job": "test", "step": "Test", "ms": 90_000, "runs": 3 }],
            "caches": [{ "workflow": "ci.yml", "hit_rate": 0.5 }],
            "budget": { "month": "2026-03", "budget": 10.0, "spent": 8.5 },
        });
        let text = text(&value, CostsBy::Workflow, plain);
        for part in [
            "o/r ci.yml",
            "2 m 05 s",
            "0.02 EUR",
            "slow step: 30 s  test › Test",
            "cache hits: 50.0 %",
            "budget of 2026-03: 8.50 of 10.00 EUR (85.0 %)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
