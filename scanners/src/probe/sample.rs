//! Values that a schema allows, and values that it rules out. The same schema gives the same values each time.

use serde_json::{Map, Value as Json, json};

use super::api::resolved;
use super::{pattern, schema};

/// Schemas in schemas: deeper ones are left out where they may be.
const DEPTH_MAX: usize = 12;
/// Items of a list that has to have many.
const ITEMS_MAX: u64 = 64;
/// A text that has to be long.
const CHARACTERS_MAX: u64 = 4_096;

/// A value that a schema allows; none where none was found.
pub(super) fn valid(root: &Json, schema: &Json) -> Option<Json> {
    let value = value(root, schema, 0)?;
    schema::mismatch(root, schema, &value).is_none().then_some(value)
}

fn value(root: &Json, schema: &Json, depth: usize) -> Option<Json> {
    if depth > DEPTH_MAX {
        return None;
    }
    let schema = resolved(root, schema);
    let first = |key: &str| schema.get(key).and_then(Json::as_array).and_then(|all| all.first());
    for given in [schema.get("example"), first("examples"), schema.get("const"), schema.get("default")] {
        if let Some(given) = given.filter(|given| schema::mismatch(root, schema, given).is_none()) {
            return Some(given.clone());
        }
    }
    if let Some(one) = first("enum") {
        return Some(one.clone());
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(all) = schema.get(key).and_then(Json::as_array) {
            // Of a value or nothing the value tells more.
            let is_null = |one: &&Json| schema::types(resolved(root, one)) == ["null"];
            return all.iter().filter(|one| !is_null(one)).find_map(|one| value(root, one, depth + 1));
        }
    }
    if let Some(all) = schema.get("allOf").and_then(Json::as_array) {
        return merged(root, schema, all, depth);
    }
    match kind(schema) {
        "object" => object(root, schema, depth),
        "array" => {
            let count = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0).min(ITEMS_MAX);
            let items = schema.get("items").unwrap_or(&Json::Null);
            (0..count).map(|_| value(root, items, depth + 1)).collect::<Option<Vec<_>>>().map(Json::Array)
        }
        "integer" | "number" => number(schema),
        "boolean" => Some(json!(true)),
        "null" => Some(Json::Null),
        _ => string(schema).map(Json::String),
    }
}

/// The type that is made of a schema.
fn kind(schema: &Json) -> &str {
    let first = schema::types(schema).into_iter().find(|kind| *kind != "null");
    first.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" })
}

fn object(root: &Json, schema: &Json, depth: usize) -> Option<Json> {
    let mut made = Map::new();
    let required: Vec<&str> =
        schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let properties = schema.get("properties").and_then(Json::as_object);
    for (name, property) in properties.into_iter().flatten() {
        // What only answers have is not sent.
        if !required.contains(&name.as_str()) || resolved(root, property).get("readOnly") == Some(&Json::Bool(true)) {
            continue;
        }
        made.insert(name.clone(), value(root, property, depth + 1)?);
    }
    Some(Json::Object(made))
}

fn merged(root: &Json, schema: &Json, all: &[Json], depth: usize) -> Option<Json> {
    let mut made = Map::new();
    if let Json::Object(own) = object(root, schema, depth)? {
        made.extend(own);
    }
    for one in all {
        let value = value(root, one, depth + 1)?;
        if let Json::Object(part) = value {
            made.extend(part);
        } else {
            return made.is_empty().then_some(value);
        }
    }
    Some(Json::Object(made))
}

fn number(schema: &Json) -> Option<Json> {
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    let is_whole = kind(schema) == "integer";
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
    let least = bound("exclusiveMinimum").or(bound("minimum"));
    let most = bound("exclusiveMaximum").or(bound("maximum"));
    let candidates = [
        1.0,
        least.map_or(1.0, |least| (least / step).ceil() * step),
        least.map_or(1.0, |least| ((least / step).floor() + 1.0) * step),
        most.map_or(1.0, |most| (most / step).floor() * step),
        most.map_or(1.0, |most| ((most / step).ceil() - 1.0) * step),
        least.zip(most).map_or(0.5, |(least, most)| f64::midpoint(least, most)),
        step,
    ];
    let made = |number: f64| if is_whole { json!(number as i64) } else { json!(number) };
    candidates.into_iter().map(made).find(|value| schema::mismatch(&Json::Null, schema, value).is_none())
}

