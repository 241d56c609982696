//! `if:` that is always true, and comparisons that can never hold.

use super::lines;
use super::structure::is_event;
use super::visit::{Sink, Visit, sites};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::expression::{Comparison, Function, Node, NodeKind, Value};
use crate::schema::Schema;

const ALWAYS_TRUE: Code = Code("P0301");
const NEVER_EQUAL: Code = Code("P0217");

pub(super) fn check(visit: &mut Visit<'_>) {
    for site in sites(visit.workflow) {
        if site.sink == Sink::Condition {
            let raw = lines::raw(visit.source, site.span);
            if raw.contains("${{") && is_joined(site.expression.root()) {
                let message =
                    "this condition is always true: it is a text, because something stands outside of `${{ }}`";
                let help = if raw.starts_with(['|', '>'])
                    && raw.trim_end().ends_with("}}")
                    && raw.matches("${{").count() == 1
                {
                    "write the condition on one line, or without `${{ }}`: the line break at the end of the block belongs to the text"
                } else {
                    "put the whole condition into one `${{ … }}`, or leave the braces away"
                };
                visit.diagnostics.push(Diagnostic::warning(ALWAYS_TRUE, site.span, message).help(help));
                continue;
            }
        }
        for node in site.expression.root().walk() {
            if let Some((piece, message, help)) = never_equal(node) {
                let span = site.locate(visit.source, piece);
                visit.diagnostics.push(Diagnostic::warning(NEVER_EQUAL, span, message).help(help));
            }
        }
    }
}

/// Whether it is texts and expressions side by side, which have become a call of `format`; a condition has `success()`
/// before it.
fn is_joined(root: &Node) -> bool {
    match &root.kind {
        NodeKind::Call { function, .. } => *function == Function::Format,
        NodeKind::And(operands) => match operands.as_slice() {
            [first, second] => first.span.is_empty() && is_joined(second),
            _ => false,
        },
        NodeKind::Literal(_)
        | NodeKind::Context(_)
        | NodeKind::Wildcard
        | NodeKind::Index { .. }
        | NodeKind::Not(_)
        | NodeKind::Compare { .. }
        | NodeKind::Or(_) => false,
    }
}

type Finding = (std::ops::Range<usize>, String, String);

fn never_equal(node: &Node) -> Option<Finding> {
    let NodeKind::Compare { comparison: Comparison::Equal | Comparison::NotEqual, left, right } = &node.kind else {
        return None;
    };
    let (name, literal) = match (&left.kind, &right.kind) {
        (_, NodeKind::Literal(Value::String(text))) => (left, (right, text)),
        (NodeKind::Literal(Value::String(text)), _) => (right, (left, text)),
        (_, _) => return None,
    };
    let (literal, text) = literal;
    match name.to_string().to_ascii_lowercase().as_str() {
        "github.event_name" if !is_event(text) && !text.is_empty() => {
            let near = suggest(text, Schema::workflow().events().iter().map(|event| event.name))?;
            let message = format!("there is no event `{text}`");
            Some((literal.span.clone(), message, format!("did you mean `{near}`?")))
        }
        "github.ref" if !text.is_empty() && !text.to_ascii_lowercase().starts_with("refs/") => {
            let message = format!("`github.ref` is never `{text}`: it begins with `refs/`");
            let help = format!("compare with `refs/heads/{text}`, or compare `github.ref_name`");
            Some((literal.span.clone(), message, help))
        }
        _ => None,
    }
}
