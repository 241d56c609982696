//! Which lines tests reach: gathered from several files, of several tools, a line counts once.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::xml::{ReadError, decode};
use super::{COVERED_FILES_MAX, COVERED_LINES_MAX, cobertura, lcov};

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Reached.
    pub covered: u64,
    /// All that could be.
    pub total: u64,
}

impl Rate {
    /// From 0 to 100; `None` where there is nothing to reach.
    #[must_use]
    pub fn percent(self) -> Option<f64> {
        (self.total > 0).then(|| self.covered as f64 * 100.0 / self.total as f64)
    }

    const fn and(self, other: Self) -> Self {
        Self { covered: self.covered + other.covered, total: self.total + other.total }
    }
}

/// The lines of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(HashMap<u32, bool>);

impl Lines {
    /// A line and whether it is reached; by one report is enough.
    pub(super) fn add(&mut self, line: u32, is_reached: bool) {
        *self.0.entry(line).or_default() |= is_reached;
    }

    /// How many lines are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no line is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reached lines.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate { covered: self.0.values().filter(|reached| **reached).count() as u64, total: self.0.len() as u64 }
    }
}

/// What is known of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLines {
    /// Its lines.
    pub lines: Lines,
    /// Branches, as the last report has them.
    pub branches: Rate,
}

/// The coverage of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// Its path, relative to the workspace where it lies in there.
    pub path: String,
    /// Lines.
    pub lines: Rate,
    /// Branches; none where the tool says nothing of them.
    pub branches: Rate,
}

/// Coverage while it is gathered.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    files: BTreeMap<String, FileLines>,
    lines: usize,
    /// Whether more was there than is kept.
    pub is_cut: bool,
}

impl Coverage {
    /// Adds a file of a tool: lcov or Cobertura. `workspace` is where the repository lies, as the tool saw it.
    ///
    /// # Errors
    /// It is neither, or damaged; what came before counts.
    pub fn read(&mut self, bytes: &[u8], workspace: &str) -> Result<(), ReadError> {
        let text = decode(bytes);
        let mut add = |path: &str, of_file: FileLines| self.add(&relative(path, workspace), of_file);
        if text.trim_start().starts_with('<') { cobertura::read(&text, &mut add) } else { lcov::read(&text, &mut add) }
    }

    fn add(&mut self, path: &str, of_file: FileLines) {
        let is_new = !self.files.contains_key(path);
        if is_new && self.files.len() >= COVERED_FILES_MAX || self.lines >= COVERED_LINES_MAX {
            self.is_cut = true;
            return;
        }
        let known = self.files.entry(path.to_owned()).or_default();
        let before = known.lines.len();
        // In any order: a line that one of them reaches is reached.
        of_file.lines.0.into_iter().for_each(|(line, reached)| known.lines.add(line, reached));
        if of_file.branches.total > 0 {
            known.branches = of_file.branches;
        }
        self.lines += known.lines.len() - before;
    }

    /// By path.
    #[must_use]
    pub fn files(&self) -> Vec<FileCoverage> {
        let of_file = |(path, file): (&String, &FileLines)| FileCoverage {
            path: path.clone(),
            lines: file.lines.rate(),
            branches: file.branches,
        };
        self.files.iter().map(of_file).collect()
    }

    /// Lines and branches of some files.
    #[must_use]
    pub fn totals(files: &[FileCoverage]) -> (Rate, Rate) {
        files.iter().fold((Rate::default(), Rate::default()), |(lines, branches), file| {
            (lines.and(file.lines), branches.and(file.branches))
        })
    }
}

/// The path below the workspace.
fn relative(path: &str, workspace: &str) -> String {
    let path = path.trim().replace('\\', "/");
    let below = path.strip_prefix(workspace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&path);
    below.strip_prefix("./").unwrap_or(below).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reports: &[&str], expect: &str) {
        let mut coverage = Coverage::default();
        for report in reports {
            coverage.read(report.as_bytes(), "/w/r").unwrap();
        }
        let files = coverage.files();
        let rate = |rate: Rate| format!("{}/{}", rate.covered, rate.total);
        let mut shown: Vec<_> =
            files.iter().map(|file| format!("{} {} {}", file.path, rate(file.lines), rate(file.branches))).collect();
        let (lines, branches) = Coverage::totals(&files);
        shown.push(format!("= {} {}", rate(lines), rate(branches)));
        assert_eq!(shown.join("; "), expect, "{reports:?}");
    }

    const LCOV: &str = "TN:\nSF:/w/r/src/a.rs\nFN:1,main\nDA:1,5\nDA:2,0,checksum\r\nDA:3,1\nBRDA:3,0,0,-\nBRF:2\nBRH:1\nLF:3\nLH:2\nend_of_record\nSF:./b.c\nDA:1,0\nend_of_record\n";
    const COBERTURA: &str = r#"<?xml version="1.0" ?><!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5"><sources><source>/w/r/src</source></sources><packages><package name="x"><classes>
<class name="A" filename="a.rs" line-rate="0.5"><methods><method name="m"><lines><line number="2" hits="1"/></lines></method></methods>
<lines><line number="2" hits="1"/><line number="4" hits="0" branch="true" condition-coverage="50% (1/2)"/></lines></class>
<class name="A$1" filename="a.rs"><lines><line number="9" hits="3"/></lines></class></classes></package></packages></coverage>"#;

    #[test]
    fn lcov_and_cobertura() {
        check(&[LCOV], "b.c 0/1 0/0; src/a.rs 2/3 1/2; = 2/4 1/2");
        check(&[COBERTURA], "src/a.rs 2/3 1/2; = 2/3 1/2");
        // A line that one of them reaches is reached.
        check(&[LCOV, COBERTURA], "b.c 0/1 0/0; src/a.rs 4/5 1/2; = 4/6 1/2");
        check(&[LCOV, LCOV], "b.c 0/1 0/0; src/a.rs 2/3 1/2; = 2/4 1/2");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for (text, expect) in [
            ("hello\n", ReadError::Line { line: 1 }),
            ("SF:a\nDA:x,1\n", ReadError::Line { line: 2 }),
            ("", ReadError::Empty),
            ("<html/>", ReadError::OtherRoot { expected: "Cobertura", found: "html".into() }),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><coverage/>", ReadError::Entities),
        ] {
            assert_eq!(Coverage::default().read(text.as_bytes(), "/w"), Err(expect), "{text}");
        }
        assert_eq!(Rate::default().percent(), None);
    }
}
