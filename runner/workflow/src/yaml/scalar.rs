//! Which type a scalar has: the YAML 1.2 core schema exactly as GitHub reads it.
//!
//! Tags are obeyed (`!!str 1` is a string), quoted scalars are strings, plain ones may be null, boolean or number.
//! Follows <https://yaml.org/spec/1.2.2/#103-core-schema>; limits of the number types are GitHub's.

use std::sync::Arc;

use thiserror::Error;

use super::{Scalar, ScalarStyle};

const BOOLEAN_TAG: &str = "tag:yaml.org,2002:bool";
const FLOAT_TAG: &str = "tag:yaml.org,2002:float";
const INTEGER_TAG: &str = "tag:yaml.org,2002:int";
const NULL_TAG: &str = "tag:yaml.org,2002:null";
const STRING_TAG: &str = "tag:yaml.org,2002:str";

/// A scalar with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// Any of the number forms.
    Number(f64),
    /// Anything else.
    String(Arc<str>),
}

/// A scalar that its own tag forbids. `GitHub`'s words also name line and column, which the caller has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScalarError {
    /// `!!bool maybe`, `!!int x`, or a number that no integer holds.
    #[error("the value '{value}' is invalid for the type '{tag}'")]
    Invalid {
        /// The scalar.
        value: Arc<str>,
        /// The type that it should have.
        tag: Box<str>,
    },
    /// `!!int "1"`: a quoted scalar with another tag than `!!str`.
    #[error("the scalar style '{}' is not valid with the tag '{tag}'", style.name())]
    Style {
        /// How it was written.
        style: ScalarStyle,
        /// Its tag.
        tag: Box<str>,
    },
    /// A tag that nobody knows.
    #[error("unexpected tag '{tag}'")]
    Tag {
        /// The tag.
        tag: Box<str>,
    },
}

/// The typed value of a scalar.
///
/// # Errors
/// [`ScalarError`] where tag and text do not fit.
pub fn resolve(scalar: &Scalar) -> Result<Literal, ScalarError> {
    let text = &scalar.text;
    let Some(tag) = scalar.tag.as_deref().filter(|tag| !tag.is_empty()) else {
        return if scalar.style == ScalarStyle::Plain { plain(text) } else { Ok(Literal::String(Arc::clone(text))) };
    };
    if tag == STRING_TAG {
        return Ok(Literal::String(Arc::clone(text)));
    }
    if scalar.style != ScalarStyle::Plain {
        return Err(ScalarError::Style { style: scalar.style, tag: tag.into() });
    }
    let found = match tag {
        BOOLEAN_TAG => boolean(text).map(Literal::Boolean),
        FLOAT_TAG => float(text).map(Literal::Number),
        INTEGER_TAG => integer(text)?.map(Literal::Number),
        NULL_TAG => is_null(text).then_some(Literal::Null),
        _ => return Err(ScalarError::Tag { tag: tag.into() }),
    };
    found.ok_or_else(|| invalid(text, tag))
}

fn plain(text: &Arc<str>) -> Result<Literal, ScalarError> {
    if is_null(text) {
        return Ok(Literal::Null);
    }
    if let Some(value) = boolean(text) {
        return Ok(Literal::Boolean(value));
    }
    // Most scalars are words; nothing else that follows can start with a letter.
    if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        if let Some(number) = integer(text)? {
            return Ok(Literal::Number(number));
        }
        if let Some(number) = float(text) {
            return Ok(Literal::Number(number));
        }
    }
    Ok(Literal::String(Arc::clone(text)))
}

fn invalid(text: &Arc<str>, tag: &str) -> ScalarError {
    ScalarError::Invalid { value: Arc::clone(text), tag: tag.into() }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "null" | "Null" | "NULL" | "~")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Decimal of any length, or hexadecimal and octal of 32 bits, where the upper half is negative.
