//! Workflow commands, by which a forge shows findings at lines: `::error file=Dockerfile,line=3,title=…::…`.
//!
//! What fails is an error, what the gate warns of a warning, the rest a notice. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>.

use super::{Report, words};
use crate::finding::Severity;
use crate::policy::Judgement;

pub(super) fn write(report: &Report<'_>) -> String {
    let mut text = String::new();
    let verdict = report.verdict;
    for doubt in verdict.map_or(&[][..], |verdict| &verdict.doubts) {
        text.push_str(&command("error", None, "The scan cannot be trusted", doubt));
    }
    for index in report.order() {
        let finding = &report.findings[index];
        let place = words::place(report, index).filter(|_| words::is_of_repository(report, index));
        let title = format!("{} in {}", finding.id, words::subject(finding));
        text.push_str(&command(level(report, index), place, &title, &message(report, index)));
    }
    for warning in verdict.map_or(&[][..], |verdict| &verdict.warnings) {
        let place = warning.file.clone().map(|file| (file, warning.line));
        text.push_str(&command("warning", place, "Scan policy", &warning.message));
    }
    text
}

fn level(report: &Report<'_>, index: usize) -> &'static str {
    match report.judged(index).map(|judged| &judged.judgement) {
        Some(Judgement::Failed { .. }) => "error",
        Some(Judgement::Warned { .. }) => "warning",
        Some(Judgement::PassedOver { .. } | Judgement::Reported) => "notice",
        None => match report.severity(index) {
            Severity::Critical | Severity::High => "error",
            Severity::Medium | Severity::Unknown => "warning",
            Severity::Low => "notice",
        },
    }
}

fn message(report: &Report<'_>, index: usize) -> String {
    let finding = &report.findings[index];
    let mut lines = vec![format!("{} {}", report.severity(index), words::versions(report, index)).trim().to_owned()];
    lines.push(words::summary(finding));
    if let Some(judged) = report.judged(index) {
        lines.push(words::origin(report, index));
        lines.push(judged.judgement.words());
        lines.extend(judged.fix.as_ref().map(|fix| format!("fix: {}", fix.command)));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn command(level: &str, place: Option<(String, Option<u32>)>, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some((file, line)) = place {
        properties.push(format!("file={}", property(&file)));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(&words::one_line(title))));
    format!("::{level} {}::{}\n", properties.join(","), data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
