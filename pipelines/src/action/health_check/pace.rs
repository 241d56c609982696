//! How often is asked, and for how long.

use std::time::Duration;

use engine::step::ActionCall;

/// The longest that one question may take, where the time is for all of them.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// The longest pause that a backoff makes.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Most attempts that may be asked for.
const ATTEMPTS_MAX: u32 = 1_000;

/// When to ask again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// Until so much time is over.
    Until { limit: Duration, interval: Duration },
    /// So many times, each for so long.
    Attempts { count: u32, each: Duration, interval: Duration, backoff: Option<f64> },
}

impl Pace {
    pub(super) fn of(call: &ActionCall<'_>) -> Result<Self, String> {
        let text = |name: &str| call.inputs.get(name).map_or("", |value| value.trim());
        Self::read(&text, call.defaulted.iter().any(|name| name == "timeout"))
    }

    fn read<'a>(text: &impl Fn(&str) -> &'a str, is_usual_timeout: bool) -> Result<Self, String> {
        let interval = duration("interval", text("interval"))?;
        let timeout = duration("timeout", text("timeout"))?;
        let backoff = match text("backoff") {
            "" => None,
            text => Some(backoff(text)?),
        };
        match text("retries") {
            "" if backoff.is_some() => Err("`backoff` needs `retries`: it says how often is asked".to_owned()),
            "" => Ok(Self::Until { limit: timeout, interval }),
            retries => {
                let count = self::retries(retries)?;
                let each = if is_usual_timeout { PROBE_MAX } else { timeout };
                Ok(Self::Attempts { count, each, interval, backoff })
            }
        }
    }

    /// How long the next attempt may take; `None`: there is none.
    pub(super) fn next(&self, attempts: u32, passed: Duration) -> Option<Duration> {
        match self {
            Self::Until { limit, .. } => {
                let left = limit.saturating_sub(passed);
                (!left.is_zero()).then_some(left.min(PROBE_MAX))
            }
            Self::Attempts { count, each, .. } => (attempts < *count).then_some(*each),
        }
    }

    /// Whether the end of all cuts attempts off.
    pub(super) const fn ends_within_attempts(&self) -> bool {
        matches!(self, Self::Until { .. })
    }

    /// After so many attempts.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        match self {
            Self::Until { interval, .. } | Self::Attempts { interval, backoff: None, .. } => *interval,
            Self::Attempts { backoff: Some(backoff), .. } => {
                let seconds = backoff.powi(i32::try_from(attempts).unwrap_or(i32::MAX));
                Duration::try_from_secs_f64(seconds).map_or(PAUSE_MAX, |pause| pause.min(PAUSE_MAX))
            }
        }
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Until { limit, interval } => {
                write!(f, "every {} s, for {} s at most", interval.as_secs_f64(), limit.as_secs_f64())
            }
            Self::Attempts { count, each, interval, backoff } => {
                write!(f, "{count} times at most, {} s each", each.as_secs_f64())?;
                match backoff {
                    Some(backoff) => write!(f, ", with pauses that grow by {backoff}"),
                    None => write!(f, ", {} s apart", interval.as_secs_f64()),
                }
            }
        }
    }
}

/// A number of attempts.
pub(super) fn retries(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| (1..=ATTEMPTS_MAX).contains(count));
    count.ok_or_else(|| format!("`retries` must be a number from 1 to {ATTEMPTS_MAX}, not `{text}`"))
}

/// What pauses grow by.
pub(super) fn backoff(text: &str) -> Result<f64, String> {
    let backoff = text.parse::<f64>().ok().filter(|backoff| (1.0..=60.0).contains(backoff));
    backoff.ok_or_else(|| format!("`backoff` must be a number from 1 to 60, not `{text}`"))
}

/// Seconds, or a number with a unit.
pub(crate) fn duration(name: &str, text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "s" => Some(1.0),
        "ms" => Some(0.001),
        "m" => Some(60.0),
        _ => None,
    };
    let seconds = number.trim().parse::<f64>().ok().zip(factor).map(|(number, factor)| number * factor);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{name}` must be seconds, or like 500ms or 2m, not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &'static str)], is_usual_timeout: bool) -> Result<Pace, String> {
        let text = |name: &str| {
            let usual = if name == "timeout" {
                "60"
            } else if name == "interval" {
                "1"
            } else {
                ""
            };
            given.iter().find(|(other, _)| *other == name).map_or(usual, |(_, value)| value)
        };
        Pace::read(&text, is_usual_timeout)
    }

    #[test]
    fn times() {
        assert_eq!(duration("t", "1"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("t", "500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("t", "2m"), Ok(Duration::from_secs(120)));
        assert!(duration("t", "-1").is_err() && duration("t", "x").is_err() && duration("t", "1h").is_err());
    }

    #[test]
    fn attempts_with_growing_pauses() {
        let pace = read(&[("retries", "3"), ("backoff", "2")], true).unwrap();
        assert_eq!(pace.to_string(), "3 times at most, 5 s each, with pauses that grow by 2");
        assert_eq!([1, 2, 3].map(|attempts| pace.pause(attempts).as_secs()), [2, 4, 8]);
        assert_eq!(pace.pause(4_000_000_000), PAUSE_MAX);
        let limits = [0, 2, 3].map(|attempts| pace.next(attempts, Duration::from_secs(1_000)));
        assert_eq!(limits, [Some(Duration::from_secs(5)), Some(Duration::from_secs(5)), None]);
        let own = read(&[("retries", "2"), ("timeout", "7"), ("interval", "3")], false).unwrap();
        assert_eq!((own.next(0, Duration::ZERO), own.pause(1).as_secs()), (Some(Duration::from_secs(7)), 3));
        assert_eq!(own.to_string(), "2 times at most, 7 s each, 3 s apart");
    }

    #[test]
    fn until_time_is_over() {
        let pace = read(&[], true).unwrap();
        assert_eq!(pace.to_string(), "every 1 s, for 60 s at most");
        assert_eq!(pace.next(99, Duration::from_secs(58)), Some(Duration::from_secs(2)));
        assert_eq!(pace.next(0, Duration::from_secs(60)), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (given, expected) in [
            (("retries", "0"), "`retries` must be a number from 1 to 1000, not `0`"),
            (("retries", "often"), "not `often`"),
            (("backoff", "2"), "`backoff` needs `retries`"),
            (("backoff", "0.5"), "`backoff` must be a number from 1 to 60"),
        ] {
            assert!(read(&[given], true).is_err_and(|error| error.contains(expected)), "{given:?}");
        }
    }
}
