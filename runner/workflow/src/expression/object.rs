//! An object of an expression: names to values, in the order of insertion, found whatever their case.
//!
//! The first spelling of a name is kept. What it does not do: JSON (`json`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/contexts>.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};

use super::text::{equal_ignoring_case, hash_ignoring_case};
use super::value::Value;

/// Names to values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    entries: IndexMap<Name, Value>,
}

#[derive(Clone, Debug)]
struct Name(Arc<str>);

struct Lookup<'name>(&'name str);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ignoring_case(&self.0, state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        equal_ignoring_case(&self.0, &other.0)
    }
}

impl Eq for Name {}

impl Hash for Lookup<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ignoring_case(self.0, state);
    }
}

impl Equivalent<Name> for Lookup<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        equal_ignoring_case(self.0, &name.0)
    }
}

impl Object {
    /// An object without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value. A name that is there already keeps its place and spelling; its old value is given back.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: impl Into<Value>) -> Option<Value> {
        self.entries.insert(Name(name.into()), value.into())
    }

    /// The same object with one more value, for building in one expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// The value of a name, case ignored.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.get(&Lookup(name))
    }

    /// Takes an entry out, keeping the order of the others.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.entries.shift_remove(&Lookup(name))
    }

    /// Whether the name is there, case ignored.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(&Lookup(name))
    }

    /// Names (as first spelled) and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.entries.iter().map(|(name, value)| (&name.0, value))
    }

    /// The values, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.entries.values()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<Arc<str>>, V: Into<Value>> FromIterator<(N, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        entries.into_iter().fold(Self::new(), |object, (name, value)| object.with(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_keep_their_first_spelling() {
        let mut object: Object = [("Foo", 1.0), ("bar", 2.0)].into_iter().collect();
        object.insert("FOO", 3.0);
        assert_eq!(object.get("foo"), Some(&Value::Number(3.0)));
        let names: Vec<&str> = object.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["Foo", "bar"]);
        assert_eq!(object.remove("fOO"), Some(Value::Number(3.0)));
        assert_eq!(object.len(), 1);
    }
}
