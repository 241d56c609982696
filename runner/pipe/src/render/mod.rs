//! Diagnostics as people and programs read them: terminal text, JSON, SARIF, GitHub annotations.

pub mod github;
pub mod json;
pub mod sarif;
mod snippet;
pub mod text;

use workflow::diagnostic::{Diagnostic, Severity};
use workflow::source::{Position, SourceMap, Span};

/// One file that was looked at, with what was found.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The file as named by the user.
    pub file: &'a str,
    /// Its text, and those of the files that it calls; empty where it could not be read.
    pub sources: &'a SourceMap,
    /// What was found.
    pub diagnostics: &'a [Diagnostic],
}

/// A place in words: file, start, end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Located<'a> {
    file: &'a str,
    start: Position,
    end: Position,
}

impl<'a> Finding<'a> {
    fn locate(&self, span: Option<Span>) -> Option<Located<'a>> {
        let (file, start, end) = self.sources.locate(span?)?;
        Some(Located { file, start, end })
    }
}

/// `error`, `warning`, `note`.
pub const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What to do, in one text: the label beside the marker is part of it where it asks "did you mean".
fn advice(diagnostic: &Diagnostic) -> Option<String> {
    match (&diagnostic.help, &diagnostic.label) {
        (Some(help), _) => Some(help.clone()),
        (None, Some(label)) => Some(label.clone()),
        (None, None) => None,
    }
}

/// How many of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Tally {
    /// Counts more.
    pub fn add(&mut self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            match diagnostic.severity {
                Severity::Error => self.errors += 1,
                Severity::Warning => self.warnings += 1,
                Severity::Note => self.notes += 1,
            }
        }
    }
}

/// `1 file`, `2 files`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
