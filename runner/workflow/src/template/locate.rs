//! Where in a file the pieces of an expression stand.
//!
//! An expression keeps only its own text. Its scalar's raw text in the file has the same `${{` in the same order, so
//! the pieces can be found again, whatever the style of the scalar; where quoting or folding changed an expression's
//! text, the place of its `${{` is all that can be said.

use std::ops::Range;

use crate::expression::{Expression, Function, NodeKind};
use crate::source::Span;

const OPEN: &str = "${{";

/// The bytes in the file `text` of a piece of the scalar at `scalar` with this content: `piece` counts from `at`, the
/// byte of the content behind a `${{`.
pub(super) fn in_scalar(text: &str, scalar: Span, content: &str, at: usize, piece: Range<usize>) -> Option<Span> {
    let raw = text.get(scalar.start as usize..scalar.end as usize)?;
    let (before, body) = content.split_at_checked(at)?;
    let before = before.matches(OPEN).count().checked_sub(1)?;
    let open = raw.match_indices(OPEN).nth(before)?.0;
    let start = open + OPEN.len();
    let same = body.get(..piece.end).is_some_and(|body| raw[start..].starts_with(body));
    if same { Some(scalar.part(start + piece.start, start + piece.end)) } else { Some(scalar.part(open, start)) }
}

/// The bytes in the file `text` of a piece of an expression's own text, given the span of the token that it is; the
/// whole token where nothing narrower can be told.
#[must_use]
pub fn locate(text: &str, token: Span, expression: &Expression, piece: Range<usize>) -> Span {
    let Some(raw) = text.get(token.start as usize..token.end as usize) else { return token };
    if let Some(at) = raw.find(expression.text()) {
        return token.part(at + piece.start, at + piece.end);
    }
    argument(raw, token, expression, &piece).unwrap_or(token)
}

/// The same for a scalar with several parts, which has become a call of `format`.
fn argument(raw: &str, token: Span, expression: &Expression, piece: &Range<usize>) -> Option<Span> {
    let NodeKind::Call { function: Function::Format, arguments, .. } = &expression.root().kind else { return None };
    let index = arguments.iter().position(|node| node.span.start <= piece.start && piece.end <= node.span.end)?;
    let node = arguments.get(index)?;
    let open = raw.match_indices(OPEN).nth(index.checked_sub(1)?)?.0;
    let body = &raw[open + OPEN.len()..];
    let blank = body.len() - body.trim_start().len();
    let start = open + OPEN.len() + blank;
    let same = raw[start..].starts_with(expression.text().get(node.span.clone())?);
    let (from, to) = (piece.start - node.span.start, piece.end - node.span.start);
    Some(if same { token.part(start + from, start + to) } else { token.part(open, open + OPEN.len()) })
}
