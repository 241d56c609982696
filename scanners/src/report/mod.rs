//! What was found and decided, for people and for other tools: the same report in several forms.
//!
//! Every form has every finding; a verdict marks them and hides none. Nothing here decides, reads files or knows colours
//! of a terminal beyond the words it is told to use.

mod annotations;
mod cyclonedx;
mod json;
mod junit;
mod licence;
mod markdown;
mod sarif;
mod spdx;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use jiff::Timestamp;

pub use json::REPORT_VERSION;
pub use table::Terminal;

use crate::finding::{Finding, Severity};
use crate::package::Inventory;
use crate::policy::{Judged, Verdict};

/// Everything that a report says.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    pub inventory: &'a Inventory,
    pub findings: &'a [Finding],
    /// What a gate made of them, in the order of the findings; none where no gate was asked.
    pub verdict: Option<&'a Verdict>,
    /// When it was made; what is signed later has this time.
    pub made: Timestamp,
    /// The version of the program.
    pub version: &'a str,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for a terminal.
    Table,
    /// Ours, with a version.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// CycloneDX 1.6, with vulnerabilities and their analysis.
    CycloneDx,
    /// SPDX 2.3 as JSON; packages only.
    Spdx,
    /// A test case for each finding.
    JUnit,
    /// Markdown for the summary of a job.
    Summary,
    /// Workflow commands: `::error file=…`.
    Annotations,
    /// Markdown for a comment on a pull request.
    Comment,
}

impl Format {
    /// Every format, in the order in which help lists them.
    pub const ALL: [Self; 9] = [
        Self::Table,
        Self::Json,
        Self::Sarif,
        Self::CycloneDx,
        Self::Spdx,
        Self::JUnit,
        Self::Summary,
        Self::Annotations,
        Self::Comment,
    ];

    /// Its word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::CycloneDx => "cyclonedx",
            Self::Spdx => "spdx",
            Self::JUnit => "junit",
            Self::Summary => "summary",
            Self::Annotations => "annotations",
            Self::Comment => "comment",
        }
    }

    /// By its word, or by the word that trivy has for it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "spdx-json" => Some(Self::Spdx),
            "cyclonedx-json" => Some(Self::CycloneDx),
            "markdown" => Some(Self::Summary),
            "github" => Some(Self::Annotations),
            other => Self::ALL.into_iter().find(|format| format.as_str() == other),
        }
    }
}

impl Report<'_> {
    /// The report in one form. `terminal` matters to the table only.
    #[must_use]
    pub fn write(&self, format: Format, terminal: Terminal) -> String {
        match format {
            Format::Table => table::write(self, terminal),
            Format::Json => json::write(self),
            Format::Sarif => sarif::write(self),
            Format::CycloneDx => cyclonedx::write(self),
            Format::Spdx => spdx::write(self),
            Format::JUnit => junit::write(self),
            Format::Summary => markdown::summary(self),
            Format::Annotations => annotations::write(self),
            Format::Comment => markdown::comment(self),
        }
    }

    /// What the gate made of a finding.
    fn judged(&self, index: usize) -> Option<&Judged> {
        self.verdict.and_then(|verdict| verdict.judged.get(index))
    }

    /// The severity that the gate went by, or else the finding's own.
    fn severity(&self, index: usize) -> Severity {
        self.judged(index).map_or_else(|| self.findings[index].severity, |judged| judged.severity)
    }

    /// The findings by their index: what fails first, then the worst, then by name and package.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.findings.len()).collect();
        let key = |index: &usize| {
            let finding = &self.findings[*index];
            let failed = self.judged(*index).is_some_and(|judged| judged.judgement.is_failed());
            (!failed, std::cmp::Reverse(self.severity(*index)), words::subject(finding), &finding.id)
        };
        order.sort_by(|one, other| key(one).cmp(&key(other)));
        order
    }

    /// How many findings have each severity, the worst first.
    fn counts(&self) -> Vec<(Severity, usize)> {
        let count = |severity| (0..self.findings.len()).filter(|index| self.severity(*index) == severity).count();
        Severity::ALL.into_iter().rev().map(|severity| (severity, count(severity))).collect()
    }
}

/// JSON as people read it, with a line break at its end.
fn pretty(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value has only texts as keys");
    text.push('\n');
    text
}
