//! Whether a value is as a schema says: JSON Schema as OpenAPI 3.0 and 3.1 have it.
//! <https://json-schema.org/draft/2020-12/json-schema-validation>
//!
//! What is not known rules nothing out, so that no finding comes of a word that is not understood here.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value as Json;

use super::api::resolved;

/// Schemas in schemas.
const DEPTH_MAX: usize = 64;

/// The first thing that is not as it should be, with its place (a JSON pointer); none if all is.
pub(super) fn mismatch(root: &Json, schema: &Json, value: &Json) -> Option<String> {
    Look { root, depth: 0 }.at(schema, value, "")
}

#[derive(Clone, Copy)]
struct Look<'a> {
    root: &'a Json,
    depth: usize,
}

/// The types that a schema allows; empty: all.
pub(super) fn types(schema: &Json) -> Vec<&str> {
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    if !types.is_empty() && schema.get("nullable") == Some(&Json::Bool(true)) {
        types.push("null");
    }
    types
}

fn is_of(kind: &str, value: &Json) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

impl Look<'_> {
    fn at(self, schema: &Json, value: &Json, place: &str) -> Option<String> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        let look = Self { depth: self.depth + 1, ..self };
        let schema = resolved(self.root, schema);
        let here = if place.is_empty() { "the answer" } else { place };
        if *schema == Json::Bool(false) {
            return Some(format!("{here} may not be there"));
        }
        let kinds = types(schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
            return Some(format!("{here} is {}, not {}", name(value), kinds.join(" or ")));
        }
        if value.is_null() && schema.get("nullable") == Some(&Json::Bool(true)) {
            return None;
        }
        if let Some(Json::Array(allowed)) = schema.get("enum")
            && !allowed.iter().any(|one| is_same(one, value))
        {
            return Some(format!("{here} is none of the values that are allowed"));
        }
        if schema.get("const").is_some_and(|only| !is_same(only, value)) {
            return Some(format!("{here} is another value than the only one that is allowed"));
        }
        let own = match value {
            Json::Object(_) => look.object(schema, value, place),
            Json::Array(items) => look.list(schema, items, place),
            Json::String(text) => string(schema, text).map(|reason| format!("{here} {reason}")),
            Json::Number(_) => number(schema, value).map(|reason| format!("{here} {reason}")),
            Json::Null | Json::Bool(_) => None,
        };
        own.or_else(|| look.combined(schema, value, place))
    }

    fn combined(self, schema: &Json, value: &Json, place: &str) -> Option<String> {
        let list = |key: &str| schema.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(reason) = list("allOf").iter().find_map(|one| self.at(one, value, place)) {
            return Some(reason);
        }
        let here = if place.is_empty() { "the answer" } else { place };
        for key in ["anyOf", "oneOf"] {
            let all = list(key);
            let fitting = all.iter().filter(|one| self.at(one, value, place).is_none()).count();
            if !all.is_empty() && fitting == 0 {
                let first = all.first().and_then(|one| self.at(one, value, place)).unwrap_or_default();
                return Some(format!("{here} fits none of {key}: {first}"));
            }
            if key == "oneOf" && fitting > 1 && schema.get("discriminator").is_none() {
                return Some(format!("{here} fits {fitting} of oneOf"));
            }
        }
        let not = schema.get("not").filter(|not| self.at(not, value, place).is_none());
        not.map(|_| format!("{here} is what `not` rules out"))
    }

    fn object(self, schema: &Json, value: &Json, place: &str) -> Option<String> {
        let object = value.as_object()?;
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        if let Some(missing) = required.filter_map(Json::as_str).find(|key| !object.contains_key(*key)) {
            return Some(format!("{place}/{missing} is missing"));
        }
        let properties = schema.get("properties").and_then(Json::as_object);
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        let more = schema.get("additionalProperties").filter(|_| patterns.is_none());
        for (key, value) in object {
            let place = format!("{place}/{key}");
            let reason = match (properties.and_then(|all| all.get(key)), more) {
                (Some(property), _) => self.at(property, value, &place),
                (None, Some(Json::Bool(false))) => Some(format!("{place} is not described")),
                (None, Some(more)) => self.at(more, value, &place),
                (None, None) => None,
            };
            if reason.is_some() {
                return reason;
            }
        }
        let least = schema.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
        (((object.len()) as u64) < least).then(|| format!("{place} has fewer than {least} properties"))
    }

    fn list(self, schema: &Json, items: &[Json], place: &str) -> Option<String> {
        let here = if place.is_empty() { "the answer" } else { place };
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
        let count = items.len() as u64;
        if let Some(least) = bound("minItems").filter(|least| count < *least) {
            return Some(format!("{here} has {count} items, fewer than {least}"));
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            return Some(format!("{here} has {count} items, more than {most}"));
        }
        if schema.get("uniqueItems") == Some(&Json::Bool(true)) {
            let texts: BTreeSet<String> = items.iter().map(ToString::to_string).collect();
            if texts.len() != items.len() {
                return Some(format!("{here} has an item twice"));
            }
        }
        let first = schema.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
        let each = schema.get("items")?;
        let rest = items.iter().enumerate().skip(first);
        rest.map(|(index, item)| self.at(each, item, &format!("{place}/{index}"))).find(Option::is_some).flatten()
    }
}

