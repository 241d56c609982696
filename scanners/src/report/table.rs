//! The report for a terminal: what fails with all that is needed to mend it, then a line for every other finding.
//!
//! It fits the width it is told; colours are words of `anstyle`, and left out where they are not wanted.

use anstyle::{AnsiColor, Style};

use super::{Report, words};
use crate::finding::{Kind, Severity};
use crate::policy::{Judgement, Outcome, Verdict};

/// What the table is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// In columns.
    pub width: usize,
    pub colour: bool,
}

/// The narrowest table.
const WIDTH_MIN: usize = 40;
/// The longest word of a severity.
const SEVERITY_WIDTH: usize = 8;
/// Between columns.
const GAP: &str = "  ";

impl Terminal {
    /// For a file: wide, without colours.
    pub const PLAIN: Self = Self { width: 120, colour: false };

    fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Unknown => AnsiColor::Magenta.on_default(),
    }
}

pub(super) fn write(report: &Report<'_>, terminal: Terminal) -> String {
    let terminal = Terminal { width: terminal.width.max(WIDTH_MIN), ..terminal };
    let mut text = head(report);
    let order = report.order();
    let is_failed = |index: &&usize| report.judged(**index).is_some_and(|judged| judged.judgement.is_failed());
    for index in order.iter().filter(is_failed) {
        text.push_str(&failure(report, *index, terminal));
    }
    let others: Vec<usize> = order.iter().filter(|index| !is_failed(index)).copied().collect();
    text.push_str(&rows(report, &others, terminal));
    if let Some(verdict) = report.verdict {
        text.push_str(&end(verdict, terminal));
    }
    text
}

fn head(report: &Report<'_>) -> String {
    let inventory = report.inventory;
    let mut line = words::one_line(&inventory.target);
    if let Some(os) = &inventory.os {
        line.push_str(&format!(" ({})", words::one_line(&format!("{} {}", os.id, os.version))));
    }
    let packages = inventory.packages.len();
    let noun = if packages == 1 { "package" } else { "packages" };
    format!("{line}: {packages} {noun}, {}\n\n", words::counts(report))
}

/// A finding that fails: everything that is needed to mend it.
fn failure(report: &Report<'_>, index: usize, terminal: Terminal) -> String {
    let finding = &report.findings[index];
    let severity = report.severity(index);
    let mark = terminal.paint(style(severity), &format!("✗ {severity}"));
    let subject = words::subject(finding);
    let versions = words::versions(report, index);
    let mut text = format!("{mark}  {}  {subject}  {versions}", words::one_line(&finding.id));
    text.truncate(text.trim_end().len());
    text.push('\n');
    let mut line = |name: &str, words: &str| {
        if !words.is_empty() {
            let words = words::cut(words, terminal.width.saturating_sub(10));
            text.push_str(&format!("    {name:<5} {words}\n"));
        }
    };
    line("", &words::summary(finding));
    let origin = words::origin(report, index);
    line("from", if origin == subject { "" } else { &origin });
    if let Some(judged) = report.judged(index) {
        line("rule", &judged.judgement.words());
        judged.notes.iter().for_each(|note| line("note", &words::one_line(note)));
    }
    match report.judged(index).and_then(|judged| judged.fix.as_ref()) {
        // A command is copied, so it is never cut.
        Some(fix) => text.push_str(&format!("    fix   {}\n", words::one_line(&fix.command))),
        None if finding.package().is_some() => text.push_str("    fix   there is none yet\n"),
        None if finding.kind == Kind::Secret => text.push_str("    fix   revoke it, then take it out of the file\n"),
        None => {}
    }
    text.push('\n');
    text
}

/// A line for each finding.
fn rows(report: &Report<'_>, indices: &[usize], terminal: Terminal) -> String {
    if indices.is_empty() {
        return String::new();
    }
    let cells: Vec<[String; 4]> = indices
        .iter()
        .map(|index| {
            let finding = &report.findings[*index];
            let said = match report.judged(*index).map(|judged| &judged.judgement) {
                Some(judgement @ (Judgement::PassedOver { .. } | Judgement::Warned { .. })) => judgement.words(),
                Some(Judgement::Failed { .. } | Judgement::Reported) | None => words::summary(finding),
            };
            let id = words::one_line(&finding.id);
            [id, words::subject(finding), words::versions(report, *index), words::one_line(&said)]
        })
        .collect();
    let width =
        |column: usize, most: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).min(most);
    let rest = terminal.width.saturating_sub(SEVERITY_WIDTH + 4 * GAP.len());
    let widths = [width(0, rest / 4), width(1, rest / 4), width(2, rest * 3 / 10)];
    let last = rest.saturating_sub(widths.iter().sum());
    let mut text = String::new();
    for (index, row) in indices.iter().zip(&cells) {
        let severity = report.severity(*index);
        let padded = format!("{:<SEVERITY_WIDTH$}", severity.as_str());
        let mut line = terminal.paint(style(severity), &padded);
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(GAP);
            let cell = words::cut(cell, width);
            line.push_str(&format!("{cell:<width$}"));
        }
        line.push_str(GAP);
        line.push_str(&words::cut(&row[3], last));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

fn end(verdict: &Verdict, terminal: Terminal) -> String {
    let mut text = String::new();
    let yellow = AnsiColor::Yellow.on_default();
    for warning in &verdict.warnings {
        let place = match (&warning.file, warning.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (Some(file), None) => format!(" ({file})"),
            (None, _) => String::new(),
        };
        let words = words::one_line(&format!("{}{place}", warning.message));
        text.push_str(&format!("{} {words}\n", terminal.paint(yellow, "warning:")));
    }
    let (colour, sentence) = match verdict.outcome {
        Outcome::Pass => (AnsiColor::Green, verdict.sentence()),
        Outcome::Fail => (AnsiColor::Red, verdict.sentence()),
        Outcome::Untrusted => (AnsiColor::Red, "cannot be trusted:".to_owned()),
    };
    text.push_str(&terminal.paint(colour.on_default().bold(), &words::one_line(&sentence)));
    text.push('\n');
    for doubt in &verdict.doubts {
        text.push_str(&format!("  {}\n", words::one_line(doubt)));
    }
    text.push_str(&words::one_line(&format!("policy {} ({})", verdict.policy, verdict.policy_digest)));
    text.push('\n');
    text
}
