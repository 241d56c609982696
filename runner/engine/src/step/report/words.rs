//! Results in the Markdown of a summary. Names and messages come from tools, so nothing of them is Markdown.

use crate::reports::{Case, FileCoverage, Outcome, Rate, Totals};
use crate::store::reports::CoverageListed;

/// Tests and files that a summary names.
const NAMED_MAX: usize = 25;
/// Characters of a name or a message in a summary.
const SHOWN_CHARS_MAX: usize = 300;

/// The summary of tests.
pub(super) fn of_tests(name: &str, totals: &Totals, cases: &[Case]) -> String {
    let mut text = format!("### {}: {} in {}\n", plain(name), totals.words(), seconds(totals.time_ms));
    for (outcomes, heading) in [(&[Outcome::Error, Outcome::Failed][..], "Failed"), (&[Outcome::Flaky], "Flaky")] {
        let named: Vec<_> = cases.iter().filter(|case| outcomes.contains(&case.outcome)).collect();
        if named.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{heading}:\n\n"));
        for case in named.iter().take(NAMED_MAX) {
            let place = match (&case.file, case.line) {
                (Some(file), Some(line)) => format!(" ({})", code(&format!("{file}:{line}"))),
                (Some(file), None) => format!(" ({})", code(file)),
                (None, _) => String::new(),
            };
            let message = case.message.as_deref().and_then(|message| message.lines().next());
            let message = message.map(|message| format!(": {}", code(message))).unwrap_or_default();
            text.push_str(&format!("- {}{place}{message}\n", code(&case.title())));
        }
        if named.len() > NAMED_MAX {
            text.push_str(&format!("- and {} more\n", named.len() - NAMED_MAX));
        }
    }
    text
}

/// The summary of coverage.
pub(super) fn of_coverage(kept: &CoverageListed, files: &[FileCoverage]) -> String {
    let mut text = format!("### {}: {}\n", plain(&kept.name), of_lines(kept));
    if let Some(percent) = kept.branches.percent() {
        let Rate { covered, total } = kept.branches;
        text.push_str(&format!("\nBranches: {percent:.1} % ({covered} of {total})\n"));
    }
    let mut worst: Vec<_> = files.iter().filter(|file| file.lines.covered < file.lines.total).collect();
    worst.sort_by_key(|file| std::cmp::Reverse(file.lines.total - file.lines.covered));
    if worst.is_empty() {
        return text;
    }
    text.push_str("\n| file | lines | not reached |\n|---|---|---|\n");
    for file in worst.iter().take(NAMED_MAX) {
        let Rate { covered, total } = file.lines;
        let percent = file.lines.percent().unwrap_or_default();
        text.push_str(&format!(
            "| {} | {percent:.1} % | {} |\n",
            code(&file.path).replace('|', "\\|"),
            total - covered
        ));
    }
    if worst.len() > NAMED_MAX {
        text.push_str(&format!("\nand {} more files\n", worst.len() - NAMED_MAX));
    }
    text
}

/// Lines in words, with the change.
pub(super) fn of_lines(kept: &CoverageListed) -> String {
    let Rate { covered, total } = kept.lines;
    let Some(percent) = kept.lines.percent() else { return "no lines".to_owned() };
    let change = match (kept.delta(), &kept.before) {
        (Some(delta), Some(before)) => format!(", {delta:+.2} against run {}", before.run),
        (_, _) => String::new(),
    };
    format!("{percent:.2} % of lines ({covered} of {total}){change}")
}

/// A time for people.
pub(super) fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1_000.0),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds / 1_000 % 60),
    }
}

/// As code, whatever is in it.
fn code(text: &str) -> String {
    let text: String = text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut fence = "`".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.trim().is_empty() { "` `".to_owned() } else { format!("{fence}{pad}{text}{pad}{fence}") }
}

/// Without what Markdown knows.
fn plain(text: &str) -> String {
    let keep = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | '(' | ')');
    let text: String = text.chars().filter(keep).take(SHOWN_CHARS_MAX).collect();
    text.replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_tool_is_markdown() {
        for (text, expect) in [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("", "` `"), ("x\ny<b>", "`x y<b>`")]
        {
            assert_eq!(code(text), expect, "{text}");
        }
        assert_eq!(plain("my [link](x) <b>"), "my link(x) b");
        for (time, expect) in [(5, "5 ms"), (1_500, "1.5 s"), (61_000, "1 min 1 s")] {
            assert_eq!(seconds(time), expect);
        }
    }
}
