//! The gate: what a policy says about findings, and the verdict that follows from it.
//!
//! [`read()`] turns a file into a [`Policy`] or into everything that is wrong with it; [`decide`] is a pure function from
//! findings and what else is known to a [`Verdict`]. Nothing here reads files or clocks, and nothing filters what reports
//! show: a verdict judges each finding and hides none.

mod coverage;
mod decide;
mod fix;
mod ignore;
mod model;
mod origin;
mod read;
#[cfg(test)]
pub(crate) mod sample;
mod settle;
mod terms;
#[cfg(test)]
mod tests;
mod threshold;
mod verdict;

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use coverage::{Measured, Rate, coverage};
pub use decide::decide;
pub use fix::{Fix, fix};
pub use model::{
    BaselineMode, BaselineRule, CoverageRule, DATABASE_AGE_MAX, Ignore, Pattern, Policy, Stance, Threshold,
};
pub use origin::Origin;
pub use read::read;
pub(crate) use verdict::minute;
pub use verdict::{Advisories, Judged, Judgement, Outcome, Reason, VERDICT_VERSION, Verdict, Warning};

use crate::finding::{Finding, Kind, Subject};
use crate::package::Inventory;
use crate::secret::Known;
use crate::vex::Statement;

/// Everything that a decision is made from.
#[derive(Debug)]
pub struct Input<'a> {
    pub policy: &'a Policy,
    /// What was looked at, with its layers and with what could not be read.
    pub inventory: &'a Inventory,
    pub findings: &'a [Finding],
    pub baseline: BaselineState<'a>,
    pub statements: &'a [Statement],
    /// Secrets that are known already.
    pub known: Option<&'a Known>,
    pub database: Database,
    /// Other reasons for which the result cannot be trusted: a VEX file that cannot be read, a release without advisories.
    pub doubts: &'a [String],
    /// The path of the Dockerfile that the image was built from, where it is known.
    pub dockerfile: Option<&'a str>,
    pub now: Timestamp,
}

/// The advisories that were matched against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// Nothing was to be matched: a scan for secrets, say.
    NotNeeded,
    /// There is none, or it cannot be read, and why.
    Missing(String),
    Used {
        /// `sha256:…` of the index.
        digest: String,
        /// When its sources were asked the last time.
        updated: Timestamp,
    },
}

/// What the findings are compared with.
#[derive(Debug, Clone)]
pub enum BaselineState<'a> {
    /// The policy names none.
    NotAsked,
    /// Nothing runs there so far, and so everything is new.
    Empty,
    /// It could not be found out; everything counts as new.
    Unavailable(String),
    Known(&'a Baseline),
}

/// The findings of what runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// `sha256:…`
    pub digest: String,
    keys: BTreeSet<String>,
}

impl Baseline {
    /// The baseline of findings that were made with the advisories of today.
    #[must_use]
    pub fn of(digest: impl Into<String>, findings: &[Finding]) -> Self {
        Self { digest: digest.into(), keys: findings.iter().flat_map(keys).collect() }
    }

    /// Whether a finding is there as well, in whatever version of the package and whatever line of the file.
    #[must_use]
    pub fn has(&self, finding: &Finding) -> bool {
        keys(finding).iter().any(|key| self.keys.contains(key))
    }
}

/// What a finding is, whatever its version and line: one text for each of its names.
fn keys(finding: &Finding) -> Vec<String> {
    let subject = subject_key(finding);
    let names = std::iter::once(&finding.id).chain(&finding.aliases);
    names.map(|name| format!("{}\n{subject}", name.to_ascii_uppercase())).collect()
}

fn subject_key(finding: &Finding) -> String {
    match &finding.subject {
        Subject::Package(package) => format!("{}\n{}", package.ecosystem.purl_type(), package.name),
        // Its summary has a mark of the secret: another one in the same file is another finding.
        Subject::Place(place) if finding.kind == Kind::Secret => format!("file\n{}\n{}", place.file, finding.summary),
        Subject::Place(place) => format!("file\n{}", place.file),
        Subject::Whole => "whole".to_owned(),
    }
}

/// A name for a finding that stays when versions and lines change: 32 hexadecimal digits.
#[must_use]
pub fn fingerprint(finding: &Finding) -> String {
    let text = format!("{}\n{}", finding.id.to_ascii_uppercase(), subject_key(finding));
    hex(&Sha256::digest(text.as_bytes())[..16])
}

/// `sha256:…` of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
