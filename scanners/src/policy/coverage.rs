//! How much of the code tests reach, held against what a policy asks for.
//!
//! It gets the numbers; who reads reports of coverage is `coverage`.

use super::model::CoverageRule;
use crate::finding::{Finding, Kind, Place, Severity, Subject};

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    pub covered: u64,
    pub total: u64,
}

impl Rate {
    /// From 0 to 100; nothing to reach is none.
    #[must_use]
    pub fn percent(self) -> Option<f64> {
        (self.total > 0).then(|| self.covered as f64 * 100.0 / self.total as f64)
    }

    const fn and(self, other: Self) -> Self {
        Self { covered: self.covered + other.covered, total: self.total + other.total }
    }
}

/// One file as reports of coverage have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub file: String,
    pub lines: Rate,
    /// None of none where the tool says nothing of branches.
    pub branches: Rate,
}

/// What a rule finds too little; nothing measured is too little as well.
#[must_use]
pub fn coverage(rule: &CoverageRule, measured: &[Measured]) -> Vec<Finding> {
    let total = |of: fn(&Measured) -> Rate| measured.iter().map(of).fold(Rate::default(), Rate::and);
    let mut findings = Vec::new();
    for (what, least, rate) in
        [("lines", rule.lines, total(|file| file.lines)), ("branches", rule.branches, total(|file| file.branches))]
    {
        let Some(least) = least else { continue };
        match rate.percent() {
            Some(percent) if percent >= least => {}
            Some(percent) => {
                let (found, Rate { covered, total }) = (shown(percent, least), rate);
                let summary = format!("tests reach {found} % of {what} ({covered} of {total}), less than {least} %");
                findings.push(finding(format!("coverage-{what}"), summary, Subject::Whole));
            }
            None => {
                let summary = format!("no report says which {what} tests reach, and {least} % are asked for");
                findings.push(finding(format!("coverage-{what}"), summary, Subject::Whole));
            }
        }
    }
    let Some(least) = rule.each_file else { return findings };
    for file in measured {
        let Some(percent) = file.lines.percent().filter(|percent| *percent < least) else { continue };
        let summary = format!("tests reach {} % of its lines, less than {least} %", shown(percent, least));
        let place = Place { file: file.file.clone(), line: None, end_line: None, column: None, layer: None };
        findings.push(finding("coverage-each-file".to_owned(), summary, Subject::Place(place)));
    }
    findings
}

/// A share that is too small, rounded down, so that it never reads as the one that is asked for.
fn shown(percent: f64, least: f64) -> String {
    let rounded = (percent * 10.0).floor() / 10.0;
    if rounded < least { format!("{rounded:.1}") } else { format!("{percent:.4}") }
}

fn finding(id: String, summary: String, subject: Subject) -> Finding {
    Finding::of_rule(Kind::Coverage, &id, summary, subject, Severity::High)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_is_found() {
        let file = |name: &str, covered, total| Measured {
            file: name.to_owned(),
            lines: Rate { covered, total },
            branches: Rate::default(),
        };
        let check = |rule: (Option<f64>, Option<f64>, Option<f64>), measured: &[Measured], expect: &[&str]| {
            let rule = CoverageRule { lines: rule.0, branches: rule.1, each_file: rule.2 };
            let found: Vec<_> = coverage(&rule, measured).into_iter().map(|finding| finding.summary).collect();
            assert_eq!(found, expect);
        };
        let two = [file("a.rs", 9, 10), file("b.rs", 3, 5)];
        check((Some(80.0), None, None), &two, &[]);
        check((Some(85.0), None, None), &two, &["tests reach 80.0 % of lines (12 of 15), less than 85 %"]);
        check((None, Some(10.0), None), &two, &["no report says which branches tests reach, and 10 % are asked for"]);
        check((None, None, Some(70.0)), &two, &["tests reach 60.0 % of its lines, less than 70 %"]);
        check((Some(1.0), None, None), &[], &["no report says which lines tests reach, and 1 % are asked for"]);
        let nearly = [file("a.rs", 84_999, 100_000)];
        check((Some(85.0), None, None), &nearly, &["tests reach 84.9 % of lines (84999 of 100000), less than 85 %"]);
    }
}
