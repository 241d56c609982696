//! Template injection: what a stranger wrote, put into a script before the shell reads it.
//!
//! Follows <https://securitylab.github.com/resources/github-actions-untrusted-input/>. Only values that reach the text are
//! told: `contains(github.event.comment.body, '/go')` gives true or false.

use super::known::UNTRUSTED;
use super::visit::{Sink, Visit, sites};
use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Function, Node, NodeKind};

const INJECTION: Code = Code("P0305");

pub(super) fn check(visit: &mut Visit<'_>) {
    for site in sites(visit.workflow) {
        if site.sink != Sink::Script || !site.expression.names().any(|path| is_untrusted(&path.parts)) {
            continue;
        }
        let mut reaching = Vec::new();
        collect(site.expression.root(), &mut reaching);
        for path in site.expression.names().filter(|path| is_untrusted(&path.parts)) {
            let reaches = reaching.iter().any(|span| span.start <= path.span.start && path.span.end <= span.end);
            if !reaches {
                continue;
            }
            let name = path.parts.join(".");
            let span = site.locate(visit.source, path.span.clone());
            let message = format!("`{name}` is written by strangers and becomes part of the script (script injection)");
            let variable = path.parts.last().copied().unwrap_or("value").to_ascii_uppercase().replace('-', "_");
            let help = format!(
                "pass it through `env:` (`{variable}: ${{{{ {name} }}}}`) and use \"${variable}\" in the script"
            );
            visit.diagnostics.push(Diagnostic::warning(INJECTION, span, message).help(help));
        }
    }
}

fn is_untrusted(parts: &[&str]) -> bool {
    let [context, rest @ ..] = parts else { return false };
    if !context.eq_ignore_ascii_case("github") || rest.is_empty() {
        return false;
    }
    let name = rest.join(".").to_ascii_lowercase();
    UNTRUSTED.iter().any(|untrusted| {
        name == *untrusted
            || (matches!(*untrusted, "event.commits" | "event.pages")
                && name.starts_with(untrusted)
                && ["message", "name", "email", "page_name"].iter().any(|end| name.ends_with(end)))
    })
}

/// The bytes of nodes whose value reaches the result.
fn collect(node: &Node, reaching: &mut Vec<std::ops::Range<usize>>) {
    match &node.kind {
        NodeKind::Context(_) | NodeKind::Index { .. } => reaching.push(node.span.clone()),
        NodeKind::And(operands) | NodeKind::Or(operands) => {
            operands.iter().for_each(|operand| collect(operand, reaching));
        }
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
