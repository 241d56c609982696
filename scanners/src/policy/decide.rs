//! From findings and a policy to a verdict. Pure: the same input gives the same verdict.

use jiff::{SignedDuration, Timestamp};

use super::fix::fix;
use super::model::{BaselineMode, Policy, Stance};
use super::origin::{Origin, is_of_base};
use super::settle::Settled;
use super::threshold::{Applies, applies, severity};
use super::verdict::{Advisories, Judged, Judgement, Outcome, Reason, VERDICT_VERSION, Verdict, Warning, minute};
use super::{BaselineState, Database, Input, fingerprint};
use crate::finding::{Finding, Kind, Severity, Status, Subject};
use crate::vex::Image;

/// How far a database may be ahead of this machine's clock before one of the two cannot be believed.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Decides.
#[must_use]
pub fn decide(input: &Input<'_>) -> Verdict {
    let inventory = input.inventory;
    let image = Image {
        target: &inventory.target,
        repository_digests: &inventory.repository_digests,
        image_id: inventory.image_id.as_deref(),
    };
    let mut settled = Settled::new(input.policy, input.statements, image, input.now);
    let judged: Vec<Judged> = input.findings.iter().map(|finding| judge(input, finding, &mut settled)).collect();
    let doubts = doubts(input);
    let mut warnings = settled.warnings();
    warnings.extend(about_baseline(input));
    warnings.extend(input.known.map(|known| known.gone(input.findings)).into_iter().flatten());
    let outcome = if !doubts.is_empty() {
        Outcome::Untrusted
    } else if judged.iter().any(|judged| judged.judgement.is_failed()) {
        Outcome::Fail
    } else {
        Outcome::Pass
    };
    Verdict {
        version: VERDICT_VERSION,
        outcome,
        target: inventory.target.clone(),
        image_id: inventory.image_id.clone(),
        repository_digests: inventory.repository_digests.clone(),
        advisories: match &input.database {
            Database::Used { digest, updated } => Some(Advisories { digest: digest.clone(), updated: *updated }),
            Database::NotNeeded | Database::Missing(_) => None,
        },
        policy: input.policy.name.clone(),
        policy_digest: input.policy.digest.clone(),
        baseline: match &input.baseline {
            BaselineState::Known(baseline) => Some(baseline.digest.clone()),
            BaselineState::NotAsked | BaselineState::Empty | BaselineState::Unavailable(_) => None,
        },
        decided: input.now,
        doubts,
        warnings,
        judged,
    }
}

/// Why nobody can say whether it passes.
fn doubts(input: &Input<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    match &input.database {
        Database::NotNeeded => {}
        Database::Missing(why) => doubts.push(format!("there are no advisories to match against: {why}")),
        Database::Used { updated, .. } => {
            let age = input.now.duration_since(*updated);
            let most = input.policy.database_age_max;
            if age > most {
                let (age, most) = (hours(age), hours(most));
                let at = minute(*updated);
                doubts.push(format!("the advisories are of {at}, {age} old and so older than {most} (db-max-age)"));
            } else if -age > AHEAD_MAX {
                let (at, now) = (minute(*updated), minute(input.now));
                doubts.push(format!("the advisories are of {at}, which is to come: it is {now} here"));
            }
        }
    }
    let unread = |unread: &crate::package::Unread| match unread.layer {
        Some(layer) => format!("{} in layer {} could not be read: {}", unread.path, layer + 1, unread.reason),
        None => format!("{} could not be read: {}", unread.path, unread.reason),
    };
    doubts.extend(input.inventory.unread.iter().map(unread));
    doubts.extend(input.doubts.iter().cloned());
    doubts
}

