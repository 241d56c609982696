//! Lists of patterns, read in order: the last one that matches decides.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#patterns-to-match-branches-and-tags>.

use super::glob::Glob;
use crate::source::{Span, Spanned};

/// Most changed files that a path filter looks at.
pub const CHANGED_FILES_MAX: usize = 300;

/// A list such as `branches: [main, 'release/**', '!release/old']`.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    glob: Glob,
    negated: bool,
    span: Span,
}

/// What a list says of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The last pattern that matches has no `!`.
    Included(Span),
    /// The last pattern that matches begins with `!`.
    Excluded(Span),
    /// No pattern matches.
    Unmatched,
}

impl Patterns {
    pub(super) fn new(patterns: &[Spanned<String>]) -> Self {
        let read = |pattern: &Spanned<String>| {
            let negated = pattern.value.strip_prefix('!');
            let glob = Glob::new(negated.unwrap_or(&pattern.value));
            Pattern { glob, negated: negated.is_some(), span: pattern.span }
        };
        Self { patterns: patterns.iter().map(read).collect() }
    }

    pub(super) fn verdict(&self, name: &str) -> Verdict {
        match self.patterns.iter().rev().find(|pattern| pattern.glob.matches(name)) {
            None => Verdict::Unmatched,
            Some(pattern) if pattern.negated => Verdict::Excluded(pattern.span),
            Some(pattern) => Verdict::Included(pattern.span),
        }
    }

    pub(super) fn includes(&self, name: &str) -> bool {
        matches!(self.verdict(name), Verdict::Included(_))
    }
}
