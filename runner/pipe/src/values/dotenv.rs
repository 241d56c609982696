//! Lines of `NAME=VALUE`, as dotenv files have them.
//!
//! `#` begins a comment (in a bare value after white space), `export` may stand before a name, single quotes keep
//! everything, double quotes know `\n`, `\r`, `\t`, `\"`, `\\`, `\$` and may go over several lines. Nothing is expanded.

/// What is wrong in which line.
#[derive(Debug, PartialEq, Eq)]
pub struct DotenvError {
    /// From 1.
    pub line: usize,
    /// What.
    pub message: &'static str,
}

/// Names and values in their order.
///
/// # Errors
/// The first line that has no such form.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, DotenvError> {
    let mut values = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(values);
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let wrong = |message| DotenvError { line, message };
        if let Some(comment) = rest.strip_prefix('#') {
            rest = after_line(comment);
            continue;
        }
        rest = rest.strip_prefix("export ").map_or(rest, str::trim_start);
        let end = rest.find(['=', '\n']).filter(|at| rest[*at..].starts_with('=')).ok_or(wrong("there is no `=`"))?;
        let name = rest[..end].trim();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("a name stands before `=`, without spaces"));
        }
        let (value, after) = value(rest[end + 1..].trim_start_matches([' ', '\t'])).map_err(wrong)?;
        values.push((name.to_owned(), value));
        rest = after;
    }
}

fn value(text: &str) -> Result<(String, &str), &'static str> {
    let (value, after) = match text.chars().next() {
        Some('\'') => {
            let end = text[1..].find('\'').ok_or("a `'` has no end")?;
            (text[1..=end].to_owned(), &text[end + 2..])
        }
        Some('"') => double_quoted(&text[1..])?,
        Some(_) | None => {
            let line = text.lines().next().unwrap_or_default();
            let end = [" #", "\t#"].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
            let end = if line.starts_with('#') { 0 } else { end };
            return Ok((line[..end].trim_end().to_owned(), after_line(text)));
        }
    };
    let tail = after.lines().next().unwrap_or_default().trim();
    if after.starts_with('\n') || tail.is_empty() || tail.starts_with('#') {
        return Ok((value, after_line(after)));
    }
    Err("something stands behind the closing quote")
}

fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('"' | '\\' | '$')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            character => value.push(character),
        }
    }
    Err("a `\"` has no end")
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }

    #[test]
    fn lines_are_names_and_values() {
        check("", &[]);
        check("A=1\nB = two words  \r\n", &[("A", "1"), ("B", "two words")]);
        check("# x\nexport A=b#c # d\nB=#x", &[("A", "b#c"), ("B", "")]);
        check("A=\nB=x=y", &[("A", ""), ("B", "x=y")]);
        check("A='a \"$B\\n'\nB=\"a\\n\\\"b\\\" \\x\" # c", &[("A", "a \"$B\\n"), ("B", "a\n\"b\" \\x")]);
        check("KEY=\"-----BEGIN\nabc\n-----END\"\nB=1", &[("KEY", "-----BEGIN\nabc\n-----END"), ("B", "1")]);
        check("K='a\nb'\n", &[("K", "a\nb")]);
        check("\u{feff}A=1", &[("A", "1")]);
    }

    #[test]
    fn mistakes_have_lines() {
        for (text, line, message) in [
            ("A=1\nB\nC=2", 2, "there is no `=`"),
            ("A=\"x", 1, "a `\"` has no end"),
            ("\n\nA='x", 3, "a `'` has no end"),
            ("=x", 1, "a name stands before `=`, without spaces"),
            ("A='x' y", 1, "something stands behind the closing quote"),
        ] {
            assert_eq!(parse(text), Err(DotenvError { line, message }), "{text:?}");
        }
    }
}
