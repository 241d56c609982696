//! A verdict as it is kept: what was found in short, with its place.

use engine::store::RunId;
use engine::store::verdicts::{FINDINGS_KEPT_MAX, FindingLine, Found, ImageVerdict};
use scanners::case::Case;
use scanners::policy::{Judged, Verdict};

/// Which scan said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `owner/name`.
    pub repository: String,
    /// The run.
    pub run: RunId,
    /// Key of its job run.
    pub job: String,
    /// Which step of the job.
    pub step: u64,
}

/// A verdict about an image, as it is kept. `case` is the one it was made of again, if it was.
#[must_use]
pub fn said(place: Place, image: String, verdict: &Verdict, case: Option<&Case>) -> ImageVerdict {
    let advisories = verdict.advisories.as_ref();
    let Place { repository, run, job, step } = place;
    let sentence = match case.and_then(|case| since(case, verdict)) {
        Some(since) => format!("{}; {since}", verdict.sentence()),
        None => verdict.sentence(),
    };
    ImageVerdict {
        repository,
        image,
        target: verdict.target.clone(),
        run,
        job,
        step,
        outcome: verdict.outcome.as_str().to_owned(),
        sentence,
        advisories: advisories.map(|advisories| advisories.digest.clone()),
        advisories_at: advisories.map(|advisories| advisories.updated),
        policy: verdict.policy_digest.clone(),
        policy_name: verdict.policy.clone(),
        at: verdict.decided,
        findings: Some(found(&verdict.judged)),
        again: case.is_some(),
    }
}

/// In short, the worst first.
#[must_use]
pub fn found(judged: &[Judged]) -> Found {
    let mut sorted: Vec<&Judged> = judged.iter().collect();
    sorted.sort_by_key(|one| (!one.judgement.is_failed(), std::cmp::Reverse(one.severity)));
    let worst = sorted.into_iter().take(FINDINGS_KEPT_MAX).map(line).collect();
    Found { count: judged.len(), worst }
}

/// A finding in short.
pub(super) fn line(one: &Judged) -> FindingLine {
    FindingLine {
        fingerprint: one.fingerprint.clone(),
        id: one.id.clone(),
        subject: one.subject.clone(),
        severity: one.severity.as_str().to_owned(),
        fails: one.judgement.is_failed(),
    }
}

/// Findings that one sentence names.
const NAMED_MAX: usize = 3;

/// What fails and came since the scan; `None`: nothing did.
fn since(case: &Case, verdict: &Verdict) -> Option<String> {
    let failed: Vec<_> =
        scanners::case::since(case, verdict).filter(|one| one.judgement.is_failed()).map(words).collect();
    if failed.is_empty() {
        return None;
    }
    let more = match failed.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = failed.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(format!("new since the scan: {named}{more}"))
}

/// `CVE-2026-1 in openssl (critical)`.
pub(super) fn words(one: &Judged) -> String {
    format!("{} in {} ({})", one.id, one.subject, one.severity)
}
