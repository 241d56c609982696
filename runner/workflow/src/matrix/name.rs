//! Display names of legs: `test (1, ubuntu)`.

use crate::expression::{Value, utf16_length};

/// Longest display name, in UTF-16 units as GitHub counts.
pub const NAME_LENGTH_MAX: usize = 100;
const CUT: &str = "...";

/// The display name of a leg whose job's name says nothing of its matrix: the name, with the leg's values in brackets.
/// A longer name than [`NAME_LENGTH_MAX`] is cut and ends with `...`.
#[must_use]
pub fn leg_name(job_name: &str, segments: &[String]) -> String {
    let name = if segments.is_empty() { job_name.to_owned() } else { format!("{job_name} ({})", segments.join(", ")) };
    if utf16_length(&name) <= NAME_LENGTH_MAX {
        return name;
    }
    let mut units = 0;
    let fits = |character: &char| {
        units += character.len_utf16();
        units <= NAME_LENGTH_MAX - CUT.len()
    };
    name.chars().take_while(fits).chain(CUT.chars()).collect()
}

/// The texts of every scalar in a value, outside in and left to right; nulls and empty texts are left out.
pub(super) fn segments<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut found = Vec::new();
    values.for_each(|value| collect(value, &mut found));
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            let text = value.to_display_string();
            if !text.is_empty() {
                found.push(text.to_string());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(object) => object.values().for_each(|item| collect(item, found)),
    }
}
