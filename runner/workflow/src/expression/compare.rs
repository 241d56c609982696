//! Equality and order of two values, with GitHub's coercions.
//!
//! Like JavaScript's `==`, but text ignores case and collections are never coerced: they equal only themselves.
//! What it does not do: the operators' evaluation order (`evaluate`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#operators>.

use std::cmp::Ordering;
use std::sync::Arc;

use super::text::{compare_ignoring_case, equal_ignoring_case};
use super::value::Value;

/// Whether `left == right` in an expression.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(left), Value::Boolean(right)) => left == right,
        (Value::String(left), Value::String(right)) => equal_ignoring_case(left, right),
        (Value::Array(left), Value::Array(right)) => Arc::ptr_eq(left, right),
        (Value::Object(left), Value::Object(right)) => Arc::ptr_eq(left, right),
        // A collection against another kind is compared as NaN, which equals nothing.
        (_, _) => left.to_number() == right.to_number(),
    }
}

/// How `left` stands to `right`; none where neither is less (NaN, null with null, collections).
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => None,
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(compare_ignoring_case(left, right)),
        (_, _) => left.to_number().partial_cmp(&right.to_number()),
    }
}
