//! Regular expressions of problem matchers, which are written for JavaScript and .NET, as expressions of the `regex` crate.
//!
//! The crate runs in linear time and therefore has no look-around and no backreferences; an expression that needs them is
//! refused by name. Everything else is translated: ASCII classes, escapes, brackets within brackets, stray braces. Follows
//! <https://learn.microsoft.com/en-us/dotnet/standard/base-types/regular-expression-options#ecmascript-matching-behavior>.

use regex::{Regex, RegexBuilder};

/// Most memory that one compiled expression may take, in bytes.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// Compiles an expression, or says in a few words what about it is not supported.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let translated = Translator { rest: pattern, out: String::with_capacity(2 * pattern.len()) }.run()?;
    let built = RegexBuilder::new(&translated).size_limit(REGEX_BYTES_MAX).build();
    // The crate's message has several lines with a drawing of the expression; the last one says what is wrong.
    built.map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
    })
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn literal(&mut self, character: char) {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            self.out.push('\\');
        }
        self.out.push(character);
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(character) = self.next() {
            match character {
                '\\' => {
                    self.escape(false)?;
                }
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.brace(),
                '}' | ']' => self.literal(character),
                other => self.out.push(other),
            }
        }
        Ok(self.out)
    }

    fn group(&mut self) -> Result<(), String> {
        for (prefix, name) in [
            ("?=", "look-ahead `(?=`"),
            ("?!", "look-ahead `(?!`"),
            ("?<=", "look-behind `(?<=`"),
            ("?<!", "look-behind `(?<!`"),
            ("?>", "the atomic group `(?>`"),
            ("?(", "the conditional group `(?(`"),
            ("?'", "the group name in quotes `(?'`"),
            ("?#", "the comment `(?#`"),
        ] {
            if self.rest.starts_with(prefix) {
                return Err(format!("{name} is not supported"));
            }
        }
        self.out.push('(');
        Ok(())
    }

    /// A brace is a quantifier only if it looks like one in full.
    fn brace(&mut self) {
        let inside = self.rest.split_once('}').map(|(inside, _)| inside);
        let is_quantifier = inside.is_some_and(|inside| {
            let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
            !low.is_empty() && low.chars().chain(high.chars()).all(|c| c.is_ascii_digit())
        });
        if let (true, Some(inside)) = (is_quantifier, inside) {
            self.out.push('{');
            self.out.push_str(inside);
            self.out.push('}');
            self.rest = &self.rest[inside.len() + 1..];
        } else {
            self.literal('{');
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        // As in .NET, a bracket in first place is a character of the class.
        let mut after_set = self.skip("]");
        if after_set {
            self.out.push_str("\\]");
            after_set = false;
        }
        while let Some(character) = self.next() {
            match character {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => {
                    after_set = self.escape(true)?;
                    continue;
                }
                // Beside a set such as `\w` it cannot be a range.
                '-' if after_set || is_set(self.rest) || self.rest.starts_with('-') => self.literal('-'),
                '-' => self.out.push('-'),
                other => self.literal(other),
            }
            after_set = false;
        }
        Err("unclosed character class".to_owned())
    }

    /// What follows a backslash. Returns whether it stands for a set of characters.
    fn escape(&mut self, in_class: bool) -> Result<bool, String> {
        let Some(character) = self.next() else { return Err("a backslash at the end".to_owned()) };
        let set = match character {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => r"[ \t\n\r\x0B\x0C]",
            'S' => r"[^ \t\n\r\x0B\x0C]",
            _ => "",
        };
        self.out.push_str(set);
        if !set.is_empty() {
            return Ok(true);
        }
        match character {
            'b' if in_class => self.out.push_str(r"\x08"),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' if !in_class => self.out.push_str(r"\B"),
            'A' if !in_class => self.out.push_str(r"\A"),
            'z' | 'Z' if !in_class => self.out.push_str(r"\z"),
            'G' | 'k' if !in_class => return Err(format!("`\\{character}` is not supported")),
            '1'..='9' if !in_class => return Err(format!("the backreference `\\{character}` is not supported")),
            't' | 'n' | 'r' | 'f' | 'v' | 'a' => self.out.extend(['\\', character]),
            'e' => self.out.push_str(r"\x1B"),
            '0' => self.out.push_str(r"\x00"),
            'c' => {
                let letter = self.next().filter(char::is_ascii_alphabetic).ok_or("`\\c` needs a letter")?;
                self.out.push_str(&format!(r"\x{:02X}", u32::from(letter.to_ascii_uppercase()) - 64));
            }
            'x' => self.code_point(2)?,
            'u' => self.code_point(4)?,
            'p' | 'P' => self.out.extend(['\\', character]),
            other => self.literal(other),
        }
        Ok(false)
    }

    fn code_point(&mut self, digits: usize) -> Result<(), String> {
        let hex = self.rest.get(..digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| format!("an escape needs {digits} hexadecimal digits"))?;
        self.out.push_str(&format!(r"\x{{{hex}}}"));
        self.rest = &self.rest[digits..];
        Ok(())
    }
}

