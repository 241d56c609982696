//! Our own form: everything, with a version that grows when a field changes its meaning.

use serde_json::json;

use super::{Report, pretty, words};

/// The version of the form.
pub const REPORT_VERSION: u32 = 1;

pub(super) fn write(report: &Report<'_>) -> String {
    let counts: serde_json::Map<_, _> =
        report.counts().into_iter().map(|(severity, count)| (severity.as_str().to_owned(), count.into())).collect();
    let outcome = report.verdict.map(|verdict| verdict.outcome);
    pretty(&json!({
        "version": REPORT_VERSION,
        "tool": { "name": "pipe", "version": report.version },
        "made": words::seconds(report.made),
        "outcome": outcome,
        "exit-code": outcome.map(crate::policy::Outcome::exit_code),
        "counts": counts,
        "inventory": report.inventory,
        "findings": report.findings,
        "verdict": report.verdict,
    }))
}