fn integer(text: &Arc<str>) -> Result<Option<f64>, ScalarError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.parse().ok());
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let Some(digits) = text.strip_prefix(prefix) else { continue };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Ok(None);
        }
        let significant = digits.trim_start_matches('0');
        let significant = if significant.is_empty() { "0" } else { significant };
        let value = u32::from_str_radix(significant, radix).map_err(|_| invalid(text, INTEGER_TAG))?;
        return Ok(Some(f64::from(value.cast_signed())));
    }
    Ok(None)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, infinity or NaN. What exceeds the range is infinite.
fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits;
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Scalar {
        Scalar { text: text.into(), style, tag: tag.map(Into::into) }
    }

    #[test]
    fn plain_scalars_have_types() {
        for (text, expected) in [
            ("", "Null"),
            ("~", "Null"),
            ("NULL", "Null"),
            ("nULL", "String(\"nULL\")"),
            ("true", "Boolean(true)"),
            ("False", "Boolean(false)"),
            ("yes", "String(\"yes\")"),
            ("on", "String(\"on\")"),
            ("1", "Number(1.0)"),
            ("-1", "Number(-1.0)"),
            ("+12", "Number(12.0)"),
            ("017", "Number(17.0)"),
            ("0o17", "Number(15.0)"),
            ("0x1F", "Number(31.0)"),
            ("0xFFFFFFFF", "Number(-1.0)"),
            ("0X1F", "String(\"0X1F\")"),
            ("-0x1", "String(\"-0x1\")"),
            ("0o8", "String(\"0o8\")"),
            ("1_000", "String(\"1_000\")"),
            ("1.", "Number(1.0)"),
            (".5", "Number(0.5)"),
            (".", "String(\".\")"),
            ("-", "String(\"-\")"),
            ("1e3", "Number(1000.0)"),
            ("1e", "String(\"1e\")"),
            ("1.2.3", "String(\"1.2.3\")"),
            ("3.10", "Number(3.1)"),
            ("-.INF", "Number(-inf)"),
            (".nan", "Number(NaN)"),
            ("1e999", "Number(inf)"),
            ("inf", "String(\"inf\")"),
            ("2022-10-26", "String(\"2022-10-26\")"),
        ] {
            let actual = resolve(&scalar(text, ScalarStyle::Plain, None));
            assert_eq!(format!("{:?}", actual.unwrap()), expected, "{text}");
            let quoted = resolve(&scalar(text, ScalarStyle::SingleQuoted, None));
            assert_eq!(quoted, Ok(Literal::String(text.into())), "{text}");
        }
    }

    #[test]
    fn tags_are_obeyed() {
        for (text, style, tag, expected) in [
            ("1", ScalarStyle::Plain, STRING_TAG, "Ok(String(\"1\"))"),
            ("1", ScalarStyle::DoubleQuoted, STRING_TAG, "Ok(String(\"1\"))"),
            ("1", ScalarStyle::Plain, FLOAT_TAG, "Ok(Number(1.0))"),
            ("", ScalarStyle::Plain, NULL_TAG, "Ok(Null)"),
            (
                "test",
                ScalarStyle::Plain,
                BOOLEAN_TAG,
                "the value 'test' is invalid for the type 'tag:yaml.org,2002:bool'",
            ),
            ("1.5", ScalarStyle::Plain, INTEGER_TAG, "the value '1.5' is invalid for the type 'tag:yaml.org,2002:int'"),
            (
                "1",
                ScalarStyle::Literal,
                INTEGER_TAG,
                "the scalar style 'Literal' is not valid with the tag 'tag:yaml.org,2002:int'",
            ),
            ("x", ScalarStyle::Plain, "!x", "unexpected tag '!x'"),
            (
                "0x1FFFFFFFF",
                ScalarStyle::Plain,
                "",
                "the value '0x1FFFFFFFF' is invalid for the type 'tag:yaml.org,2002:int'",
            ),
        ] {
            let actual = resolve(&scalar(text, style, Some(tag)));
            let actual = actual.map_or_else(|error| error.to_string(), |value| format!("Ok({value:?})"));
            assert_eq!(actual, expected, "{text} {tag}");
        }
    }
}