fn is_set(rest: &str) -> bool {
    rest.strip_prefix('\\').is_some_and(|rest| rest.starts_with(['d', 'D', 'w', 'W', 's', 'S']))
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn common_matchers_match() {
        for (pattern, line, expect) in [
            // tsc, gcc, eslint-compact, eslint-stylish, Python, go, flake8
            (
                r"^([^\s].*)[\(:](\d+)[,:](\d+)(?:\):\s+|\s+-\s+)(error|warning|info)\s+TS(\d+)\s*:\s*(.*)$",
                "src/a.ts(3,5): error TS2304: Cannot find name 'x'.",
                "src/a.ts|3|5|error|2304|Cannot find name 'x'.",
            ),
            (
                r"^(.*?):(\d+):(\d*):?\s+(?:fatal\s+)?(warning|error):\s+(.*)$",
                "a.c:1:2: fatal error: x.h: No such file",
                "a.c|1|2|error|x.h: No such file",
            ),
            (
                r"^(.+):\sline\s(\d+),\scol\s(\d+),\s(Error|Warning|Info)\s-\s(.+)\s\((.+)\)$",
                "f.js: line 1, col 2, Error - msg (rule)",
                "f.js|1|2|Error|msg|rule",
            ),
            (r"^\s*File\s\u0022(.*)\x22,\sline\s(\d+)", "  File \"a.py\", line 7, in x", "a.py|7"),
            (r#"^\s*File\s\"(.*)\",\sline\s(\d+),\sin\s(.*)$"#, "  File \"a.py\", line 7, in x", "a.py|7|x"),
            (r"^(?<file>[\w\-./]+):(\d+)", "a-b/c.go:10", "a-b/c.go|10"),
            (r"^\s*([\w-\.]+)\/([.[&~\d]+)\b", " a-b./[&~.9 x", "a-b.|[&~.9"),
            (r"^([]x]+)(\{a{2}})$", "]x{aa}", "]x|{aa}"),
            (r"^(\d+)(.*)$", "1٣", "1|٣"),
            (r"^(\_\<\>\')$", "_<>'", "_<>'"),
            (r"^(\cI\t)$", "\t\t", "\t\t"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            let found = regex.captures(line).unwrap_or_else(|| panic!("{pattern} does not match {line}"));
            let groups: Vec<&str> = found.iter().skip(1).flatten().map(|group| group.as_str()).collect();
            assert_eq!(groups.join("|"), expect, "{pattern}");
        }
    }

    #[test]
    fn unsupported_ones_say_why() {
        for (pattern, expect) in [
            ("a(?!b)", "look-ahead `(?!` is not supported"),
            ("(?<=a)b", "look-behind `(?<=` is not supported"),
            (r"(a)\1", r"the backreference `\1` is not supported"),
            ("[a", "unclosed character class"),
            ("(a", "unclosed group"),
            ("a\\", "a backslash at the end"),
            (r"\uD83", "an escape needs 4 hexadecimal digits"),
        ] {
            assert_eq!(compile(pattern).unwrap_err(), expect, "{pattern}");
        }
        assert!(compile("(a{1000}){1000}").is_err(), "bounded memory");
    }
}
