//! Slips whose meaning is clear: a key or word that is nearly, or in another tool exactly, one that may be there.

use std::collections::HashSet;

use super::known::{EVENT_OTHER_NAMES, OTHER_NAMES};
use super::lines;
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::schema::Schema;
use crate::source::{SourceFile, Span};
use crate::template::{Cause, Place, ReadError, Repairs};

/// A key that a mapping does not have.
pub(super) const UNKNOWN_KEY: Code = Code("P0101");
/// A word where only certain ones may be.
pub(super) const UNKNOWN_VALUE: Code = Code("P0401");
/// An event that GitHub does not have.
pub(super) const UNKNOWN_EVENT: Code = Code("P0402");

/// A slip with what was meant.
#[derive(Debug)]
pub(super) struct Slip {
    pub(super) span: Span,
    pub(super) meant: &'static str,
    written: String,
    is_key: bool,
    github: String,
}

/// The slip that an error comes from, if it is one, of the workflow's own file: only that is read again.
pub(super) fn find(error: &ReadError, source: &SourceFile) -> Option<Slip> {
    error.file().filter(|file| file.0 == 0).and_then(|_| find_in(error, source))
}

/// The same of any file.
pub(super) fn find_in(error: &ReadError, source: &SourceFile) -> Option<Slip> {
    let Place::At(span) = error.place else { return None };
    let slip = |written: &str, meant, is_key| {
        Some(Slip { span, meant, written: written.to_owned(), is_key, github: error.message.clone() })
    };
    match &error.cause {
        Cause::UnexpectedKey { key, candidates, .. } => slip(key, meant(key, candidates)?, true),
        Cause::UnexpectedValue { value, candidates } if !candidates.is_empty() && !value.is_empty() => {
            // An expression of one constant is none of the author's words.
            if lines::raw(source, span).contains("${{") {
                return None;
            }
            slip(value, meant(value, candidates)?, false)
        }
        Cause::UnexpectedValue { .. }
        | Cause::Other
        | Cause::Syntax(_)
        | Cause::EmptyFile
        | Cause::AnotherDocument
        | Cause::KeyNotScalar
        | Cause::Scalar(_)
        | Cause::MissingProperty { .. }
        | Cause::DuplicateKey { .. }
        | Cause::SequenceNotExpected
        | Cause::MappingNotExpected
        | Cause::NotEnoughInfo { .. }
        | Cause::Expression(_)
        | Cause::ExpressionNotClosed
        | Cause::EmptyExpression
        | Cause::ExpressionNotAllowed
        | Cause::Directive
        | Cause::Limit(_) => None,
    }
}

/// What was meant by a word, among those that may be there.
pub(super) fn meant(written: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let among = |name: &'static str| candidates.iter().copied().find(|candidate| *candidate == name);
    let other = OTHER_NAMES.iter().chain(EVENT_OTHER_NAMES);
    let folded = written.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let synonym = other.filter(|(name, _)| *name == folded).find_map(|(_, meant)| among(meant));
    let is_at_home_elsewhere = super::known::KEYS_ELSEWHERE.iter().any(|(key, _)| *key == written);
    synonym.or_else(|| suggest(written, candidates.iter().copied()).filter(|_| !is_at_home_elsewhere))
}

/// Takes back repairs that made a key double: the right one is there already.
pub(super) fn undo(
    errors: &[ReadError],
    repairs: &mut Repairs,
    beyond_repair: &mut HashSet<Span>,
    slips: &mut Vec<Slip>,
) -> bool {
    let mut changed = false;
    for error in errors {
        let (Cause::DuplicateKey { first, .. }, Place::At(span)) = (&error.cause, error.place) else { continue };
        for repaired in [*first, span] {
            if repairs.remove(&repaired).is_some() {
                beyond_repair.insert(repaired);
                slips.retain(|slip| slip.span != repaired);
                changed = true;
            }
        }
    }
    changed
}

impl Slip {
    pub(super) fn diagnostic(&self, source: &SourceFile) -> Diagnostic {
        let Self { span, meant, written, is_key, github } = self;
        let is_event = Schema::workflow().events().iter().any(|event| event.name == *meant);
        let mut found = if is_event {
            Diagnostic::error(UNKNOWN_EVENT, *span, format!("there is no event `{written}`"))
        } else if *is_key {
            Diagnostic::error(UNKNOWN_KEY, *span, format!("unknown key `{written}`"))
        } else {
            let of = lines::key_before(source, *span).map(|key| format!(" of `{key}`")).unwrap_or_default();
            Diagnostic::error(UNKNOWN_VALUE, *span, format!("`{written}` is none of the values{of}"))
        };
        found.github = Some(github.clone());
        found.did_you_mean(Some(meant))
    }
}