/// `36 hours`, `3 days`.
fn hours(time: SignedDuration) -> String {
    let hours = time.as_hours();
    if hours >= 72 { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

fn about_baseline(input: &Input<'_>) -> Option<Warning> {
    let rule = input.policy.baseline.as_ref()?;
    let message = match &input.baseline {
        BaselineState::Known(_) => return None,
        BaselineState::Empty => format!("nothing is known of `{}` yet, so everything counts as new", rule.image),
        BaselineState::NotAsked => format!("`{}` was not looked for, so everything counts as new", rule.image),
        BaselineState::Unavailable(why) => {
            format!("what `{}` holds could not be found out ({why}), so everything counts as new", rule.image)
        }
    };
    Some(Warning { message, file: Some(input.policy.name.clone()), line: None })
}

fn judge(input: &Input<'_>, finding: &Finding, settled: &mut Settled<'_>) -> Judged {
    let severity = severity(input.policy, finding);
    let (vouched, mut notes) = settled.try_on(finding);
    let is_new = match &input.baseline {
        BaselineState::Known(baseline) => Some(!baseline.has(finding)),
        BaselineState::Empty | BaselineState::Unavailable(_) => Some(true),
        BaselineState::NotAsked => None,
    };
    let judgement = match applies(input.policy, finding, severity) {
        Applies::No => Judgement::Reported,
        Applies::Rules(rule) => weigh(input, finding, rule, severity, vouched, &mut notes),
        Applies::SeverityUnknown => {
            let stance = input.policy.unknown_severity;
            let rule = format!("severity unknown (unknown-severity: {})", word(stance));
            match (stance, vouched) {
                (Stance::Fail, vouched) => weigh(input, finding, rule, severity, vouched, &mut notes),
                (_, Some(reason)) => Judgement::PassedOver { rule, reason },
                (Stance::Warn, None) => Judgement::Warned { because: rule.clone(), rule },
                (Stance::Pass, None) => Judgement::PassedOver { rule, reason: Reason::UnknownSeverity },
            }
        }
    };
    Judged {
        fingerprint: fingerprint(finding),
        id: finding.id.clone(),
        subject: match &finding.subject {
            Subject::Package(package) => package.name.clone(),
            Subject::Place(place) => place.file.clone(),
            Subject::Whole => input.inventory.target.clone(),
        },
        severity,
        judgement,
        is_new,
        origin: Origin::of(finding, input.inventory, input.dockerfile),
        fix: fix(finding, input.inventory.os.as_ref()),
        notes,
    }
}

const fn word(stance: Stance) -> &'static str {
    match stance {
        Stance::Fail => "fail",
        Stance::Warn => "warn",
        Stance::Pass => "pass",
    }
}

/// Whether a finding to which a rule applies fails all the same.
fn weigh(
    input: &Input<'_>,
    finding: &Finding,
    rule: String,
    severity: Severity,
    vouched: Option<Reason>,
    notes: &mut Vec<String>,
) -> Judgement {
    let policy = input.policy;
    if let Some(reason) = vouched {
        return Judgement::PassedOver { rule, reason };
    }
    if let Some(known) = input.known.filter(|known| known.has(finding)) {
        return Judgement::PassedOver { rule, reason: Reason::Known { file: known.file.clone() } };
    }
    if policy.only_fixed && is_unfixed(finding) {
        let vendor_refuses = finding.status == Status::WillNotFix;
        return Judgement::PassedOver { rule, reason: Reason::NoFix { vendor_refuses } };
    }
    if let (Some(asked), BaselineState::Known(baseline)) = (&policy.baseline, &input.baseline)
        && asked.mode == BaselineMode::OnlyNew
        && baseline.has(finding)
    {
        return Judgement::PassedOver { rule, reason: Reason::Baseline { digest: baseline.digest.clone() } };
    }
    if is_of_base(finding, input.inventory) {
        match policy.base_image {
            Stance::Fail => {}
            Stance::Warn => {
                let because = "it comes with the base image (base-image: warn)".to_owned();
                return Judgement::Warned { rule, because };
            }
            Stance::Pass => return Judgement::PassedOver { rule, reason: Reason::BaseImage },
        }
    }
    match grace(policy, finding, severity, notes) {
        Some(until) if input.now < until => Judgement::PassedOver { rule, reason: Reason::Grace { until } },
        Some(until) => {
            notes.push(format!("its grace ended on {}", minute(until)));
            Judgement::Failed { rule }
        }
        None => Judgement::Failed { rule },
    }
}

/// Whether an update could not help. What is not about a package can always be mended.
fn is_unfixed(finding: &Finding) -> bool {
    match finding.kind {
        Kind::Vulnerability | Kind::Imported { .. } => finding.package().is_some() && finding.fixed_versions.is_empty(),
        Kind::Secret | Kind::Misconfiguration | Kind::Code | Kind::Coverage | Kind::Service => false,
    }
}

/// Until when a finding has grace: so long after the day on which a fix appeared. What is exploited has none.
fn grace(policy: &Policy, finding: &Finding, severity: Severity, notes: &mut Vec<String>) -> Option<Timestamp> {
    let time = policy.grace_of(severity).filter(|time| !time.is_zero())?;
    if finding.kev.is_some() {
        notes.push("it is known to be exploited, which voids its grace".to_owned());
        return None;
    }
    if is_unfixed(finding) {
        return None;
    }
    // A fix is no older than the advisory, so its day is the strictest that grace can begin on.
    let Some(since) = finding.fix_available.or(finding.published) else {
        notes.push("nobody says when its fix appeared, so it has no grace".to_owned());
        return None;
    };
    since.checked_add(time).ok()
}
