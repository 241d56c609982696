//! The expression language: what stands between `${{` and `}}`.
//!
//! An [`Expression`] is parsed once against what its place allows ([`Allowed`]) and evaluated as often as needed against
//! a [`Scope`]. Texts of errors are GitHub's, to the letter. What it does not do: find expressions in a scalar (the
//! `template` module does, with [`find_end`]), know which key allows what (`schema`), touch files.
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions>.

mod compare;
mod context;
mod error;
mod evaluate;
mod format;
mod functions;
mod json;
mod lenient;
mod lexer;
mod memory;
mod names;
mod node;
mod number;
mod object;
mod parser;
mod text;
mod value;
pub mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::compare::equal;
pub use self::context::{Allowed, AllowedFunction, Contexts, Function, Scope, Status};
pub use self::error::{Cause, DEPTH_MAX, ErrorKind, ExpressionError, LENGTH_MAX};
pub use self::memory::{EVALUATION_BYTES_MAX, STANDALONE_BYTES_MAX};
pub use self::names::{NamePath, PathEnd};
pub use self::node::{Comparison, Node, NodeKind};
pub use self::object::Object;
pub use self::text::{equal_ignoring_case, utf16_length};
pub use self::value::{Value, ValueKind};

use self::evaluate::Evaluator;

/// A parsed expression. Copies share one tree.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
    root: Arc<Node>,
}

impl Expression {
    /// Parses a text, without `${{` and `}}`. A blank one is the literal null.
    ///
    /// # Errors
    /// The first thing wrong from left to right, as GitHub words it; then nesting beyond [`DEPTH_MAX`]. A text beyond
    /// [`LENGTH_MAX`] is not read at all.
    pub fn parse(text: &str, allowed: &Allowed<'_>) -> Result<Self, ExpressionError> {
        let root = parser::parse(text, allowed)?;
        let root = root.unwrap_or_else(|| Node::new(NodeKind::Literal(Value::Null), 0..text.len()));
        Ok(Self { text: Arc::from(text), root: Arc::new(root) })
    }

    /// Evaluates it with the memory that GitHub gives a workflow's expression, [`EVALUATION_BYTES_MAX`].
    ///
    /// # Errors
    /// What failed on the values, as GitHub words it.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, ExpressionError> {
        self.evaluate_within(scope, EVALUATION_BYTES_MAX)
    }

    /// Evaluates it within a memory limit of estimated bytes.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate_within(&self, scope: &dyn Scope, bytes_max: usize) -> Result<Value, ExpressionError> {
        Evaluator::new(&self.root, scope, bytes_max).run()
    }

    /// The text it was parsed from; all spans are bytes of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The contexts it names, with the constant names after each, from left to right.
    pub fn names(&self) -> impl Iterator<Item = NamePath<'_>> {
        names::names(&self.root)
    }

    /// The functions it calls, with their nodes, from left to right.
    pub fn calls(&self) -> impl Iterator<Item = (Function, &Node)> {
        names::calls(&self.root)
    }

    /// Whether it calls a function of that name, case ignored.
    pub fn uses_function(&self, name: &str) -> bool {
        self.calls().any(|(function, _)| function.name().eq_ignore_ascii_case(name))
    }

    /// Whether it calls `success`, `failure`, `cancelled` or `always`. A condition that does not is meant as
    /// `success() && (condition)`: see [`Expression::into_condition`].
    pub fn has_status_function(&self) -> bool {
        self.calls().any(|(function, _)| function.is_status())
    }

    /// The expression as an `if` means it: unless it calls a status function, `success()` must hold too. A blank one is
    /// `success()`. Text and spans stay as they are.
    #[must_use]
    pub fn into_condition(self) -> Self {
        if self.has_status_function() {
            return self;
        }
        let name = Function::Success.name().into();
        let success = NodeKind::Call { function: Function::Success, name, arguments: Vec::new() };
        let success = Node::new(success, 0..0);
        let root = if self.text.trim().is_empty() {
            success
        } else {
            let condition = Arc::try_unwrap(self.root).unwrap_or_else(|shared| Node::clone(&shared));
            Node::new(NodeKind::And(vec![success, condition]), 0..self.text.len())
        };
        Self { text: self.text, root: Arc::new(root) }
    }
}

/// The byte where the `}}` begins that ends an expression, searching from a byte behind its `${{`. A `}}` between
/// single quotes is text.
pub fn find_end(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for (index, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(index + 1) == Some(&b'}') => return Some(index),
            _ => {}
        }
    }
    None
}
