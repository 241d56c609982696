//! Which lines tests reach, as reports say it: lcov, Cobertura, JaCoCo, coverage.py's JSON.
//!
//! What several reports say of a line is joined: one that reaches it is enough. Rates that reports state are not believed,
//! lines are counted; JaCoCo's sums are only taken where it names no lines. `engine::reports` keeps coverage for pages;
//! this gives a gate its numbers and knows nothing of runs.

mod text;
mod xml;

use std::collections::{BTreeMap, HashMap};

use crate::policy::{Measured, Rate};

/// Longest report that is read.
pub const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most lines of all files together.
const LINES_MAX: usize = 20_000_000;

/// Coverage while it is gathered.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    files: BTreeMap<String, Reached>,
    lines: usize,
}

#[derive(Debug, Clone, Default)]
struct Reached {
    lines: HashMap<u32, bool>,
    /// Of each line, so that two reports of one file do not count it twice.
    branches: HashMap<u32, Rate>,
}

/// Why a report cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoverageError {
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it names more than {LINES_MAX} lines")]
    TooMany,
    #[error("it is no report of lcov, Cobertura, JaCoCo or coverage.py")]
    Unknown,
    #[error("line {line}: {reason}")]
    Text { line: usize, reason: String },
    #[error("it is no XML at byte {at}: {reason}")]
    Xml { at: u64, reason: String },
    #[error("it is no JSON of coverage.py: {0}")]
    Json(String),
}

impl Coverage {
    /// Adds a report. `workspace` is where the repository lies, as the tool saw it; paths below it become relative.
    ///
    /// # Errors
    /// [`CoverageError`]; what came before counts.
    pub fn read(&mut self, bytes: &[u8], workspace: &str) -> Result<(), CoverageError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(CoverageError::TooLong);
        }
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let mut add = |path: &str, line: u32, reached: bool, branches: Rate| {
            self.add(&relative(path, workspace), line, reached, branches)
        };
        match text.trim_start().chars().next() {
            Some('<') => xml::read(&text, &mut add),
            Some('{') => text::coverage_py(&text, &mut add),
            Some(_) if text.contains("SF:") => text::lcov(&text, &mut add),
            Some(_) | None => Err(CoverageError::Unknown),
        }
    }

    fn add(&mut self, path: &str, line: u32, reached: bool, branches: Rate) -> Result<(), CoverageError> {
        let file = match self.files.get_mut(path) {
            Some(file) => file,
            None => self.files.entry(path.to_owned()).or_default(),
        };
        let before = file.lines.len();
        *file.lines.entry(line).or_default() |= reached;
        self.lines += file.lines.len() - before;
        if branches.total > 0 {
            let known = file.branches.entry(line).or_default();
            known.covered = known.covered.max(branches.covered);
            known.total = known.total.max(branches.total);
        }
        if self.lines > LINES_MAX { Err(CoverageError::TooMany) } else { Ok(()) }
    }

    /// The numbers of each file, by path.
    #[must_use]
    pub fn measured(&self) -> Vec<Measured> {
        let of = |(path, file): (&String, &Reached)| {
            let covered = file.lines.values().filter(|reached| **reached).count() as u64;
            let sum = |of: fn(&Rate) -> u64| file.branches.values().map(of).sum();
            Measured {
                file: path.clone(),
                lines: Rate { covered, total: file.lines.len() as u64 },
                branches: Rate { covered: sum(|rate| rate.covered), total: sum(|rate| rate.total) },
            }
        };
        self.files.iter().map(of).collect()
    }
}

/// What readers call for each line.
type Add<'a> = dyn FnMut(&str, u32, bool, Rate) -> Result<(), CoverageError> + 'a;

fn relative(path: &str, workspace: &str) -> String {
    let path = path.trim().replace('\\', "/");
    let workspace = workspace.trim_end_matches('/');
    let below = path.strip_prefix(workspace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&path);
    below.strip_prefix("./").unwrap_or(below).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reports: &[&str], expect: &str) {
        let mut coverage = Coverage::default();
        for report in reports {
            if let Err(error) = coverage.read(report.as_bytes(), "/w/r") {
                assert_eq!(error.to_string(), expect, "{report}");
                return;
            }
        }
        let rate = |rate: Rate| format!("{}/{}", rate.covered, rate.total);
        let shown: Vec<_> = coverage
            .measured()
            .into_iter()
            .map(|file| format!("{} {} {}", file.file, rate(file.lines), rate(file.branches)))
            .collect();
        assert_eq!(shown.join("; "), expect, "{reports:?}");
    }

    const LCOV: &str = "TN:\nSF:/w/r/src/a.rs\nDA:1,5\nDA:2,0,sum\r\nDA:3,1\nBRDA:3,0,0,-\nBRDA:3,0,1,2\nend_of_record\nSF:./b.c\nDA:1,0\nend_of_record\n";
    const COBERTURA: &str = r#"<?xml version="1.0"?><coverage line-rate="1"><sources><source>/w/r/src</source></sources><packages><package><classes>
        <class filename="a.rs"><methods><method><lines><line number="2" hits="1"/></lines></method></methods>
        <lines><line number="2" hits="1"/><line number="4" hits="0" branch="true" condition-coverage="50% (1/2)"/></lines></class></classes></package></packages></coverage>"#;
    const JACOCO: &str = r#"<?xml version="1.0"?><!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="x"><package name="com/shop">
        <class name="com/shop/A" sourcefilename="A.java"><counter type="LINE" missed="1" covered="1"/></class>
        <sourcefile name="A.java"><line nr="3" mi="0" ci="4" mb="1" cb="1"/><line nr="5" mi="2" ci="0" mb="0" cb="0"/></sourcefile></package></report>"#;
    const PYTHON: &str = r#"{"meta":{"version":"7.4"},"files":{"/w/r/app.py":{"executed_lines":[1,2],"missing_lines":[5],
        "executed_branches":[[1,2]],"missing_branches":[[1,5]]}},"totals":{"percent_covered":99}}"#;

    #[test]
    fn every_form_is_counted() {
        check(&[LCOV], "b.c 0/1 0/0; src/a.rs 2/3 1/2");
        check(&[COBERTURA], "src/a.rs 1/2 1/2");
        check(&[LCOV, COBERTURA], "b.c 0/1 0/0; src/a.rs 3/4 2/4");
        check(&[JACOCO], "com/shop/A.java 1/2 1/2");
        check(&[PYTHON], "app.py 2/3 1/2");
        check(&[PYTHON, PYTHON], "app.py 2/3 1/2");
    }

    #[test]
    fn what_is_none_is_refused() {
        check(&[""], "it is no report of lcov, Cobertura, JaCoCo or coverage.py");
        check(&["hello"], "it is no report of lcov, Cobertura, JaCoCo or coverage.py");
        check(&["SF:a\nDA:x,1\n"], "line 2: `DA:x,1` has no number of a line");
        check(&["SF:a\nDA:1,1\n"], "line 2: the last record has no end");
        check(&["<html></html>"], "it is no report of lcov, Cobertura, JaCoCo or coverage.py");
        check(&["{\"a\":1}"], "it is no JSON of coverage.py: it has no `files`");
        check(&["{"], "it is no JSON of coverage.py: EOF while parsing an object at line 1 column 1");
    }
}
