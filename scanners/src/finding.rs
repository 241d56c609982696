//! What a scanner has to say about one package or one place: the words between all scanners and the one gate.
//!
//! Plain data. Nothing here finds anything (`advisory`, `secret`…) and nothing decides whether it matters (`policy`).

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::package::{Ecosystem, Location, SourcePackage};

/// One thing that is wrong with one package or one place.
///
/// A vulnerability that several databases describe is one finding for a package: `id` is the name most people search for
/// and `aliases` holds the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    /// The advisory (`CVE-2023-0286`, `GHSA-…`, `RUSTSEC-…`) or the rule (`aws-access-key`, `DL3008`).
    pub id: String,
    /// Other names of the same vulnerability, sorted, without `id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// One line for a person.
    pub summary: String,
    pub subject: Subject,
    pub severity: Severity,
    /// Who said so; none when the severity is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_source: Option<SeveritySource>,
    /// Everything that was said about the severity, the one in force first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// The vector and score of the highest version of CVSS that was given, whoever's severity is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<Cvss>,
    /// In CISA's catalogue of vulnerabilities that are known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kev: Option<Kev>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    pub status: Status,
    /// The lowest version with the fix on each line of releases that has one, lowest first; empty when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_versions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Since when an update could have been installed, as far as the databases say; none while there is no fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_available: Option<Timestamp>,
    /// Addresses to read on, the advisory itself first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

impl Finding {
    /// Whether this is what `name` names: its id or one of its aliases, in any case of letters.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// The package it is about, if it is about one.
    #[must_use]
    pub const fn package(&self) -> Option<&AffectedPackage> {
        match &self.subject {
            Subject::Package(package) => Some(package),
            Subject::Place(_) | Subject::Whole => None,
        }
    }

    /// The place in a file it is about, if it is about one.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        match &self.subject {
            Subject::Place(place) => Some(place),
            Subject::Package(_) | Subject::Whole => None,
        }
    }
}

/// Which kind of scanner speaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An advisory applies to a package.
    Vulnerability,
    /// A credential lies in a file.
    Secret,
    /// A Dockerfile, a workflow or a description of infrastructure sets something up in an unsafe way.
    Misconfiguration,
    /// Source code does something unsafe.
    Code,
    /// Too little of the code is run by tests.
    Coverage,
    /// A running service answers in an unsafe way, or in another one than it says.
    Service,
    /// Another tool found it and we read its report.
    Imported { tool: String },
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Package(AffectedPackage),
    Place(Place),
    /// The target as a whole, as with coverage.
    Whole,
}

/// The package that an advisory applies to, as it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedPackage {
    pub ecosystem: Ecosystem,
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// `pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12`.
    pub purl: String,
    pub locations: Vec<Location>,
    /// The layer that brought it: that of its first location, which is the lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

/// Lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// From the root of the repository or image, without a leading `/`.
    pub file: String,
    /// From 1; none for the file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The last line, from 1, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// From 1, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

/// How bad it is, least first: `severity >= Severity::High` reads as it should. Unknown is not harmless, and so a gate has
/// to say what it makes of it; here it only sorts first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    #[default]
    Unknown,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Every severity, least first.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word that reports and policies use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What FIRST's qualitative scale calls a base score (CVSS v3.1 section 5, v4.0 section 6); “none” counts as low.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        if score >= 9.0 {
            Self::Critical
        } else if score >= 7.0 {
            Self::High
        } else if score >= 4.0 {
            Self::Medium
        } else {
            Self::Low
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who gave a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeveritySource {
    /// The distribution or the database of the ecosystem: it knows how the package is built and used.
    Vendor,
    /// The National Vulnerability Database, which rates the software as such.
    Nvd,
    /// Nobody gave a word: it is what the score of the vector is called.
    Cvss,
    /// The rule of the scanner that found it, ours or that of an imported report.
    Rule,
}

/// What one source said about the severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    pub source: SeveritySource,
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<Cvss>,
}

/// A vector of the Common Vulnerability Scoring System with its base score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cvss {
    /// `CVSS:3.1/AV:N/AC:L/…`; version 2 has no prefix.
    pub vector: String,
    /// From 0.0 to 10.0.
    pub score: f64,
}

/// An entry of CISA's Known Exploited Vulnerabilities (<https://www.cisa.gov/known-exploited-vulnerabilities-catalog>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kev {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Date>,
    /// By when agencies of the United States have to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    /// Whether ransomware is known to use it.
    #[serde(default)]
    pub ransomware: bool,
}

/// How likely exploitation is within 30 days (<https://www.first.org/epss/>).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// From 0.0 to 1.0.
    pub score: f64,
    /// The share of all vulnerabilities that score no higher, from 0.0 to 1.0.
    pub percentile: f64,
}

/// What can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It applies, and a version with the fix exists where the finding names one. Findings without a package have this.
    Affected,
    /// It applies, and the vendor has said that no fix will come for this release (Debian: ignored, no-dsa, end of life).
    WillNotFix,
    /// It applies, and there is no version with a fix so far.
    NoFixYet,
    /// It does not apply any more, by a statement (VEX) rather than by the version.
    Fixed,
}
