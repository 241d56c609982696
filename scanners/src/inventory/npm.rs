//! npm: `package.json` of what is installed (<https://docs.npmjs.com/cli/v11/configuring-npm/package-json>).

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;

use super::facts::{Said, Stated};
use crate::package::Ecosystem;

/// What is used of it. Names that stand twice count once, the last, as with npm.
#[derive(Debug, Default)]
struct PackageJson {
    name: Option<Json>,
    version: Option<Json>,
    licences: Vec<String>,
}

/// A package has a name and a version. Other files of that name (of tests, of folders with `"type": "module"`) say nothing,
/// but where npm puts packages one that cannot be understood is said to be unread.
pub(crate) fn package_json(path: &str, text: &[u8]) -> Said {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let is_package = is_package(path);
    let complain = |reason: String| if is_package { Said::unread(reason) } else { Said::default() };
    let read: PackageJson = match serde_json::from_slice(text) {
        Ok(read) => read,
        Err(error) => return complain(format!("it is not what npm installs: {error}")),
    };
    match (&read.name, &read.version) {
        (Some(Json::String(name)), Some(Json::String(version))) if !name.is_empty() && !version.is_empty() => {
            let version = version.trim().trim_start_matches(['v', '=']);
            Said::packages(vec![Stated::new(Ecosystem::Npm, name, version).licensed(read.licences)])
        }
        (name, version) if [name, version].iter().all(|value| is_text_or_none(value.as_ref())) => Said::default(),
        _ => complain("its name or version is not a text".to_owned()),
    }
}

fn is_text_or_none(value: Option<&Json>) -> bool {
    value.is_none_or(|value| value.is_string() || value.is_null())
}

/// Whether npm would put a package there: `node_modules/NAME` or `node_modules/@SCOPE/NAME`.
fn is_package(path: &str) -> bool {
    let Some(folder) = path.strip_suffix("/package.json") else { return false };
    let mut parts = folder.rsplit('/');
    let (name, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_scoped = before.starts_with('@') && parts.next() == Some("node_modules");
    !name.starts_with('.') && (before == "node_modules" && !name.starts_with('@') || is_scoped)
}

impl<'de> Deserialize<'de> for PackageJson {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = PackageJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PackageJson, A::Error> {
        let mut read = PackageJson::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "name" => read.name = Some(map.next_value()?),
                "version" => read.version = Some(map.next_value()?),
                "license" | "licenses" => read.licences.extend(licences(&map.next_value::<Json>()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(read)
    }
}

/// A text, an object with a `type`, or a list of either.
pub(crate) fn licences(value: &Json) -> Vec<String> {
    let one = |value: &Json| {
        let text = value.as_str().or_else(|| value.get("type").and_then(Json::as_str));
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match value.as_array() {
        Some(several) => several.iter().filter_map(one).collect(),
        None => one(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_from_files_of_the_same_name() {
        for (path, text, packages, unread) in [
            ("node_modules/a/package.json", r#"{"name":"a","version":"1.2.3"}"#, 1, 0),
            ("node_modules/@s/a/package.json", r#"{"name":"@s/a","version":"1","version":"2"}"#, 1, 0),
            ("node_modules/a/package.json", "\u{feff}{\"name\":\"a\",\"version\":\"1\",\"licenses\":[3]}", 1, 0),
            ("app/package.json", r#"{"name":"shop","version":"0.1.0","license":{"type":"MIT"}}"#, 1, 0),
            ("node_modules/a/package.json", r#"{"type":"module"}"#, 0, 0),
            ("node_modules/a/package.json", r#"{"name":"a"}"#, 0, 0),
            ("node_modules/a/package.json", r#"{"name":"a","version":5}"#, 0, 1),
            ("node_modules/a/package.json", r#"{"name":["a"],"version":"5"}"#, 0, 1),
            ("node_modules/a/package.json", r#"{"name":"a","#, 0, 1),
            ("node_modules/a/package.json", "[]", 0, 1),
            ("node_modules/a/test/package.json", r#"{"name":"#, 0, 0),
            ("node_modules/.package-lock/package.json", "x", 0, 0),
        ] {
            let said = package_json(path, text.as_bytes());
            assert_eq!((said.packages.len(), said.unread.len()), (packages, unread), "{path} {text}");
        }
    }
}
