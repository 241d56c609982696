//! The report as Markdown: the summary of a job, and a comment on a pull request that can be found again.
//!
//! Texts of others are written so that no mark in them means anything: every mark is a character reference, which
//! Markdown never takes for structure. Follows <https://github.github.com/gfm/>.

use super::{Report, words};
use crate::policy::{Judgement, Outcome};

/// Longest summary of a step that GitHub keeps.
const SUMMARY_BYTES_MAX: usize = 1024 * 1024;
/// Longest comment that forges keep.
const COMMENT_BYTES_MAX: usize = 65_536;
/// What is kept free for the words after the rows.
const END_BYTES: usize = 4096;
/// Most warnings that are written out.
const WARNINGS_MAX: usize = 20;
/// Longest text in a cell.
const CELL_CHARS_MAX: usize = 160;

pub(super) fn summary(report: &Report<'_>) -> String {
    document(report, SUMMARY_BYTES_MAX)
}

/// A comment begins with a mark by which the next run finds it.
pub(super) fn comment(report: &Report<'_>) -> String {
    let target = words::one_line(&report.inventory.target).replace("--", "- -").replace('>', "");
    let mark = format!("<!-- pipe scan: {target} -->\n");
    let rest = document(report, COMMENT_BYTES_MAX - mark.len().min(END_BYTES));
    format!("{mark}{rest}")
}

fn document(report: &Report<'_>, bytes_max: usize) -> String {
    let mut text = head(report);
    let order = report.order();
    let is_failed = |index: &usize| report.judged(*index).is_some_and(|judged| judged.judgement.is_failed());
    let (failed, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_failed);
    let room = bytes_max.saturating_sub(END_BYTES);
    if !failed.is_empty() {
        text.push_str("| | Finding | Package | Version | From | Rule | Fix |\n|---|---|---|---|---|---|---|\n");
        let row = |index: usize| failure(report, index);
        rows(&mut text, &failed, room, row);
    }
    if !others.is_empty() {
        let noun = if others.len() == 1 { "finding" } else { "findings" };
        let head = if failed.is_empty() {
            format!("{} {noun}", others.len())
        } else {
            format!("{} other {noun}", others.len())
        };
        text.push_str(&format!("\n<details><summary>{head}</summary>\n\n"));
        text.push_str("| | Finding | Package | Version | |\n|---|---|---|---|---|\n");
        rows(&mut text, &others, room, |index| other(report, index));
        text.push_str("\n</details>\n");
    }
    text.push_str(&end(report));
    text
}

fn head(report: &Report<'_>) -> String {
    let target = escaped(&report.inventory.target);
    let mark = match report.verdict.map(|verdict| verdict.outcome) {
        Some(Outcome::Pass) => "✅ ",
        Some(Outcome::Fail) => "❌ ",
        Some(Outcome::Untrusted) => "⚠️ ",
        None => "",
    };
    let mut text = format!("### {mark}Scan of {target}\n\n");
    if let Some(verdict) = report.verdict {
        let sentence = match verdict.outcome {
            Outcome::Pass | Outcome::Fail => verdict.sentence(),
            Outcome::Untrusted => "The result cannot be trusted:".to_owned(),
        };
        text.push_str(&format!("**{}**\n\n", escaped(&sentence)));
        verdict.doubts.iter().for_each(|doubt| text.push_str(&format!("- {}\n", cell(doubt))));
        if !verdict.doubts.is_empty() {
            text.push('\n');
        }
    }
    let packages = report.inventory.packages.len();
    text.push_str(&format!("{packages} packages, {}\n\n", words::counts(report)));
    text
}

/// As many rows as there is room for, and how many more there are.
fn rows(text: &mut String, indices: &[usize], room: usize, row: impl Fn(usize) -> String) {
    for (written, index) in indices.iter().enumerate() {
        let row = row(*index);
        if text.len() + row.len() > room {
            text.push_str(&format!("\n… and {} more; the full report has them all.\n", indices.len() - written));
            return;
        }
        text.push_str(&row);
    }
}

fn failure(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let fix = report.judged(index).and_then(|judged| judged.fix.as_ref());
    let command = fix.map_or_else(|| "–".to_owned(), |fix| code(&fix.command));
    let rule = report.judged(index).map_or_else(String::new, |judged| judged.judgement.words());
    format!(
        "| {} | {} | {} | {} | {} | {} | {command} |\n",
        report.severity(index),
        name(report, index),
        cell(&words::subject(finding)),
        cell(&words::versions(report, index)),
        cell(&words::origin(report, index)),
        cell(&rule),
    )
}

fn other(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let said = match report.judged(index).map(|judged| &judged.judgement) {
        Some(judgement @ (Judgement::PassedOver { .. } | Judgement::Warned { .. })) => judgement.words(),
        Some(Judgement::Failed { .. } | Judgement::Reported) | None => words::summary(finding),
    };
    format!(
        "| {} | {} | {} | {} | {} |\n",
        report.severity(index),
        name(report, index),
        cell(&words::subject(finding)),
        cell(&words::versions(report, index)),
        cell(&said),
    )
}

/// The finding's id, with a link where there is an address.
fn name(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let id = cell(&finding.id);
    // Parentheses would end the link.
    let is_plain = |address: &&String| words::is_address(address) && !address.contains(['(', ')']);
    match finding.references.iter().find(is_plain) {
        Some(address) => format!("[{id}]({address})"),
        None => id,
    }
}

fn end(report: &Report<'_>) -> String {
    let Some(verdict) = report.verdict else { return String::new() };
    let mut text = String::new();
    for warning in verdict.warnings.iter().take(WARNINGS_MAX) {
        text.push_str(&format!("\n- ⚠️ {}", cell(&warning.message)));
    }
    if verdict.warnings.len() > WARNINGS_MAX {
        text.push_str(&format!("\n- … and {} more warnings", verdict.warnings.len() - WARNINGS_MAX));
    }
    if !verdict.warnings.is_empty() {
        text.push('\n');
    }
    let advisories = verdict
        .advisories
        .as_ref()
        .map_or_else(String::new, |used| format!(", advisories of {}", crate::policy::minute(used.updated)));
    text.push_str(&format!("\n<sub>policy {}{advisories}</sub>\n", cell(&verdict.policy)));
    text
}

fn cell(text: &str) -> String {
    escaped(&words::cut(&words::one_line(text), CELL_CHARS_MAX))
}

/// Text that means nothing to Markdown or HTML, in one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let text = words::one_line(text);
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        // An address or a mention would become a link by itself.
        let is_address =
            c == ':' && rest.starts_with("://") || c == '.' && escaped.to_ascii_lowercase().ends_with("www");
        if "\\`*_{}[]()<>#+!|&~@$^=\"'".contains(c) || is_address {
            escaped.push_str(&format!("&#{};", u32::from(c)));
        } else {
            escaped.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    escaped
}

/// A command as code: HTML, since a `|` or a backtick in Markdown's own form would end the cell or the code.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_anything() {
        for (text, expect) in [
            ("a|b", "a&#124;b"),
            ("<img src=x>", "&#60;img src&#61;x&#62;"),
            ("[x](y)", "&#91;x&#93;&#40;y&#41;"),
            ("@all https://x.y www.x.y", "&#64;all https&#58;//x.y www&#46;x.y"),
            ("a\n# b", "a &#35; b"),
            ("&amp;", "&#38;amp;"),
        ] {
            assert_eq!(escaped(text), expect);
        }
    }
}
