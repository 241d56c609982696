//! A value of an expression: the six kinds, their coercions and their truth.
//!
//! Copies are cheap (shared strings, arrays and objects). What it does not do: comparison (`compare`), JSON (`json`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions>.

use std::fmt;
use std::sync::Arc;

use super::number::{format_number, parse_number};
use super::object::Object;

/// A value. Arrays and objects equal each other in an expression only when they are the same allocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`, and what an unknown property gives.
    #[default]
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A 64-bit float, the only kind of number there is.
    Number(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    Array(Arc<Vec<Self>>),
    /// Names to values; names differ by more than case.
    Object(Arc<Object>),
}

/// The kind of a value; its `Display` is the word that GitHub uses (`Null`, `Boolean`, `Number`, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// See [`Value::Null`].
    Null,
    /// See [`Value::Boolean`].
    Boolean,
    /// See [`Value::Number`].
    Number,
    /// See [`Value::String`].
    String,
    /// See [`Value::Array`].
    Array,
    /// See [`Value::Object`].
    Object,
}

impl ValueKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Boolean => "Boolean",
            Self::Number => "Number",
            Self::String => "String",
            Self::Array => "Array",
            Self::Object => "Object",
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Value {
    /// Which of the six it is.
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Null => ValueKind::Null,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::Number(_) => ValueKind::Number,
            Self::String(_) => ValueKind::String,
            Self::Array(_) => ValueKind::Array,
            Self::Object(_) => ValueKind::Object,
        }
    }

    /// Whether a condition of this value holds: all but null, false, zero, NaN and the empty text.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Boolean(boolean) => *boolean,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::String(text) => !text.is_empty(),
            Self::Array(_) | Self::Object(_) => true,
        }
    }

    /// Whether it is anything but an array or an object.
    pub const fn is_primitive(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// The text that it becomes where text is wanted: null is empty, collections give the word `Array` or `Object`.
    pub fn to_display_string(&self) -> Arc<str> {
        match self {
            Self::Null => Arc::from(""),
            Self::Boolean(true) => Arc::from("true"),
            Self::Boolean(false) => Arc::from("false"),
            Self::Number(number) => Arc::from(format_number(*number)),
            Self::String(text) => Arc::clone(text),
            Self::Array(_) | Self::Object(_) => Arc::from(self.kind().name()),
        }
    }

    /// The number that it becomes where a number is wanted; NaN for collections and for text that is no number.
    pub fn to_number(&self) -> f64 {
        match self {
            Self::Null => 0.0,
            Self::Boolean(boolean) => f64::from(u8::from(*boolean)),
            Self::Number(number) => *number,
            Self::String(text) => parse_number(text),
            Self::Array(_) | Self::Object(_) => f64::NAN,
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The value of a property, if it is an object that has it (case ignored).
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object().and_then(|object| object.get(name))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(Arc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(Arc::from(text))
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(Arc::new(items))
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }
}
