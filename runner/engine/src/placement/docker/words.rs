//! Splitting of an `options:` or `command:` text into words, and the units that occur in them.
//!
//! No substitution of any kind takes place: `$X` and `*` are ordinary text.

/// Splits at white space; `'…'`, `"…"` and `\` keep it, as in a POSIX shell.
pub(crate) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(inside) => word.push(inside),
                        None => return Err("has a ' that is not closed"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err("has a \" that is not closed"),
                        },
                        Some(inside) => word.push(inside),
                        None => return Err("has a \" that is not closed"),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("ends with a lone \\"),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Bytes in Docker's notation: `512m`, `2g`, `1.5GiB`, `1024`.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 1_i64,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(factor);
    }
    let scaled = number.parse::<f64>().ok()? * to_f64(factor);
    (scaled.is_finite() && scaled < 9e18).then(|| truncate(scaled))
}

#[expect(clippy::cast_precision_loss, reason = "a power of two up to 2^40 is exact")]
const fn to_f64(factor: i64) -> f64 {
    factor as f64
}

#[expect(clippy::cast_possible_truncation, reason = "callers check the range")]
pub(crate) const fn truncate(number: f64) -> i64 {
    number as i64
}

/// Nanoseconds of a duration in Go's notation: `10s`, `1m30s`, `1.5h`, `0`.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut sum = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty() && sum.is_finite() && sum < 9e18).then(|| truncate(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |text: &str, expect: &[&str]| assert_eq!(split(text).unwrap(), expect, "{text}");
        check("", &[]);
        check("  --cpus 1\n\t--memory=2g ", &["--cpus", "1", "--memory=2g"]);
        check(
            r#"--health-cmd "pg_isready -U 'x y'" -e A='b c'd"#,
            &["--health-cmd", "pg_isready -U 'x y'", "-e", "A=b cd"],
        );
        check(r#"a\ b "c\"d\e" ''"#, &["a b", r#"c"d\e"#, ""]);
        check("$HOME *", &["$HOME", "*"]);
        assert_eq!(split("'a"), Err("has a ' that is not closed"));
        assert_eq!(split("\"a"), Err("has a \" that is not closed"));
        assert_eq!(split("a\\"), Err("ends with a lone \\"));
    }

    #[test]
    fn units() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(bytes(text), expect, "{text}");
        check("1024", Some(1024));
        check("512m", Some(512 << 20));
        check("2GB", Some(2 << 30));
        check("1.5GiB", Some(3 << 29));
        check("x", None);
        check("", None);
        check("1p", None);
        let check = |text: &str, expect: Option<i64>| assert_eq!(nanoseconds(text), expect, "{text}");
        check("10s", Some(10_000_000_000));
        check("1m30s", Some(90_000_000_000));
        check("1.5ms", Some(1_500_000));
        check("0", Some(0));
        check("10", None);
        check("", None);
        check("s", None);
    }
}
