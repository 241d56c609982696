//! Reading and writing numbers as GitHub's expressions do.
//!
//! Text becomes a number by nearly the rules of JavaScript's `Number()`; a number becomes text with at most 15
//! significant digits (.NET `G15`). What it does not do: JSON numbers, which have rules of their own.
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#literals>.

/// Digits that a number keeps when it becomes text.
const SIGNIFICANT_DIGITS_MAX: usize = 15;

/// The number that a text stands for; empty text is zero, anything else that is no number is NaN.
pub(super) fn parse_number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    let decimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.bytes().all(decimal) {
        return text.parse().unwrap_or(f64::NAN);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return parse_radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return parse_radix(digits, 8);
    }
    match text {
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

/// 32-bit hexadecimal or octal; the upper half is negative, as GitHub reads it into a signed integer.
fn parse_radix(digits: &str, radix: u32) -> f64 {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return f64::NAN;
    }
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    u32::from_str_radix(significant, radix).map_or(f64::NAN, |value| f64::from(value.cast_signed()))
}

/// A number as text: `1`, `0.5`, `1E+15`, `NaN`, `-Infinity`; negative zero is `0`.
pub(super) fn format_number(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    // Rust rounds half to even on the exact decimal value here, as .NET does.
    let scientific = format!("{:.*e}", SIGNIFICANT_DIGITS_MAX - 1, number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let sign = if number < 0.0 { "-" } else { "" };
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < SIGNIFICANT_DIGITS_MAX => format_whole(sign, digits, exponent),
        Err(_) if exponent >= -4 => {
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            format!("{sign}0.{}{digits}", "0".repeat(zeros))
        }
        Ok(_) | Err(_) => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{first}{point}{rest}E{exponent_sign}{:02}", exponent.abs())
        }
    }
}

/// Digits with the point after `exponent + 1` of them.
fn format_whole(sign: &str, digits: &str, exponent: usize) -> String {
    if digits.len() <= exponent + 1 {
        return format!("{sign}{digits}{}", "0".repeat(exponent + 1 - digits.len()));
    }
    let (whole, fraction) = digits.split_at(exponent + 1);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_numbers() {
        for (text, expected) in [
            ("", 0.0),
            (" \t\n", 0.0),
            (" 12.5 ", 12.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("+.5e1", 5.0),
            ("-0xFF", f64::NAN),
            ("0xff", 255.0),
            ("0xFFFFFFFF", -1.0),
            ("0x1FFFFFFFF", f64::NAN),
            ("0x", f64::NAN),
            ("0X1", f64::NAN),
            ("0o10", 8.0),
            ("0o8", f64::NAN),
            ("1e400", f64::INFINITY),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("inf", f64::NAN),
            ("nan", f64::NAN),
            (".", f64::NAN),
            ("1e", f64::NAN),
            ("--1", f64::NAN),
            ("1_000", f64::NAN),
        ] {
            let actual = parse_number(text);
            assert!(actual == expected || (actual.is_nan() && expected.is_nan()), "{text:?} {actual}");
        }
    }

    #[test]
    fn numbers_become_text() {
        for (number, expected) in [
            (1.0, "1"),
            (-0.0, "0"),
            (100.0, "100"),
            (0.1 + 0.2, "0.3"),
            (123_456.789, "123456.789"),
            (1e14, "100000000000000"),
            (1e15, "1E+15"),
            (999_999_999_999_999.0, "999999999999999"),
            (1.5e300, "1.5E+300"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2E-05"),
            (-1e-7, "-1E-07"),
            (9_007_199_254_740_993.0, "9.00719925474099E+15"),
            (1.0 / 3.0, "0.333333333333333"),
        ] {
            assert_eq!(format_number(number), expected);
        }
    }
}
