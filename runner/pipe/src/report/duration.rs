//! How long something took, in words.

use std::time::Duration;

/// `0.4 s`, `12 s`, `3 min 5 s`, `2 h 1 min`.
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600.. => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Between two moments; nothing where the clock went back.
pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ones_are_exact() {
        for (ms, expected) in
            [(0, "0.0 s"), (1_240, "1.2 s"), (12_900, "12 s"), (185_000, "3 min 5 s"), (7_265_000, "2 h 1 min")]
        {
            assert_eq!(in_words(Duration::from_millis(ms)), expected);
        }
    }
}