fn string(schema: &Json) -> Option<String> {
    let by_format = match schema.get("format").and_then(Json::as_str) {
        Some("date") => "2026-01-31",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("uuid") => "6f1ed002-ab55-4b8f-8f2e-7f1b3a1c9d10",
        Some("email") => "probe@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("byte") => "cGlwZQ==",
        Some(_) | None => "",
    };
    if !by_format.is_empty() {
        return Some(by_format.to_owned());
    }
    if let Some(text) = schema.get("pattern").and_then(Json::as_str) {
        return pattern::text(text);
    }
    let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
    let (least, most) = (bound("minLength").unwrap_or(0), bound("maxLength").unwrap_or(u64::MAX));
    let mut text: String = "probe".chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
    while (text.len() as u64) < least.min(CHARACTERS_MAX) {
        text.push('x');
    }
    Some(text)
}

/// As it stands in a path or query.
pub(super) fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Json::Null => String::new(),
        other @ (Json::Bool(_) | Json::Number(_) | Json::Object(_)) => other.to_string(),
    }
}

/// Texts that a schema rules out, each with what it is.
pub(super) fn wrong(root: &Json, schema: &Json) -> Vec<(String, String)> {
    let schema = resolved(root, schema);
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |text: String, what: &str| found.push((text, what.to_owned()));
    if ["oneOf", "anyOf", "allOf", "not"].iter().any(|key| schema.get(key).is_some()) {
        return found;
    }
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    let count = |key: &str| schema.get(key).and_then(Json::as_u64).filter(|count| *count < CHARACTERS_MAX);
    if schema.get("enum").is_some() {
        add("pipe-probe-none-of-them".to_owned(), "none of the values");
        return found;
    }
    match kind(schema) {
        kind @ ("integer" | "number") => {
            add("pipe-probe".to_owned(), "a text");
            if kind == "integer" {
                add("1.5".to_owned(), "a fraction");
            }
            if let Some(least) = bound("minimum").or(bound("exclusiveMinimum")) {
                add((least - 1.0).to_string(), "too little");
            }
            if let Some(most) = bound("maximum").or(bound("exclusiveMaximum")) {
                add((most + 1.0).to_string(), "too much");
            }
        }
        "boolean" => add("pipe-probe".to_owned(), "a text"),
        "string" if !schema::types(schema).is_empty() => {
            if let Some(most) = count("maxLength") {
                add("x".repeat(usize::try_from(most).unwrap_or_default() + 1), "too long");
            }
            if let Some(least) = count("minLength").filter(|least| *least > 0) {
                add("x".repeat(usize::try_from(least).unwrap_or_default() - 1), "too short");
            }
            let none = "\u{2603} pipe probe".to_owned();
            if schema::pattern(schema).is_some_and(|pattern| !pattern.is_match(&none)) {
                add(none, "not of its pattern");
            }
            let formats = ["date", "date-time", "uuid", "ipv4", "ipv6"];
            let format = schema.get("format").and_then(Json::as_str).filter(|format| formats.contains(format));
            if let Some(format) = format {
                add("pipe-probe".to_owned(), &format!("no {format}"));
            }
        }
        _ => {}
    }
    found
}

/// Whether any text goes.
pub(super) fn is_free_text(root: &Json, schema: &Json) -> bool {
    let schema = resolved(root, schema);
    let bounded = ["enum", "const", "format", "pattern", "oneOf", "anyOf", "allOf"];
    kind(schema) == "string" && !bounded.iter().any(|key| schema.get(key).is_some())
}

/// Bodies that a schema rules out: no JSON, one property missing, or of another type.
pub(super) fn wrong_bodies(root: &Json, schema: &Json, good: &Json) -> Vec<(String, String)> {
    let mut found = vec![("{\"pipe\": ".to_owned(), "a body that is no JSON".to_owned())];
    let schema = resolved(root, schema);
    let mut add = |value: Json, what: String| {
        if schema::mismatch(root, schema, &value).is_some() {
            found.push((value.to_string(), what));
        }
    };
    add(json!("pipe-probe"), "a text as body".to_owned());
    for (key, value) in good.as_object().into_iter().flatten() {
        let mut less = good.clone();
        less.as_object_mut().and_then(|object| object.remove(key));
        add(less, format!("without {key}"));
        let other = if value.is_object() { json!("pipe-probe") } else { json!({ "pipe": "probe" }) };
        let mut changed = good.clone();
        changed[key] = other;
        add(changed, format!("{key} of another type"));
    }
    found
}
