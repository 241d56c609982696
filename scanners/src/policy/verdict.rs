//! What a gate decided and why, in a form that is stored beside the image's digest.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Fix, Origin};
use crate::finding::Severity;

/// The version of the stored form; it grows when a field changes its meaning.
pub const VERDICT_VERSION: u32 = 1;

/// A decision about one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub version: u32,
    pub outcome: Outcome,
    /// What was scanned, as the user named it.
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository_digests: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<Advisories>,
    /// The policy's name and `sha256:…`.
    pub policy: String,
    pub policy_digest: String,
    /// `sha256:…` of what was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    pub decided: Timestamp,
    /// Why the result cannot be trusted; empty unless `outcome` says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// One for each finding, in the order of the findings.
    pub judged: Vec<Judged>,
}

/// What follows for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    /// At least one finding fails by the policy.
    Fail,
    /// Something was not read or not known, so that neither can be said.
    Untrusted,
}

impl Outcome {
    /// The exit code of a command that ends with it: 0, 1 or 2.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Untrusted => 2,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Untrusted => "untrusted",
        }
    }
}

/// The advisories that were used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisories {
    pub digest: String,
    pub updated: Timestamp,
}

/// Something that a person should know and that does not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What becomes of one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// See [`fingerprint`](super::fingerprint).
    pub fingerprint: String,
    pub id: String,
    /// The package or the file, for lists.
    pub subject: String,
    /// By the sources that the policy goes by.
    pub severity: Severity,
    pub judgement: Judgement,
    /// Whether the baseline lacks it; none without a baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_new: Option<bool>,
    pub origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What else a person should know: an exception that ran out, a grace that is void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Judgement {
    /// A rule of the policy says so.
    Failed { rule: String },
    /// A rule applies, and a reason to let it pass as well.
    PassedOver { rule: String, reason: Reason },
    /// The policy wants it shown, no more.
    Warned { rule: String, because: String },
    /// No rule of the policy is about it.
    Reported,
}

/// Why a finding to which a rule applies passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Reason {
    Vex {
        place: String,
        status: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        justification: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact: Option<String>,
    },
    Ignored {
        line: u32,
        reason: String,
        owner: String,
        expires: Date,
    },
    /// `only-fixed`.
    NoFix {
        vendor_refuses: bool,
    },
    Baseline {
        digest: String,
    },
    Grace {
        until: Timestamp,
    },
    UnknownSeverity,
    BaseImage,
    /// A secret that was known before.
    Known {
        file: String,
    },
}

impl Reason {
    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Vex { place, status, justification, impact } => {
                let parts: Vec<_> = [justification, impact].into_iter().flatten().map(String::as_str).collect();
                let colon = if parts.is_empty() { "" } else { ": " };
                format!("VEX says {status}{colon}{} ({place})", parts.join(", "))
            }
            Self::Ignored { line, reason, owner, expires } => {
                format!("ignored until {expires} by {owner}: {reason} (line {line} of the policy)")
            }
            Self::NoFix { vendor_refuses: true } => "the vendor will not fix it (only-fixed)".to_owned(),
            Self::NoFix { vendor_refuses: false } => "there is no fix yet (only-fixed)".to_owned(),
            Self::Baseline { digest } => format!("it runs already, in {}", short(digest)),
            Self::Grace { until } => format!("grace until {}", minute(*until)),
            Self::UnknownSeverity => "its severity is unknown (unknown-severity: pass)".to_owned(),
            Self::BaseImage => "it comes with the base image (base-image: pass)".to_owned(),
            Self::Known { file } => format!("it was known before ({file})"),
        }
    }
}

/// `sha256:0123456789ab` of a longer digest.
fn short(digest: &str) -> &str {
    digest.get(..19).filter(|_| digest.starts_with("sha256:")).unwrap_or(digest)
}

/// To the minute, in UTC.
pub(crate) fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

impl Judgement {
    /// Whether it makes the gate fail.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::PassedOver { .. } | Self::Warned { .. } | Self::Reported => false,
        }
    }

    /// For a person; empty where no rule is about it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Failed { rule } => rule.clone(),
            Self::PassedOver { reason, .. } => reason.words(),
            Self::Warned { because, .. } => because.clone(),
            Self::Reported => String::new(),
        }
    }
}

impl Verdict {
    /// The findings that fail, by their place in the list of findings.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &Judged)> {
        self.judged.iter().enumerate().filter(|(_, judged)| judged.judgement.is_failed())
    }

    /// One sentence: `fail: 3 of 41 findings fail`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (failed, all) = (self.failed().count(), self.judged.len());
        let findings = if all == 1 { "finding" } else { "findings" };
        match self.outcome {
            Outcome::Pass if all == 0 => "pass: nothing was found".to_owned(),
            Outcome::Pass => format!("pass: none of {all} {findings} fails"),
            Outcome::Fail => {
                format!("fail: {failed} of {all} {findings} {}", if failed == 1 { "fails" } else { "fail" })
            }
            Outcome::Untrusted => {
                let first = self.doubts.first().map_or("", String::as_str);
                format!("cannot be trusted: {first}")
            }
        }
    }
}
