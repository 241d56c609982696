//! Evidence in sentences.

use super::process::{float, whole};
use super::tail::Tail;

/// `23260` → `23,260`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// Numbers from here on are given as powers of ten.
const PLAIN_MAX: f64 = 1e12;

/// A number from its logarithm, to so many digits.
fn about(log: f64, digits: i32) -> String {
    let value = log.exp();
    if value >= PLAIN_MAX || !value.is_finite() {
        return format!("10^{}", whole((log / std::f64::consts::LN_10).floor()));
    }
    if value < 10.0 {
        return format!("{value:.2}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 10^12 it has 12 digits at most")]
    let step = 10_f64.powi((value.log10().floor() as i32 - digits + 1).max(0));
    count(whole((value / step).round() * step))
}

/// `E = 23,260 ≥ 50`.
pub(super) fn evidence(log: f64, alpha: f64) -> String {
    let limit = -alpha.ln();
    let sign = if log >= limit { "≥" } else { "<" };
    format!("E = {} {sign} {}", about(log, 4), about(limit, 4).trim_end_matches(".00"))
}

/// `1 in 330,000`.
pub(super) fn odds(tail: Tail) -> String {
    let chance = about(-tail.log, 2);
    let chance = chance.strip_suffix(".00").unwrap_or(&chance);
    format!("{}1 in {chance}", if tail.is_exact { "" } else { "less than " })
}

/// `10 %`, `9.6 %`, `0.04 %`.
pub(super) fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    let digits = if percent > 0.0 && percent < 0.95 { 2 } else { 1 };
    let number = format!("{percent:.digits$}");
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number} %")
}

/// `green has 7 of the 9 errors`.
pub(super) fn parts(green: u64, blue: u64, one: &str, many: &str) -> String {
    match (green, blue) {
        (0, 0) => format!("no {many}"),
        (1, 0) => format!("green has the only {one}"),
        (0, 1) => format!("blue has the only {one}"),
        (green, blue) => format!("green has {} of the {} {many}", count(green), count(green + blue)),
    }
}

/// `1.2 times`; nothing more than one decimal is meant by anybody.
pub(super) fn times(ratio: f64) -> String {
    let number = format!("{ratio:.2}");
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a step lacks.
pub(super) fn too_few(has: u64, least: u64, missing: u64) -> String {
    let needs = needs(Some(missing));
    format!("green has answered {} of the {} requests that the plan asks for: {needs}", count(has), count(least))
}

/// What is missing.
pub(super) fn needs(requests: Option<u64>) -> String {
    match requests {
        Some(1) => "needs ≥ 1 more request of green".to_owned(),
        Some(requests) => format!("needs ≥ {} more requests of green", count(requests)),
        None => "more requests alone will not tell, its rate is too near to what is allowed".to_owned(),
    }
}

/// Microseconds for a person.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..10_000 => format!("{} ms", times(float(us) / 1_000.0)),
        10_000..10_000_000 => format!("{} ms", count(us / 1_000)),
        10_000_000.. => format!("{} s", count(us / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        let odds_of = |chance: f64| odds(Tail { log: f64::ln(chance), is_exact: true });
        let cases = [
            (count(0), "0"),
            (count(999), "999"),
            (count(1_000), "1,000"),
            (count(1_234_567), "1,234,567"),
            (odds_of(1.0 / 333_556.0), "1 in 330,000"),
            (odds_of(0.05), "1 in 20"),
            (odds_of(0.5), "1 in 2"),
            (odds_of(1e-20), "1 in 10^20"),
            (evidence(f64::ln(23_259.6), 0.02), "E = 23,260 ≥ 50"),
            (evidence(f64::ln(0.314), 0.05), "E = 0.31 < 20"),
            (evidence(2_000.0, 0.05), "E = 10^868 ≥ 20"),
            (percent(0.1), "10 %"),
            (percent(0.0964), "9.6 %"),
            (percent(1.0), "100 %"),
            (percent(0.0004), "0.04 %"),
            (percent(0.0), "0 %"),
            (parts(7, 2, "error", "errors"), "green has 7 of the 9 errors"),
            (parts(1, 0, "error", "errors"), "green has the only error"),
            (duration(1_500), "1.5 ms"),
            (duration(120_000), "120 ms"),
            (duration(61_000_000), "61 s"),
        ];
        for (words, expect) in cases {
            assert_eq!(words, expect);
        }
    }
}
