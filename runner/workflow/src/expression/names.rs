//! Which contexts and functions an expression names: for analyses that ask before anything is evaluated.
//!
//! What it does not do: judge them.
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/contexts>.

use std::ops::Range;

use super::context::Function;
use super::node::{Node, NodeKind};
use super::value::Value;

/// A context and the constant names after it: `secrets.TOKEN` and `secrets['TOKEN']` are both `["secrets", "TOKEN"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePath<'expression> {
    /// As spelled; never empty.
    pub parts: Vec<&'expression str>,
    /// How it goes on.
    pub end: PathEnd,
    /// The bytes of the parts.
    pub span: Range<usize>,
}

/// How a path goes on after its constant names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// Not at all: the value itself is used.
    Whole,
    /// With `*`.
    Wildcard,
    /// With an index known only when evaluated.
    Computed,
}

/// Every path, from left to right.
pub(super) fn names(root: &Node) -> impl Iterator<Item = NamePath<'_>> {
    let mut pending = vec![root];
    std::iter::from_fn(move || {
        loop {
            let node = pending.pop()?;
            let mut links = Vec::new();
            let mut base = node;
            while let NodeKind::Index { object, index } = &base.kind {
                links.push((base, &**index));
                base = object;
            }
            if let NodeKind::Context(name) = &base.kind {
                links.reverse();
                pending.extend(links.iter().rev().map(|(_, index)| *index));
                return Some(path(name, base, &links));
            }
            let at = pending.len();
            pending.extend(node.children());
            pending[at..].reverse();
        }
    })
}

fn path<'expression>(
    name: &'expression str,
    base: &'expression Node,
    links: &[(&'expression Node, &'expression Node)],
) -> NamePath<'expression> {
    let mut path = NamePath { parts: vec![name], end: PathEnd::Whole, span: base.span.clone() };
    for (node, index) in links {
        match &index.kind {
            NodeKind::Literal(Value::String(name)) => {
                path.parts.push(name);
                path.span = node.span.clone();
            }
            NodeKind::Wildcard => {
                path.end = PathEnd::Wildcard;
                break;
            }
            NodeKind::Literal(_)
            | NodeKind::Context(_)
            | NodeKind::Index { .. }
            | NodeKind::Call { .. }
            | NodeKind::Not(_)
            | NodeKind::Compare { .. }
            | NodeKind::And(_)
            | NodeKind::Or(_) => {
                path.end = PathEnd::Computed;
                break;
            }
        }
    }
    path
}

/// Every call, from left to right, with its node.
pub(super) fn calls(root: &Node) -> impl Iterator<Item = (Function, &Node)> {
    root.walk().filter_map(|node| {
        if let NodeKind::Call { function, .. } = &node.kind { Some((*function, node)) } else { None }
    })
}
