//! One entry of `include` or `exclude` against a combination: each scalar in it must equal what stands there.

use crate::expression::{Object, Value, equal};

/// The scalars of an entry, each with the way to it.
#[derive(Debug, Default)]
pub(super) struct Filter {
    leaves: Vec<(Vec<Key>, Value)>,
}

#[derive(Debug, Clone)]
enum Key {
    Name(std::sync::Arc<str>),
    Index(usize),
}

impl Filter {
    /// The filter of some pairs.
    pub(super) fn new(entry: &Object) -> Self {
        let mut filter = Self::default();
        for (name, value) in entry.iter() {
            filter.add(vec![Key::Name(name.clone())], value);
        }
        filter
    }

    fn add(&mut self, path: Vec<Key>, value: &Value) {
        let below = |key: Key| path.iter().cloned().chain([key]).collect();
        match value {
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
                self.leaves.push((path, value.clone()));
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(below(Key::Index(index)), item);
                }
            }
            Value::Object(object) => {
                for (name, item) in object.iter() {
                    self.add(below(Key::Name(name.clone())), item);
                }
            }
        }
    }

    /// Whether every scalar of the entry equals (as `==` of an expression) what the combination has at its place.
    /// Further values of the combination do not matter.
    pub(super) fn matches(&self, combination: &Object) -> bool {
        self.leaves.iter().all(|(path, expected)| {
            let mut keys = path.iter();
            let mut at = match keys.next() {
                Some(Key::Name(name)) => combination.get(name),
                Some(Key::Index(_)) | None => None,
            };
            for key in keys {
                at = at.and_then(|value| look(value, key));
            }
            equal(at.unwrap_or(&Value::Null), expected)
        })
    }
}

/// As an index of an expression: arrays by number, also by text that is one; objects by name, also by a number's text.
fn look<'value>(value: &'value Value, key: &Key) -> Option<&'value Value> {
    match (value, key) {
        (Value::Array(items), Key::Index(index)) => items.get(*index),
        (Value::Array(items), Key::Name(name)) => items.get(name.trim().parse::<usize>().ok()?),
        (Value::Object(object), Key::Name(name)) => object.get(name),
        (Value::Object(object), Key::Index(index)) => object.get(&index.to_string()),
        (Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_), _) => None,
    }
}
