//! Values from and to JSON: `fromJSON`, `toJSON`, and the bridge to `serde_json`.
//!
//! `toJSON` indents by two blanks and escapes as GitHub's writer does. What it does not do: the wire forms of
//! `pipe eval` (`wire`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#tojson>.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::lenient;
use super::memory::{Counter, TooLarge};
use super::number::format_number;
use super::object::Object;
use super::value::Value;

/// Integers up to here are exact in a float, and are written without a point.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

impl Value {
    /// The same value; a name that repeats but for case keeps its first spelling and its last value.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(boolean) => Self::Boolean(*boolean),
            serde_json::Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::from(text.as_str()),
            serde_json::Value::Array(items) => items.iter().map(Self::from_json).collect::<Vec<_>>().into(),
            serde_json::Value::Object(entries) => {
                entries.iter().map(|(name, value)| (name.as_str(), Self::from_json(value))).collect::<Object>().into()
            }
        }
    }

    /// The same value. JSON has no NaN and no infinities: they become the texts `NaN`, `Infinity`, `-Infinity`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(boolean) => serde_json::Value::Bool(*boolean),
            Self::Number(number) => number_to_json(*number),
            Self::String(text) => serde_json::Value::String(text.to_string()),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(object) => object.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect(),
        }
    }

    /// What `toJSON(value)` gives.
    pub fn to_pretty_json(&self) -> String {
        let mut counter = Counter::new(usize::MAX);
        pretty(self, &mut counter).unwrap_or_default()
    }

    /// What `fromJSON(text)` gives: JSON, and what GitHub's reader takes beyond it (single quotes, comments, bare names,
    /// trailing commas).
    ///
    /// # Errors
    /// Says what is wrong with the text, and where in it.
    pub fn parse_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).or_else(|error| lenient::parse(text).ok_or_else(|| error.to_string()))
    }
}

fn number_to_json(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() <= INTEGER_MAX {
        // The text of a whole float in this range is its integer; adding zero turns -0 into 0.
        if let Ok(integer) = format!("{:.0}", number + 0.0).parse::<i64>() {
            return serde_json::Value::from(integer);
        }
    }
    serde_json::Number::from_f64(number)
        .map_or_else(|| serde_json::Value::String(format_number(number)), serde_json::Value::Number)
}

/// Reads straight into a [`Value`], without a tree of `serde_json` in between.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Writes what [`Value::to_json`] gives, without a tree of `serde_json` in between.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Number(number) => number_to_json(*number).serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items.iter()),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Boolean(boolean))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are 64-bit floats, and the nearest one is wanted")]
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are 64-bit floats, and the nearest one is wanted")]
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            object.insert(name, value);
        }
        Ok(Value::from(object))
    }
}

/// Writes a value as `toJSON` does, piece by piece against the limit.
pub(super) fn pretty(value: &Value, counter: &mut Counter) -> Result<String, TooLarge> {
    let mut writer = Writer { out: String::new(), counter };
    writer.value(value, 0, "")?;
    Ok(writer.out)
}

struct Writer<'counter> {
    out: String,
    counter: &'counter mut Counter,
}

impl Writer<'_> {
    fn piece(&mut self, text: &str) -> Result<(), TooLarge> {
        self.counter.add_string(text)?;
        self.out.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, level: usize, prefix: &str) -> Result<(), TooLarge> {
        match value {
            Value::Null => self.piece(&format!("{prefix}null")),
            Value::Boolean(_) | Value::Number(_) => self.piece(&format!("{prefix}{}", value.to_display_string())),
            Value::String(text) => self.piece(&format!("{prefix}{}", quoted(text))),
            Value::Array(items) if items.is_empty() => self.piece(&format!("{prefix}[]")),
            Value::Object(object) if object.is_empty() => self.piece(&format!("{prefix}{{}}")),
            Value::Array(items) => {
                self.piece(&format!("{prefix}["))?;
                for (index, item) in items.iter().enumerate() {
                    self.value(item, level + 1, &line_start(index, level + 1))?;
                }
                self.piece(&format!("\n{}]", indent(level)))
            }
            Value::Object(object) => {
                self.piece(&format!("{prefix}{{"))?;
                for (index, (name, value)) in object.iter().enumerate() {
                    self.piece(&format!("{}{}", line_start(index, level + 1), quoted(name)))?;
                    self.value(value, level + 1, ": ")?;
                }
                self.piece(&format!("\n{}}}", indent(level)))
            }
        }
    }
}

fn indent(level: usize) -> String {
    " ".repeat(2 * level)
}

fn line_start(index: usize, level: usize) -> String {
    format!("{}\n{}", if index == 0 { "" } else { "," }, indent(level))
}

/// A text in double quotes, escaped as Newtonsoft's `JsonConvert.ToString` does.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("writing to a string cannot fail");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_json_indents_and_escapes() {
        let object = Object::new()
            .with("a", vec![Value::Number(-0.0), Value::from("x\"\\\n\u{1}\u{2028}é/'")])
            .with("b", Object::new())
            .with("c", Vec::new());
        let expected =
            "{\n  \"a\": [\n    0,\n    \"x\\\"\\\\\\n\\u0001\\u2028é/'\"\n  ],\n  \"b\": {},\n  \"c\": []\n}";
        assert_eq!(Value::from(object).to_pretty_json(), expected);
    }

    #[test]
    fn numbers_survive_the_bridge() {
        for (number, expected) in [(1.0, "1"), (-0.0, "0"), (0.5, "0.5"), (1e300, "1e+300"), (f64::NAN, "\"NaN\"")] {
            assert_eq!(Value::Number(number).to_json().to_string(), expected);
            assert_eq!(serde_json::to_string(&Value::Number(number)).unwrap(), expected);
        }
    }

    #[test]
    fn from_json_keeps_the_first_spelling_and_the_last_value() {
        let value = Value::parse_json(r#"{"a":1,"A":2,"b":[null,true,12345678901234567890]}"#).unwrap();
        assert_eq!(value.to_json().to_string(), r#"{"a":2,"b":[null,true,1.2345678901234567e+19]}"#);
        assert!(Value::parse_json("").is_err());
        assert!(Value::parse_json(&"[".repeat(100_000)).is_err());
    }
}
