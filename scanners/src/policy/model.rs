//! What a policy says, behind its reader: types instead of words.

use jiff::SignedDuration;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::finding::{Severity, SeveritySource};

/// Everything that a gate goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The file's name in messages.
    pub name: String,
    /// `sha256:…` of the file as it was read, or of nothing for the built-in policy.
    pub digest: String,
    /// One of these is enough; empty: nothing fails, everything is reported.
    pub fail_on: Vec<Threshold>,
    /// What nobody has fixed yet is reported and does not fail.
    pub only_fixed: bool,
    pub unknown_severity: Stance,
    /// How long after a fix appeared a finding of this severity does not fail.
    pub grace: Vec<(Severity, SignedDuration)>,
    pub baseline: Option<BaselineRule>,
    /// What comes with the base image.
    pub base_image: Stance,
    /// Older advisories than this cannot be trusted.
    pub database_age_max: SignedDuration,
    /// Whose word on the severity counts, first come first.
    pub severity_sources: Vec<SeveritySource>,
    pub ignores: Vec<Ignore>,
    /// Patterns of VEX files, relative to the policy's folder.
    pub vex: Vec<Pattern>,
    pub coverage: Option<CoverageRule>,
}

/// One rule of `fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// This severity and those above it.
    Severity(Severity),
    /// A base score of at least this; one without a score counts as the least score of its severity.
    Cvss(f64),
    /// Known to be exploited.
    Kev,
    /// At least this probability.
    Epss(f64),
}

/// What becomes of a class of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// They fail like others.
    Fail,
    /// They are shown as warnings.
    Warn,
    /// They are reported, no more.
    Pass,
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineRule {
    /// As written: a digest, an image, the name of an environment. Whoever calls the gate finds out what runs there.
    pub image: String,
    pub mode: BaselineMode,
}

/// What a baseline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineMode {
    /// What is there as well does not fail.
    OnlyNew,
    /// It is shown what is new; everything fails alike.
    Show,
}

/// A finding that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignore {
    /// The advisory by any of its names, or the rule.
    pub id: String,
    /// Only packages that this describes.
    pub purl: Option<String>,
    /// Only what lies in files that this pattern describes.
    pub path: Option<String>,
    pub reason: String,
    /// The last day on which it counts, in UTC.
    pub expires: Date,
    pub owner: String,
    /// Where it stands in the policy, from 1.
    pub line: u32,
}

/// A pattern of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    pub text: String,
    /// Where it stands, from 1.
    pub line: u32,
}

/// How much of the code tests have to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverageRule {
    /// Least share of lines, in percent.
    pub lines: Option<f64>,
    /// Least share of branches, in percent.
    pub branches: Option<f64>,
    /// Least share of lines in each file, in percent.
    pub each_file: Option<f64>,
}

impl Policy {
    /// What is in force where nobody wrote a policy: critical findings fail, and those whose severity nobody knows.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            name: "built-in policy".to_owned(),
            digest: super::digest(b""),
            fail_on: vec![Threshold::Severity(Severity::Critical)],
            only_fixed: false,
            unknown_severity: Stance::Fail,
            grace: Vec::new(),
            baseline: None,
            base_image: Stance::Fail,
            database_age_max: DATABASE_AGE_MAX,
            severity_sources: vec![SeveritySource::Vendor, SeveritySource::Nvd],
            ignores: Vec::new(),
            vex: Vec::new(),
            coverage: None,
        }
    }

    /// How long a finding of this severity has from the day on which a fix appeared.
    #[must_use]
    pub fn grace_of(&self, severity: Severity) -> Option<SignedDuration> {
        self.grace.iter().find(|(of, _)| *of == severity).map(|(_, time)| *time)
    }
}

/// How old advisories may be where a policy says nothing.
pub const DATABASE_AGE_MAX: SignedDuration = SignedDuration::from_hours(48);
