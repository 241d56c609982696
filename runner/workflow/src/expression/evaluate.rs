//! From a tree and a scope to a value.
//!
//! Operands are evaluated from left to right and only when needed, as GitHub does; the tree is at most 50 deep, so
//! recursion is bounded. What it does not do: the functions themselves (`functions`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions>.

use std::cmp::Ordering;
use std::sync::Arc;

use super::compare::{equal, order};
use super::context::Scope;
use super::error::{Cause, ExpressionError};
use super::memory::{Memory, OBJECT_BYTES, POINTER_BYTES, TooLarge, string_bytes};
use super::node::{Comparison, Node, NodeKind};
use super::value::Value;

/// A value, and whether it came out of a `*`: then an index applies to each of its items.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    pub(super) value: Value,
    filtered: bool,
    /// Bytes of what was newly made, where that is a collection.
    bytes: Option<usize>,
}

impl<V: Into<Value>> From<V> for Evaluated {
    fn from(value: V) -> Self {
        Self { value: value.into(), filtered: false, bytes: None }
    }
}

/// One evaluation under way.
pub(super) struct Evaluator<'input> {
    pub(super) scope: &'input dyn Scope,
    pub(super) memory: Memory,
    root: &'input Node,
}

impl<'input> Evaluator<'input> {
    pub(super) const fn new(root: &'input Node, scope: &'input dyn Scope, bytes_max: usize) -> Self {
        Self { scope, memory: Memory::new(bytes_max), root }
    }

    pub(super) fn run(&mut self) -> Result<Value, ExpressionError> {
        self.evaluate(self.root, 0).map(|evaluated| evaluated.value)
    }

    pub(super) fn evaluate(&mut self, node: &Node, level: usize) -> Result<Evaluated, ExpressionError> {
        let below = level + 1;
        let evaluated = match &node.kind {
            NodeKind::Literal(value) => Evaluated::from(value.clone()),
            NodeKind::Context(name) => Evaluated::from(self.scope.context(name).unwrap_or_default()),
            NodeKind::Wildcard => Evaluated::from(Value::Null),
            NodeKind::Index { object, index } => self.index(node, object, index, below)?,
            NodeKind::Call { function, arguments, .. } => self.call(node, *function, arguments, below)?,
            NodeKind::Not(operand) => Evaluated::from(!self.evaluate(operand, below)?.value.is_truthy()),
            NodeKind::Compare { comparison, left, right } => {
                let left = self.evaluate(left, below)?.value;
                let right = self.evaluate(right, below)?.value;
                Evaluated::from(compare(*comparison, &left, &right))
            }
            NodeKind::And(operands) => self.until(operands, below, false)?,
            NodeKind::Or(operands) => self.until(operands, below, true)?,
        };
        let bytes = match &evaluated.value {
            Value::String(text) => string_bytes(text),
            Value::Null | Value::Boolean(_) | Value::Number(_) => OBJECT_BYTES,
            Value::Array(_) | Value::Object(_) => evaluated.bytes.unwrap_or(OBJECT_BYTES),
        };
        let whole = evaluated.value.is_primitive();
        self.memory.add(level, bytes, whole).map_err(|TooLarge| too_large(self.root))?;
        Ok(Evaluated { bytes: None, ..evaluated })
    }

    /// The first operand whose truth is `wanted`, or the last.
    fn until(&mut self, operands: &[Node], level: usize, wanted: bool) -> Result<Evaluated, ExpressionError> {
        let mut result = Evaluated::from(Value::Null);
        for operand in operands {
            result = self.evaluate(operand, level)?;
            if result.value.is_truthy() == wanted {
                break;
            }
        }
        Ok(result)
    }

    fn index(&mut self, node: &Node, object: &Node, index: &Node, level: usize) -> Result<Evaluated, ExpressionError> {
        let object = self.evaluate(object, level)?;
        let wildcard = index.kind == NodeKind::Wildcard;
        if object.value.is_primitive() {
            return Ok(if wildcard { filtered(Vec::new(), OBJECT_BYTES) } else { Evaluated::from(Value::Null) });
        }
        let index = if wildcard { Index::Wildcard } else { Index::new(&self.evaluate(index, level)?.value) };
        if !object.filtered && !wildcard {
            return Ok(Evaluated::from(index.get(&object.value).cloned().unwrap_or_default()));
        }
        let mut items = Vec::new();
        if !object.filtered {
            items.extend(children(&object.value).cloned());
        } else if wildcard {
            items.extend(children(&object.value).flat_map(children).cloned());
        } else {
            items.extend(children(&object.value).filter_map(|item| index.get(item)).cloned());
        }
        let mut counter = self.memory.counter();
        let bytes = OBJECT_BYTES + POINTER_BYTES * items.len();
        counter.add(bytes).map_err(|TooLarge| too_large(node))?;
        Ok(filtered(items, bytes))
    }
}

/// The error for a node whose evaluation takes too much memory.
pub(super) fn too_large(node: &Node) -> ExpressionError {
    let message =
        format!("The maximum allowed memory size was exceeded while evaluating the following expression: {node}");
    ExpressionError::evaluation(Cause::TooLarge, message, node.span.clone())
}

fn filtered(items: Vec<Value>, bytes: usize) -> Evaluated {
    Evaluated { value: Value::from(items), filtered: true, bytes: Some(bytes) }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    match comparison {
        Comparison::Equal => equal(left, right),
        Comparison::NotEqual => !equal(left, right),
        Comparison::Less => order(left, right) == Some(Ordering::Less),
        Comparison::LessOrEqual => equal(left, right) || order(left, right) == Some(Ordering::Less),
        Comparison::Greater => order(left, right) == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => equal(left, right) || order(left, right) == Some(Ordering::Greater),
    }
}

/// What lies right inside a collection; nothing inside anything else.
fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(object) => Box::new(object.values()),
        Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

/// An index, coerced once for both kinds of collection.
enum Index {
    Wildcard,
    At { name: Option<Arc<str>>, position: Option<usize> },
}

impl Index {
    fn new(value: &Value) -> Self {
        let name = value.is_primitive().then(|| value.to_display_string());
        let number = value.to_number().floor();
        let position = (0.0..=f64::from(i32::MAX)).contains(&number).then(|| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range just checked")]
            let position = number as usize;
            position
        });
        Self::At { name, position }
    }

    /// What a collection has there.
    fn get<'value>(&self, collection: &'value Value) -> Option<&'value Value> {
        let Self::At { name, position } = self else { return None };
        match collection {
            Value::Array(items) => items.get((*position)?),
            Value::Object(object) => object.get(name.as_deref()?),
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
}
