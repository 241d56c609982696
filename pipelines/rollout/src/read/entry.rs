//! YAML as a tree of keys whose values are read one by one; what nobody asked for is a mistake.

use serde_yaml::{Mapping, Value};
use workflow::diagnostic::suggest;

use super::Reader;

/// Input texts are at most this long.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Reads YAML; `None` if it is none, or nothing is written.
pub(super) fn yaml(reader: &mut Reader, place: &str, text: &str) -> Option<Value> {
    if text.len() > TEXT_BYTES_MAX {
        reader.wrong(place, format!("longer than {} KiB", TEXT_BYTES_MAX / 1024));
        return None;
    }
    match serde_yaml::from_str(text) {
        Ok(Value::Null) => None,
        Ok(value) => Some(value),
        Err(error) => {
            reader.wrong(place, format!("not YAML: {error}"));
            None
        }
    }
}

/// "unknown …, did you mean …".
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match suggest(word, known.iter().copied()) {
        Some(meant) => format!("unknown {what} `{word}`, did you mean `{meant}`?"),
        None => format!("unknown {what} `{word}`; it may be {list}"),
    }
}

/// How people call a value.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("`{value}`"),
        Value::String(value) => format!("`{}`", value.chars().take(60).collect::<String>()),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(tagged) => format!("`{}`", tagged.tag),
    }
}

/// A mapping whose keys are known.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) place: String,
    map: &'a Mapping,
}

impl<'a> Entry<'a> {
    /// One with these keys and no others.
    pub(super) fn new(
        reader: &mut Reader,
        place: String,
        value: &'a Value,
        keys: &[&str],
        example: &str,
    ) -> Option<Self> {
        let Value::Mapping(map) = value else {
            reader.wrong(place, format!("{} where keys were expected; write it like `{example}`", kind(value)));
            return None;
        };
        for key in map.keys() {
            match key {
                Value::String(key) if keys.contains(&key.as_str()) => {}
                Value::String(key) => reader.wrong_key(&place, key, unknown("key", key, keys)),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Sequence(_)
                | Value::Mapping(_)
                | Value::Tagged(_) => reader.wrong(&place, format!("{} is no key", kind(key))),
            }
        }
        Some(Self { place, map })
    }

    /// Where a key of it is.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn flag(&self, reader: &mut Reader, key: &str) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(Value::String(word)) if word == "true" || word == "false" => word == "true",
            Some(other) => {
                reader.wrong(self.at(key), format!("{} is neither `true` nor `false`", kind(other)));
                false
            }
        }
    }

    pub(super) fn duration(&self, reader: &mut Reader, key: &str) -> Option<jiff::SignedDuration> {
        let value = self.get(key)?;
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => kind(value),
        };
        match super::duration(&text) {
            Ok(duration) => Some(duration),
            Err(words) => {
                reader.wrong(self.at(key), words);
                None
            }
        }
    }

    /// A number, also one that is written as a text.
    pub(super) fn number(&self, key: &str) -> Option<Result<f64, String>> {
        let value = self.get(key)?;
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().trim_end_matches('%').trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
        };
        Some(number.filter(|number| number.is_finite()).ok_or_else(|| format!("{} is not a number", kind(value))))
    }
}
