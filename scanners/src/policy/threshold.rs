//! Which rules of `fail-on` apply to a finding, and which severity they go by.

use super::model::{Policy, Threshold};
use crate::finding::{Finding, Kind, Severity, SeveritySource};

/// What `fail-on` says about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Applies {
    /// These rules, in words.
    Rules(String),
    /// None, but a rule about severities or scores would need one and nobody gave it.
    SeverityUnknown,
    No,
}

/// The severity by the sources that a policy goes by.
///
/// A word of the rule that found it, or one that only follows from a score, counts where none of those sources has any.
pub(super) fn severity(policy: &Policy, finding: &Finding) -> Severity {
    let is_wanted = |source: SeveritySource| match source {
        SeveritySource::Vendor | SeveritySource::Nvd => policy.severity_sources.contains(&source),
        SeveritySource::Cvss | SeveritySource::Rule => true,
    };
    let known = finding.ratings.iter().filter(|rating| rating.severity != Severity::Unknown);
    let by =
        |source: SeveritySource| known.clone().find(|rating| rating.source == source).map(|rating| rating.severity);
    let order = policy.severity_sources.iter().copied().chain([SeveritySource::Cvss, SeveritySource::Rule]);
    if let Some(severity) = order.into_iter().find_map(by) {
        return severity;
    }
    match finding.severity_source {
        Some(source) if !is_wanted(source) => Severity::Unknown,
        Some(_) | None => finding.severity,
    }
}

/// Which rules apply.
pub(super) fn applies(policy: &Policy, finding: &Finding, severity: Severity) -> Applies {
    if finding.kind == Kind::Coverage {
        // Whoever states a share wants it kept, however bad a missing test is.
        return if policy.fail_on.is_empty() {
            Applies::No
        } else {
            Applies::Rules(format!("coverage ({})", finding.id))
        };
    }
    let mut rules = Vec::new();
    let mut is_unknown = false;
    for threshold in &policy.fail_on {
        match threshold {
            Threshold::Severity(_) if severity == Severity::Unknown => is_unknown = true,
            Threshold::Severity(least) if severity >= *least => {
                rules.push(format!("severity {severity} (fail-on: {least})"))
            }
            Threshold::Severity(_) => {}
            Threshold::Cvss(least) => match (finding.cvss.as_ref().map(|cvss| cvss.score), least_score(severity)) {
                (Some(score), _) if score >= *least => rules.push(format!("CVSS {score} (fail-on: cvss>={least})")),
                (None, Some(score)) if score >= *least => {
                    rules.push(format!("severity {severity}, which is at least CVSS {score} (fail-on: cvss>={least})"));
                }
                (None, None) => is_unknown = true,
                (Some(_), _) | (None, Some(_)) => {}
            },
            Threshold::Kev if finding.kev.is_some() => rules.push("known to be exploited (fail-on: kev)".to_owned()),
            Threshold::Kev => {}
            Threshold::Epss(least) => match finding.epss {
                Some(epss) if epss.score >= *least => {
                    rules.push(format!("EPSS {} (fail-on: epss>={least})", epss.score));
                }
                Some(_) | None => {}
            },
        }
    }
    if !rules.is_empty() {
        Applies::Rules(rules.join(", "))
    } else if is_unknown {
        Applies::SeverityUnknown
    } else {
        Applies::No
    }
}

/// The least score of a severity, by FIRST's scale.
const fn least_score(severity: Severity) -> Option<f64> {
    match severity {
        Severity::Unknown => None,
        Severity::Low => Some(0.1),
        Severity::Medium => Some(4.0),
        Severity::High => Some(7.0),
        Severity::Critical => Some(9.0),
    }
}
