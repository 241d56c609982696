//! The virtual clock: it begins at the machine's time, may run faster, and can be put forward. It never goes back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::value::Time;

/// A clock that tests steer.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What it shows at `since`.
    shown: f64,
    since: Instant,
    speed: f64,
}

impl Clock {
    /// Shows the machine's time. At speed 0 it moves only when it is put forward.
    pub(crate) fn new(speed: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact in a double")]
        Self { shown: machine_time() as f64, since: Instant::now(), speed }
    }

    /// What it shows.
    pub(crate) fn now(&self) -> Time {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for millions of years")]
        let now = (self.shown + self.since.elapsed().as_secs_f64() * 1_000.0 * self.speed) as Time;
        now
    }

    /// Puts it forward by milliseconds.
    pub(crate) fn advance(&mut self, by: Time) {
        #[expect(clippy::cast_precision_loss, reason = "a test puts it forward by days, not by ages")]
        let by = by.max(0) as f64;
        self.shown += by;
    }

    /// How many of its seconds pass in a real one.
    pub(crate) fn set_speed(&mut self, speed: f64) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact in a double")]
        let now = self.now() as f64;
        (self.shown, self.since, self.speed) = (now, Instant::now(), speed.max(0.0));
    }

    pub(crate) const fn speed(&self) -> f64 {
        self.speed
    }
}

/// The machine's time, by which signatures, sessions and tokens are judged: clients have no other.
pub(crate) fn machine_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::try_from(since.as_millis()).unwrap_or(Time::MAX)
}

/// `90`, `90s`, `5m`, `2h`, `1d`, `250ms`, in milliseconds.
pub(crate) fn span(text: &str) -> Option<Time> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..at].parse().ok()?;
    let unit = match text[at..].trim() {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a longer span than the clock has is cut at its end")]
    let span = (number * unit) as Time;
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, expected) in [
            ("5m", Some(300_000)),
            ("90", Some(90_000)),
            ("250ms", Some(250)),
            ("1.5h", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("5 minutes", None),
            ("", None),
        ] {
            assert_eq!(span(text), expected, "{text}");
        }
    }

    #[test]
    fn it_stands_until_it_is_put_forward() {
        let mut clock = Clock::new(0.0);
        let start = clock.now();
        clock.advance(5);
        clock.advance(-9);
        assert_eq!(clock.now(), start + 5);
    }
}
