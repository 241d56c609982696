//! A file of values: YAML where its name ends so, else dotenv.

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use super::dotenv;
use crate::exit::Failure;

/// Names and values in their order.
///
/// # Errors
/// The file has neither form; the line is named, never its content.
pub fn parse(path: &Path, text: &str) -> Result<Vec<(String, String)>, Failure> {
    let name = path.display();
    if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
        let wrong = |at: String| {
            Failure::usage(format!("{name}{at}: this is not a mapping of names to texts")).help("write `NAME: value`")
        };
        let parsed: Option<IndexMap<String, Scalar>> = serde_yaml::from_str(text).map_err(|error| {
            wrong(error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default())
        })?;
        return Ok(parsed.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)).collect());
    }
    dotenv::parse(text).map_err(|error| Failure::usage(format!("{name}:{}: {}", error.line, error.message)))
}

/// A value as text.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_yaml::Value;
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(String::new())),
            Value::Bool(value) => Ok(Self(value.to_string())),
            Value::Number(value) => Ok(Self(value.to_string())),
            Value::String(value) => Ok(Self(value)),
            Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => Err(serde::de::Error::custom("no text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: Result<&[(&str, &str)], &str>) {
        let result = parse(Path::new(name), text).map_err(|failure| failure.message);
        let expected = expected
            .map(|pairs| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
            .map_err(str::to_owned);
        assert_eq!(result, expected, "{text:?}");
    }

    #[test]
    fn both_forms() {
        check("a", "A=1", Ok(&[("A", "1")]));
        check(
            "a.yml",
            "A: 1\nB: |\n  x\n  y\nC: true\nD:\n",
            Ok(&[("A", "1"), ("B", "x\ny\n"), ("C", "true"), ("D", "")]),
        );
        check("a.yaml", "", Ok(&[]));
        check("a", "x", Err("a:1: there is no `=`"));
        check("a.yml", "- secret", Err("a.yml:1:1: this is not a mapping of names to texts"));
    }
}
