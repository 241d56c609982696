//! Which legs are asked for: `pipe run --matrix KEY:VALUE`.

use serde_json::{Map, Value as Json};

use crate::expression::Value;

/// Whether a leg with these values of its matrix is among those that are asked for, by keys and values: each of its keys
/// that is asked for has one of the values. A leg without such a key is, and so is a job without a matrix.
#[must_use]
pub fn is_picked(leg: Option<&Map<String, Json>>, wanted: &[(String, String)]) -> bool {
    wanted.iter().all(|(key, _)| {
        let Some(value) = leg.and_then(|leg| leg.get(key.as_str())) else { return true };
        let text = Value::from_json(value).to_display_string();
        wanted.iter().any(|(other, wanted)| other == key && *wanted == *text)
    })
}
