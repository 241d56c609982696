//! JSON of hooks, read strictly: a name twice in one object, a BOM, or text that is no UTF-8 is refused, since two
//! readers could understand it differently.
//!
//! Before a signature is checked only the name of the repository is looked at, without building anything; so what
//! nobody signed costs no memory.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use workflow::event::Forge;

/// Values in one payload. GitHub's largest have some tens of thousands.
const VALUES_MAX: usize = 1_000_000;

/// What a body says it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// A repository's full name.
    Repository(String),
    /// JSON that names none.
    Nothing,
    /// No JSON, or a form that can be read in two ways; and which.
    Unreadable(String),
}

/// Looks for the name of the repository.
pub(super) fn claim(forge: Forge, body: &[u8]) -> Claim {
    let (outer, inner) = forge.repository_keys();
    let keys = [outer, inner];
    let found = text(body).and_then(|text| {
        let mut reader = serde_json::Deserializer::from_str(text);
        let found = Pick { keys: &keys }.deserialize(&mut reader).map_err(place)?;
        reader.end().map_err(place)?;
        Ok(found)
    });
    match found {
        Ok(Some(name)) => Claim::Repository(name),
        Ok(None) => Claim::Nothing,
        Err(reason) => Claim::Unreadable(reason),
    }
}

/// The whole payload.
///
/// # Errors
/// What is wrong with it and where, without a word of its contents.
pub(super) fn parse(body: &[u8]) -> Result<Json, String> {
    let text = text(body)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut left = VALUES_MAX;
    let value = Strict { left: &mut left }.deserialize(&mut reader).map_err(place)?;
    reader.end().map_err(place)?;
    Ok(value)
}

fn text(body: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("byte {} is no UTF-8", error.valid_up_to()))?;
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark".to_owned());
    }
    Ok(text)
}

/// Where, and of our own texts what; serde's may repeat contents.
fn place(error: serde_json::Error) -> String {
    let ours = [DUPLICATE, TOO_MANY].into_iter().find(|text| error.to_string().starts_with(text));
    let what = ours.unwrap_or("it is no JSON");
    format!("{what} (line {}, column {})", error.line(), error.column())
}

const DUPLICATE: &str = "a name is there twice in one object";
const TOO_MANY: &str = "it has too many values";

/// The text below these keys.
struct Pick<'keys> {
    keys: &'keys [&'keys str],
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let Some((key, rest)) = self.keys.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        let (mut seen, mut found) = (false, None);
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name != *key {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if std::mem::replace(&mut seen, true) {
                return Err(de::Error::custom(DUPLICATE));
            }
            found = map.next_value_seed(Pick { keys: rest })?;
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<String>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
        Ok(self.keys.is_empty().then(|| text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }
}

/// A value without a name twice in any of its objects.
struct Strict<'left> {
    left: &'left mut usize,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| de::Error::custom(TOO_MANY))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict { left: self.left })?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom(DUPLICATE));
            }
        }
        Ok(Json::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(Strict { left: self.left })? {
            array.push(value);
        }
        Ok(Json::Array(array))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims() {
        let name = |text: &str| Claim::Repository(text.to_owned());
        let unreadable = |text: &str| Claim::Unreadable(text.to_owned());
        for (body, expected) in [
            (
                r#"{"a": [1, -2, 0.5, null, true, {}], "repository": {"x": {"full_name": 1}, "full_name": "a/b"}}"#,
                name("a/b"),
            ),
            (r#"{"repository": {"full_name": "a\/b\u0041"}}"#, name("a/bA")),
            (r#"{"repository": "a/b"}"#, Claim::Nothing),
            (r#"{"repository": {"full_name": {"full_name": "a/b"}}}"#, Claim::Nothing),
            (r#"["repository"]"#, Claim::Nothing),
            (r#"{"full_name": "a/b"}"#, Claim::Nothing),
            ("{", unreadable("it is no JSON (line 1, column 1)")),
            ("", unreadable("it is no JSON (line 1, column 0)")),
            ("{} {}", unreadable("it is no JSON (line 1, column 4)")),
            ("\u{feff}{}", unreadable("it begins with a byte order mark")),
        ] {
            assert_eq!(claim(Forge::Github, body.as_bytes()), expected, "{body}");
        }
        let gitlab = br#"{"project": {"path_with_namespace": "a/b/c"}, "repository": {"full_name": "x/y"}}"#;
        assert_eq!(claim(Forge::Gitlab, gitlab), name("a/b/c"));
        for twice in
            [r#"{"repository": {}, "repository": {}}"#, r#"{"repository": {"full_name": "a", "full_name": "a"}}"#]
        {
            assert!(
                matches!(claim(Forge::Github, twice.as_bytes()), Claim::Unreadable(why) if why.starts_with(DUPLICATE))
            );
        }
    }

    #[test]
    fn payloads_are_what_serde_reads_or_refused() {
        for body in [r#"{"a": [1, -2, 1.5, 1e3, null, true, "x\u00e9"], "b": {"a": {}}}"#, "[]", "1"] {
            assert_eq!(parse(body.as_bytes()).unwrap(), serde_json::from_str::<Json>(body).unwrap());
        }
        let deep = "[".repeat(100_000);
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        for (body, expected) in [
            (r#"{"a": {"b": 1, "b": 1}}"#.as_bytes(), DUPLICATE),
            (br#"{"ref": 1, "\u0072ef": 2}"#.as_slice(), DUPLICATE),
            (b"\xef\xbb\xbf{}".as_slice(), "it begins with a byte order mark"),
            (b"{\"a\": \"\xff\"}".as_slice(), "byte 7 is no UTF-8"),
            (b"{\0}\0".as_slice(), "it is no JSON"),
            (deep.as_bytes(), "it is no JSON"),
            (many.as_bytes(), TOO_MANY),
        ] {
            let found = parse(body).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
