//! JUnit XML: a test case for each finding, so that a page of test results shows them.
//!
//! With a gate a case fails that the gate fails, what it passes over is skipped with the reason, and the rest passes.
//! Without a gate each finding fails. Follows <https://github.com/testmoapp/junitxml>.

use super::{Report, words};
use crate::policy::Judgement;

pub(super) fn write(report: &Report<'_>) -> String {
    let mut cases = String::new();
    let (mut failures, mut skipped) = (0, 0);
    let order = report.order();
    for index in &order {
        let (body, outcome) = body(report, *index);
        match outcome {
            Outcome::Failure => failures += 1,
            Outcome::Skipped => skipped += 1,
            Outcome::Passed => {}
        }
        cases.push_str(&case(report, *index, &body));
    }
    let doubts = report.verdict.map_or(&[][..], |verdict| &verdict.doubts);
    for (number, doubt) in doubts.iter().enumerate() {
        let text = escaped(doubt);
        cases.push_str(&format!(
            "    <testcase classname=\"pipe scan\" name=\"can be trusted {}\"><error message=\"{text}\"/></testcase>\n",
            number + 1
        ));
    }
    let (tests, errors) = (order.len() + doubts.len(), doubts.len());
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    let name = escaped(&words::one_line(&report.inventory.target));
    let made = words::seconds(report.made);
    let made = made.trim_end_matches('Z');
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pipe scan\" {counts}>\n  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\" timestamp=\"{made}\" time=\"0\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

enum Outcome {
    Failure,
    Skipped,
    Passed,
}

fn case(report: &Report<'_>, index: usize, body: &str) -> String {
    let finding = &report.findings[index];
    let class = finding.package().map_or_else(
        || words::subject(finding),
        |package| format!("{} {}", words::one_line(&package.name), words::one_line(&package.version)),
    );
    let name = escaped(&format!("[{}] {}", report.severity(index), words::one_line(&finding.id)));
    let class = escaped(&class);
    let file = match words::place(report, index) {
        Some((file, Some(line))) => format!(" file=\"{}\" line=\"{line}\"", escaped(&file)),
        Some((file, None)) => format!(" file=\"{}\"", escaped(&file)),
        None => String::new(),
    };
    let head = format!("    <testcase classname=\"{class}\" name=\"{name}\"{file} time=\"0\"");
    if body.is_empty() { format!("{head}/>\n") } else { format!("{head}>{body}</testcase>\n") }
}

fn body(report: &Report<'_>, index: usize) -> (String, Outcome) {
    let finding = &report.findings[index];
    let judged = report.judged(index);
    let failure = |rule: &str| {
        let mut lines = vec![words::versions(report, index), finding.summary.clone(), words::origin(report, index)];
        lines.extend(judged.and_then(|judged| judged.fix.as_ref()).map(|fix| fix.command.clone()));
        lines.retain(|line| !line.is_empty());
        let kind = escaped(report.severity(index).as_str());
        let message = escaped(&if rule.is_empty() { words::summary(finding) } else { rule.to_owned() });
        format!("<failure message=\"{message}\" type=\"{kind}\">{}</failure>", escaped(&lines.join("\n")))
    };
    match judged.map(|judged| &judged.judgement) {
        Some(Judgement::Failed { rule }) => (failure(rule), Outcome::Failure),
        None => (failure(""), Outcome::Failure),
        Some(judgement @ (Judgement::PassedOver { .. } | Judgement::Warned { .. })) => {
            (format!("<skipped message=\"{}\"/>", escaped(&judgement.words())), Outcome::Skipped)
        }
        Some(Judgement::Reported) => (String::new(), Outcome::Passed),
    }
}

/// For attributes and texts; what XML 1.0 cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push('\t'),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