/// Numbers are equal by what they mean.
fn is_same(one: &Json, other: &Json) -> bool {
    one == other || matches!((one.as_f64(), other.as_f64()), (Some(a), Some(b)) if (a - b).abs() < f64::EPSILON)
}

/// `None`: a pattern in words of ECMAScript that are not known here.
pub(super) fn pattern(schema: &Json) -> Option<Regex> {
    Regex::new(schema.get("pattern")?.as_str()?).ok()
}

fn string(schema: &Json, text: &str) -> Option<String> {
    let length = text.chars().count() as u64;
    let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
    if let Some(least) = bound("minLength").filter(|least| length < *least) {
        return Some(format!("has {length} characters, fewer than {least}"));
    }
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        return Some(format!("has {length} characters, more than {most}"));
    }
    if pattern(schema).is_some_and(|pattern| !pattern.is_match(text)) {
        return Some("does not match its pattern".to_owned());
    }
    let format = schema.get("format").and_then(Json::as_str)?;
    let is_fine = match format {
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "uuid" => {
            let is_mark = |index| matches!(index, 8 | 13 | 18 | 23);
            let fits = |(index, c): (usize, char)| if is_mark(index) { c == '-' } else { c.is_ascii_hexdigit() };
            text.len() == 36 && text.char_indices().all(fits)
        }
        "email" => text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    };
    (!is_fine).then(|| format!("is no {format}"))
}

fn number(schema: &Json, value: &Json) -> Option<String> {
    let number = value.as_f64()?;
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    // In 3.0 the exclusive bounds are switches of the others, in 3.1 they are bounds themselves.
    let is_open = |key: &str| schema.get(key) == Some(&Json::Bool(true));
    let (least, most) = (bound("minimum"), bound("maximum"));
    if let Some(least) = least.filter(|least| number < *least || (number <= *least && is_open("exclusiveMinimum"))) {
        return Some(format!("is {number}, less than {least} allows"));
    }
    if let Some(most) = most.filter(|most| number > *most || (number >= *most && is_open("exclusiveMaximum"))) {
        return Some(format!("is {number}, more than {most} allows"));
    }
    if let Some(above) = bound("exclusiveMinimum").filter(|above| number <= *above) {
        return Some(format!("is {number}, not more than {above}"));
    }
    if let Some(below) = bound("exclusiveMaximum").filter(|below| number >= *below) {
        return Some(format!("is {number}, not less than {below}"));
    }
    let step = bound("multipleOf").filter(|step| *step > 0.0)?;
    let rest = (number / step - (number / step).round()).abs();
    (rest > 1e-9).then(|| format!("is {number}, no multiple of {step}"))
}
