//! The tree of a parsed expression, with the bytes each node came from.
//!
//! `Display` writes it back in the canonical form that GitHub's memory errors quote. What it does not do: evaluate.
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions>.

use std::fmt;
use std::ops::Range;

use super::context::Function;
use super::lexer::is_keyword;
use super::value::Value;

/// A node and its bytes in the expression's text (brackets around it included).
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it is.
    pub span: Range<usize>,
    /// Levels from here down, itself included.
    pub(super) depth: usize,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// A constant, or the name after a dot.
    Literal(Value),
    /// `github`, `secrets` and so on, as spelled.
    Context(Box<str>),
    /// `*` as an index.
    Wildcard,
    /// `object.name`, `object['name']`, `object.*`.
    Index {
        /// What is looked into.
        object: Box<Node>,
        /// What is looked for.
        index: Box<Node>,
    },
    /// A function with its arguments.
    Call {
        /// Which.
        function: Function,
        /// As spelled.
        name: Box<str>,
        /// In order.
        arguments: Vec<Node>,
    },
    /// `!operand`
    Not(Box<Node>),
    /// `left == right` and the other comparisons.
    Compare {
        /// Which comparison.
        comparison: Comparison,
        /// Left of the sign.
        left: Box<Node>,
        /// Right of the sign.
        right: Box<Node>,
    },
    /// Two or more operands of `&&`.
    And(Vec<Node>),
    /// Two or more operands of `||`.
    Or(Vec<Node>),
}

/// A comparing operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// An operator with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Higher binds tighter.
    pub(super) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 5,
            Self::And => 6,
            Self::Equal | Self::NotEqual => 10,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => 11,
        }
    }
}

impl Comparison {
    /// The sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Node {
    /// A node one level above its children.
    pub(super) fn new(kind: NodeKind, span: Range<usize>) -> Self {
        let mut node = Self { kind, span, depth: 1 };
        node.depth = 1 + node.children().map(|child| child.depth).max().unwrap_or(0);
        node
    }

    /// The nodes right below, in the order of evaluation.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (pair, list): ([Option<&Self>; 2], &[Self]) = match &self.kind {
            NodeKind::Literal(_) | NodeKind::Context(_) | NodeKind::Wildcard => ([None, None], &[]),
            NodeKind::Index { object, index } => ([Some(object), Some(index)], &[]),
            NodeKind::Not(operand) => ([Some(operand), None], &[]),
            NodeKind::Compare { left, right, .. } => ([Some(left), Some(right)], &[]),
            NodeKind::Call { arguments, .. } => ([None, None], arguments),
            NodeKind::And(operands) | NodeKind::Or(operands) => ([None, None], operands),
        };
        pair.into_iter().flatten().chain(list)
    }

    /// This node and all below, parents first, from left to right.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut pending = vec![self];
        std::iter::from_fn(move || {
            let node = pending.pop()?;
            let at = pending.len();
            pending.extend(node.children());
            pending[at..].reverse();
            Some(node)
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Literal(Value::Null) => formatter.write_str("null"),
            NodeKind::Literal(Value::String(text)) => write!(formatter, "'{}'", text.replace('\'', "''")),
            NodeKind::Literal(value) => formatter.write_str(&value.to_display_string()),
            NodeKind::Context(name) => formatter.write_str(name),
            NodeKind::Wildcard => formatter.write_str("*"),
            NodeKind::Index { object, index } => match &index.kind {
                NodeKind::Wildcard => write!(formatter, "{object}.*"),
                NodeKind::Literal(Value::String(name)) if is_keyword(name) => write!(formatter, "{object}.{name}"),
                NodeKind::Literal(_)
                | NodeKind::Context(_)
                | NodeKind::Index { .. }
                | NodeKind::Call { .. }
                | NodeKind::Not(_)
                | NodeKind::Compare { .. }
                | NodeKind::And(_)
                | NodeKind::Or(_) => write!(formatter, "{object}[{index}]"),
            },
            NodeKind::Call { name, arguments, .. } => {
                write!(formatter, "{name}(")?;
                separated(formatter, arguments, ", ")?;
                formatter.write_str(")")
            }
            NodeKind::Not(operand) => write!(formatter, "!{operand}"),
            NodeKind::Compare { comparison, left, right } => {
                write!(formatter, "({left} {} {right})", comparison.sign())
            }
            NodeKind::And(operands) => {
                formatter.write_str("(")?;
                separated(formatter, operands, " && ")?;
                formatter.write_str(")")
            }
            NodeKind::Or(operands) => {
                formatter.write_str("(")?;
                separated(formatter, operands, " || ")?;
                formatter.write_str(")")
            }
        }
    }
}

fn separated(formatter: &mut fmt::Formatter<'_>, nodes: &[Node], separator: &str) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            formatter.write_str(separator)?;
        }
        write!(formatter, "{node}")?;
    }
    Ok(())
}
