//! Findings of rules: what every scanner that looks at files and not at packages makes.

use crate::finding::{Finding, Kind, Severity, SeveritySource, Status, Subject};

impl Finding {
    /// A finding of a rule: nothing of it is known but what the rule says.
    #[must_use]
    pub fn of_rule(kind: Kind, id: &str, summary: String, subject: Subject, severity: Severity) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            aliases: Vec::new(),
            summary,
            subject,
            severity,
            severity_source: (severity != Severity::Unknown).then_some(SeveritySource::Rule),
            ratings: Vec::new(),
            cvss: None,
            kev: None,
            epss: None,
            status: Status::Affected,
            fixed_versions: Vec::new(),
            published: None,
            modified: None,
            fix_available: None,
            references: Vec::new(),
        }
    }
}
