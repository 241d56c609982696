//! Reading what calls bring and writing what they get, the same for all protocols: JSON values with AWS's member names.
//! Numbers and flags of the query protocol come as text, so readers take both; points in time are written as one marked
//! value, which each protocol writes in its own way.

use serde_json::{Map, Value, json};

use crate::error::AwsError;

/// A point in time of the virtual clock, in milliseconds since 1970.
pub(crate) type Time = i64;
/// A second of it.
pub(crate) const SECOND: Time = 1_000;
/// A minute of it.
pub(crate) const MINUTE: Time = 60 * SECOND;
/// The member that marks a point in time.
pub(crate) const TIME_MARK: &str = "$time";

/// A point in time, for answers.
pub(crate) fn stamp(at: Time) -> Value {
    json!({ TIME_MARK: at })
}

/// A point in time that may not have come.
pub(crate) fn stamp_if(at: Option<Time>) -> Value {
    at.map_or(Value::Null, stamp)
}

/// The time that a marked value stands for.
pub(crate) fn stamped(value: &Value) -> Option<Time> {
    let object = value.as_object()?;
    if object.len() == 1 { object.get(TIME_MARK)?.as_i64() } else { None }
}

/// ISO 8601, as XML has it.
pub(crate) fn iso(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.3}"))
}

/// Without members that are null, all the way down: AWS leaves out what is not there.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// Of `from`, these members as they are.
pub(crate) fn echo(from: &Value, keys: &[&str]) -> Map<String, Value> {
    keys.iter().filter_map(|key| Some(((*key).to_owned(), from.get(*key)?.clone()))).collect()
}

/// Puts the members of `over` over those of `base`.
pub(crate) fn over(base: &mut Value, over: &Value, keys: &[&str]) {
    if let Some(base) = base.as_object_mut() {
        base.extend(echo(over, keys));
    }
}

/// Members of what a call brings.
pub(crate) trait Input {
    /// A text that is there.
    fn text(&self, key: &str) -> Option<&str>;
    /// A text that has to be there.
    fn need(&self, key: &str) -> Result<&str, AwsError>;
    /// A whole number.
    fn int(&self, key: &str) -> Option<i64>;
    /// Any number.
    fn number(&self, key: &str) -> Option<f64>;
    /// True or false.
    fn flag(&self, key: &str) -> Option<bool>;
    /// The items of a list; none if it is not there.
    fn items(&self, key: &str) -> &[Value];
    /// The texts of a list.
    fn texts(&self, key: &str) -> Vec<String>;
    /// A point in time.
    fn time(&self, key: &str) -> Option<Time>;
}

impl Input for Value {
    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn need(&self, key: &str) -> Result<&str, AwsError> {
        self.text(key).ok_or_else(|| AwsError::invalid(format!("{key} is missing")))
    }

    fn int(&self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    fn number(&self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        value.as_bool().or_else(|| value.as_str()?.parse().ok())
    }

    fn items(&self, key: &str) -> &[Value] {
        self.get(key).and_then(Self::as_array).map_or(&[], Vec::as_slice)
    }

    fn texts(&self, key: &str) -> Vec<String> {
        self.items(key).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    fn time(&self, key: &str) -> Option<Time> {
        let value = self.get(key)?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for millions of years")]
        let from_seconds = |seconds: f64| (seconds * 1_000.0).round() as Time;
        if let Some(seconds) = value.as_f64() {
            return Some(from_seconds(seconds));
        }
        let text = value.as_str()?;
        let parsed = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
        parsed.or_else(|| text.parse::<f64>().ok().map(from_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_in_the_form_of_each_protocol() {
        let value = json!({ "a": 5, "b": "5", "c": true, "d": "true", "e": 1.5, "f": "2026-01-02T03:04:05Z", "g": "" });
        assert_eq!((value.int("a"), value.int("b"), value.int("x")), (Some(5), Some(5), None));
        assert_eq!((value.flag("c"), value.flag("d")), (Some(true), Some(true)));
        assert_eq!((value.number("e"), value.time("e")), (Some(1.5), Some(1_500)));
        assert_eq!(value.time("f"), Some(1_767_323_045_000));
        assert_eq!(value.need("g").unwrap_err().message, "g is missing");
        assert_eq!(iso(1_767_323_045_000), "2026-01-02T03:04:05.000Z");
    }

    #[test]
    fn nothing_is_said_of_what_is_not_there() {
        assert_eq!(without_nulls(json!({ "a": null, "b": [{ "c": null, "d": 1 }] })), json!({ "b": [{ "d": 1 }] }));
    }
}
