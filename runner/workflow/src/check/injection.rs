//! Template injection: what a stranger wrote, put into a script before the shell reads it.
//!
//! Follows <https://securitylab.github.com/resources/github-actions-untrusted-input/>. Only values that reach the text are
//! told: `contains(github.event.comment.body, '/go')` gives true or false.

use std::ops::Range;

use super::known::UNTRUSTED;
use super::visit::{Sink, Visit, sites};
use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Expression, Function, Node, NodeKind};

const INJECTION: Code = Code("P0305");

pub(super) fn check(visit: &mut Visit<'_>) {
    for site in sites(visit.workflow).into_iter().filter(|site| site.sink == Sink::Script) {
        for piece in untrusted(site.expression) {
            let name = &site.expression.text()[piece.clone()];
            let span = site.locate(visit.source, piece.clone());
            visit.diagnostics.push(Diagnostic::warning(INJECTION, span, message(name)).help(help(name)));
        }
    }
}

/// What is wrong with it.
pub(super) fn message(name: &str) -> String {
    format!("`{name}` is written by strangers and becomes part of the script (script injection)")
}

/// The same without it.
pub(super) fn help(name: &str) -> String {
    let last = name.rsplit(['.', '(']).next().unwrap_or(name).trim_end_matches(')');
    let variable = last.to_ascii_uppercase().replace(['-', '\'', ']'], "_");
    format!("pass it through `env:` (`{variable}: ${{{{ {name} }}}}`) and use \"${variable}\" in the script")
}

/// The pieces of an expression that a stranger wrote, and whose text reaches the result.
pub(super) fn untrusted(expression: &Expression) -> Vec<Range<usize>> {
    let text = expression.text();
    let pieces = expression.names().filter_map(|path| {
        let (start, piece) = (path.span.start, whole(text, path.span));
        let piece = if is_untrusted(&text[piece.clone()]) { piece } else { in_json(expression, &piece)? };
        Some((start, piece))
    });
    let pieces: Vec<_> = pieces.collect();
    if pieces.is_empty() {
        return Vec::new();
    }
    let reaching = reaching(expression);
    let reaches = |start: usize| reaching.iter().any(|span| span.contains(&start));
    pieces.into_iter().filter(|(start, _)| reaches(*start)).map(|(_, piece)| piece).collect()
}

/// The bytes of an expression's parts whose values reach the result.
pub(super) fn reaching(expression: &Expression) -> Vec<Range<usize>> {
    let mut reaching = Vec::new();
    collect(expression.root(), &mut reaching);
    reaching
}

/// A path with what follows it behind `*` or an index.
fn whole(text: &str, span: Range<usize>) -> Range<usize> {
    let rest = text.get(span.end..).unwrap_or_default();
    let more = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".*[]'_-".contains(c))).unwrap_or(rest.len());
    let goes_on = rest.starts_with(['.', '[']);
    span.start..if goes_on { span.end + more } else { span.end }
}

/// `toJSON(github.event)`: what a stranger wrote is in there too.
fn in_json(expression: &Expression, piece: &Range<usize>) -> Option<Range<usize>> {
    let name = expression.text()[piece.clone()].to_ascii_lowercase();
    let below = name.strip_prefix("github").filter(|below| below.is_empty() || below.starts_with('.'))?;
    let below = format!("{}.", below.trim_start_matches('.'));
    if below != "." && !UNTRUSTED.iter().any(|untrusted| untrusted.starts_with(&below)) {
        return None;
    }
    let is_of_it = |node: &Node| {
        let NodeKind::Call { arguments, .. } = &node.kind else { return false };
        arguments.iter().any(|argument| argument.span == *piece)
    };
    let call = expression.calls().find(|(function, node)| *function == Function::ToJson && is_of_it(node));
    call.map(|(_, node)| node.span.clone())
}

fn is_untrusted(path: &str) -> bool {
    let name = path.to_ascii_lowercase().replace("['", ".").replace("']", "");
    let Some(name) = name.strip_prefix("github.") else { return false };
    UNTRUSTED.iter().any(|untrusted| {
        name == *untrusted
            || (matches!(*untrusted, "event.commits" | "event.pages")
                && name.starts_with(untrusted)
                && [".message", ".name", ".email", ".page_name"].iter().any(|end| name.ends_with(end)))
    })
}

/// The bytes of nodes whose value reaches the result.
fn collect(node: &Node, reaching: &mut Vec<Range<usize>>) {
    match &node.kind {
        NodeKind::Context(_) | NodeKind::Index { .. } => reaching.push(node.span.clone()),
        // Of those before the last one only what is false comes through: no text that could do harm.
        NodeKind::And(operands) => operands.last().into_iter().for_each(|last| collect(last, reaching)),
        NodeKind::Or(operands) => operands.iter().for_each(|operand| collect(operand, reaching)),
        NodeKind::Call { function, arguments, .. } => match function {
            Function::Format | Function::Join | Function::ToJson | Function::FromJson | Function::Case => {
                arguments.iter().for_each(|argument| collect(argument, reaching));
            }
            Function::Contains
            | Function::StartsWith
            | Function::EndsWith
            | Function::Always
            | Function::Cancelled
            | Function::Failure
            | Function::Success
            | Function::HashFiles => {}
        },
        NodeKind::Literal(_) | NodeKind::Wildcard | NodeKind::Not(_) | NodeKind::Compare { .. } => {}
    }
}
