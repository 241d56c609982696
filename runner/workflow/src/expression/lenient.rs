//! JSON as GitHub's `fromJSON` takes it beyond the standard: single quotes, comments, bare names, trailing commas.
//!
//! Its reader (Newtonsoft's) allows these, and workflows lean on it: Python's `print(['a', 'b'])` is such a text. What it
//! does not do: word errors, since a text that fails here is reported by the strict reader; nor take text after the
//! value, `undefined` or octal numbers, which GitHub reads and nobody means.
//! Follows <https://www.newtonsoft.com/json/help/html/T_Newtonsoft_Json_JsonTextReader.htm>.

use super::object::Object;
use super::value::Value;

/// The deepest nesting that is read.
const DEPTH_MAX: usize = 100;

/// The value of a text; none where it is none even by these rules.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.skip_blank()?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'text> {
    rest: &'text str,
}

impl<'text> Reader<'text> {
    /// Goes behind white space and comments; none where a comment does not end.
    fn skip_blank(&mut self) -> Option<()> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/")?.1;
            } else if let Some(comment) = self.rest.strip_prefix("//") {
                self.rest = comment.split_once(['\n', '\r']).map_or("", |(_, after)| after);
            } else {
                return Some(());
            }
        }
    }

    /// Takes a sign if it comes next.
    fn take(&mut self, sign: char) -> Option<bool> {
        self.skip_blank()?;
        let after = self.rest.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        Some(after.is_some())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_blank()?;
        match self.rest.chars().next()? {
            _ if depth >= DEPTH_MAX => None,
            '[' => self.array(depth + 1),
            '{' => self.object(depth + 1),
            '"' | '\'' => self.string().map(Value::from),
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.take('[')?;
        let mut items = Vec::new();
        while !self.take(']')? {
            items.push(self.value(depth)?);
            if !self.take(',')? {
                return self.take(']')?.then(|| Value::from(items));
            }
        }
        Some(Value::from(items))
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.take('{')?;
        let mut object = Object::new();
        while !self.take('}')? {
            let name = if self.rest.starts_with(['"', '\'']) { self.string()? } else { self.bare(is_name)?.to_owned() };
            if !self.take(':')? {
                return None;
            }
            object.insert(name, self.value(depth)?);
            if !self.take(',')? {
                return self.take('}')?.then(|| Value::from(object));
            }
        }
        Some(Value::from(object))
    }

    /// One or more characters of a kind.
    fn bare(&mut self, kind: impl Fn(char) -> bool) -> Option<&'text str> {
        let length = self.rest.find(|next| !kind(next)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn word(&mut self) -> Option<Value> {
        match self.bare(|next| next.is_ascii_alphanumeric() || matches!(next, '+' | '-' | '.'))? {
            "null" => Some(Value::Null),
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            "NaN" => Some(Value::Number(f64::NAN)),
            "Infinity" => Some(Value::Number(f64::INFINITY)),
            "-Infinity" => Some(Value::Number(f64::NEG_INFINITY)),
            number => {
                let digits = number.strip_prefix('-').unwrap_or(number);
                let octal = digits.starts_with('0') && digits[1..].starts_with(|next: char| next.is_ascii_digit());
                let decimal = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
                if octal || !decimal { None } else { number.parse().ok().map(Value::Number) }
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut characters = self.rest.chars();
        let quote = characters.next()?;
        let mut out = String::new();
        loop {
            match characters.next()? {
                end if end == quote => break,
                '\\' => match characters.next()? {
                    'b' => out.push('\u{8}'),
                    't' => out.push('\t'),
                    'n' => out.push('\n'),
                    'f' => out.push('\u{c}'),
                    'r' => out.push('\r'),
                    'u' => {
                        let mut units = vec![unit(characters.as_str())?];
                        characters = characters.as_str()[4..].chars();
                        while let Some(next) = characters.as_str().strip_prefix("\\u") {
                            units.push(unit(next)?);
                            characters = next[4..].chars();
                        }
                        out.push_str(&String::from_utf16_lossy(&units));
                    }
                    plain @ ('"' | '\'' | '\\' | '/') => out.push(plain),
                    _ => return None,
                },
                plain => out.push(plain),
            }
        }
        self.rest = characters.as_str();
        Some(out)
    }
}

/// The UTF-16 unit that four hexadecimal digits stand for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

fn is_name(next: char) -> bool {
    next.is_alphanumeric() || next == '_' || next == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let actual = parse(text).map(|value| value.to_json().to_string());
        assert_eq!(actual.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_githubs_reader_takes_is_taken() {
        for (text, expected) in [
            ("['a', 'b']", r#"["a","b"]"#),
            ("{'include': [{'os': 'x', 'n': 1}]}", r#"{"include":[{"os":"x","n":1}]}"#),
            ("{a: 1, $b_2: .5,}", r#"{"a":1,"$b_2":0.5}"#),
            ("[1, // one\n 2, /* two */ ]", "[1,2]"),
            ("\"a\nb\"", r#""a\nb""#),
            (r"'it\'s \u00e9\ud83d\ude0a\/'", r#""it's é😊/""#),
            ("[-Infinity]", r#"["-Infinity"]"#),
            ("[]", "[]"),
            ("{}", "{}"),
        ] {
            check(text, Some(expected));
        }
        let refused = [
            "",
            "[",
            "{",
            "'",
            "['a'",
            "{a}",
            "{a:}",
            "[,]",
            "[1 2]",
            "[1] x",
            "True",
            "[None]",
            "010",
            "--1",
            "1e",
            "/* x",
            r"'\u00'",
            r"'\x'",
            "+1",
            r"'\u+123'",
            "{a:1 b:2}",
            "é",
            r"'\u00é'",
        ];
        for text in refused {
            check(text, None);
        }
        assert!(parse(&"[".repeat(100_000)).is_none());
    }

    /// Both readers: what the strict one refuses goes to this one.
    #[test]
    fn y04_nesting_without_end_is_refused() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{a:", "}"), ("[/**/", "]")] {
            let nested = |count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
            assert!(parse(&nested(DEPTH_MAX - 1)).is_some(), "{open}");
            for text in [nested(100_000), open.repeat(100_000)] {
                assert!(parse(&text).is_none() && Value::parse_json(&text).is_err(), "{open}");
            }
        }
    }
}
