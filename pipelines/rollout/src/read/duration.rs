//! Durations as people write them.

use jiff::SignedDuration;

/// None is longer.
const DAYS_MAX: i64 = 30;

/// Reads `90s`, `5m`, `1h`, `1h30m`, `500ms`, `2d`, or plain seconds (`90`, `1.5`).
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a duration; write `90s`, `5m`, `1h30m`, or seconds");
    if text.is_empty() {
        return Err(wrong());
    }
    if text.starts_with('-') {
        return Err(format!("`{text}` is below zero"));
    }
    let mut millis = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" if digits == text.len() => 1_000.0,
            "ms" => 1.0,
            "s" | "sec" | "second" | "seconds" => 1_000.0,
            "m" | "min" | "minute" | "minutes" => 60_000.0,
            "h" | "hour" | "hours" => 3_600_000.0,
            "d" | "day" | "days" => 86_400_000.0,
            _ => return Err(wrong()),
        };
        rest = rest[letters..].trim_start();
        millis += number * unit;
    }
    let seconds = millis / 1_000.0;
    match SignedDuration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= SignedDuration::from_hours(24 * DAYS_MAX) => Ok(duration),
        Ok(_) | Err(_) => Err(format!("`{text}` is longer than {DAYS_MAX} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let table = [
            ("90s", Ok(90_000_i64)),
            ("5m", Ok(300_000)),
            ("1h", Ok(3_600_000)),
            ("1h30m", Ok(5_400_000)),
            ("1h 30m", Ok(5_400_000)),
            ("500ms", Ok(500)),
            ("90", Ok(90_000)),
            ("1.5", Ok(1_500)),
            ("0", Ok(0)),
            ("2 minutes", Ok(120_000)),
            ("30d", Ok(2_592_000_000)),
            ("31d", Err("`31d` is longer than 30 days")),
            ("1e9", Err("`1e9` is not a duration; write `90s`, `5m`, `1h30m`, or seconds")),
            ("-5m", Err("`-5m` is below zero")),
            ("5 x", Err("`5 x` is not a duration; write `90s`, `5m`, `1h30m`, or seconds")),
            ("5m3", Err("`5m3` is not a duration; write `90s`, `5m`, `1h30m`, or seconds")),
            ("", Err("`` is not a duration; write `90s`, `5m`, `1h30m`, or seconds")),
            ("soon", Err("`soon` is not a duration; write `90s`, `5m`, `1h30m`, or seconds")),
        ];
        for (text, expected) in table {
            let read = duration(text).map(|duration| duration.as_millis());
            assert_eq!(read, expected.map(i128::from).map_err(str::to_owned), "{text}");
        }
    }
}
