//! What a reading has found so far, and the counters that its files share.
//!
//! Errors are those that GitHub's own reader reports, worded as there, and end the reading. Findings are what GitHub's
//! reader lets pass and its trigger refuses, or what will hardly do what was meant.

use std::sync::Arc;

use super::condition;
use super::options::ReadOptions;
use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Expression, ExpressionError};
use crate::schema::AllowedNames;
use crate::source::{SourceFile, Span};
use crate::template::{Cause, ReadError, Repairs, Token};

/// The state of a reading beyond its files.
pub(super) struct Checks<'a> {
    /// How to read.
    pub(super) options: &'a ReadOptions,
    /// In the order in which they were found.
    pub(super) errors: Vec<ReadError>,
    /// In the order in which they were found.
    pub(super) findings: Vec<Diagnostic>,
    /// Goes on where GitHub stops, to find all that is wrong, with these repairs in the first file.
    pub(super) explore: Option<&'a Repairs>,
    /// Of an action: its folder below the root of its repository.
    pub(super) folder: &'a str,
    /// The file that is being read.
    source: Option<SourceFile>,
    /// Jobs of all files.
    jobs: usize,
    /// Shared by all that have no condition.
    success: Expression,
}

impl<'a> Checks<'a> {
    /// Nothing found yet.
    pub(super) fn new(options: &'a ReadOptions) -> Self {
        let success = condition::default_condition();
        let (errors, findings) = (Vec::new(), Vec::new());
        Self { options, errors, findings, explore: None, folder: "", source: None, jobs: 0, success }
    }

    /// Whether the next stage is read too.
    pub(super) fn may_go_on(&self) -> bool {
        self.explore.is_some() || self.errors.is_empty()
    }

    /// Another file is read from here on.
    pub(super) fn enter(&mut self, source: SourceFile) {
        self.source = Some(source);
    }

    /// The condition that is in force where none is written.
    pub(super) fn success(&self) -> Expression {
        self.success.clone()
    }

    /// Records an error at a place.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.error_with_help(span, message, None);
    }

    /// Records an error at a place with what to do about it, which GitHub does not say.
    pub(super) fn error_with_help(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let mut error = ReadError::at(span, message);
        error.help = help;
        self.errors.push(error);
    }

    /// Records an error in an event's settings, which GitHub's servers leave to the trigger.
    pub(super) fn event_error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        if self.options.known_events_only {
            self.error_with_help(span, message, help);
        }
    }

    /// Records an error of which GitHub's text names no place; people are shown the call that led to it.
    pub(super) fn unplaced(&mut self, call: Option<Span>, message: impl Into<String>) {
        self.errors.push(ReadError::unplaced(message).precisely(call));
    }

    /// Records that a value's expression, of that text, cannot be read.
    pub(super) fn expression_error(
        &mut self,
        written: &Token,
        text: &str,
        error: &ExpressionError,
        names: AllowedNames,
    ) {
        let precise = self.find(written.span, text).map(|span| span.part(error.span.start, error.span.end));
        let read_error = ReadError::at(written.span, error.to_string()).precisely(precise);
        self.errors.push(read_error.because(Cause::Expression(error.clone())).naming(Arc::new(names)));
    }

    /// Where a text stands inside a value, if it stands there as it is.
    fn find(&self, span: Span, text: &str) -> Option<Span> {
        let whole = self.source.as_ref()?.text().get(span.start as usize..span.end as usize)?;
        let at = whole.find(text)?;
        Some(span.part(at, at + text.len()))
    }

    /// Records a finding.
    pub(super) fn warn(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        self.findings.push(Diagnostic::warning(code, span, message).help(help));
    }

    /// Records something that GitHub's trigger refuses.
    pub(super) fn refuse(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        self.findings.push(Diagnostic::error(code, span, message).help(help));
    }

    /// Counts a job; the first beyond the limit is an error.
    pub(super) fn count_job(&mut self, span: Span) {
        self.jobs += 1;
        if let Some(most) = self.options.jobs_max.filter(|most| self.jobs == most + 1) {
            self.error(span, format!("Workflows may not contain more than {most} jobs across all referenced files"));
        }
    }
}
