//! From when to when figures are, as people ask for it: the last days, or from a day to a day in some time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _, Unit, Zoned};
use serde::Deserialize;

/// Days of a window that nobody has said anything of.
const DAYS: i64 = 30;
/// Longest window, in days.
const DAYS_MAX: i64 = 366;

/// A time that has begun at `from` and ends before `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment behind it.
    pub to: Timestamp,
    /// Where days begin and end.
    pub zone: TimeZone,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WindowWish {
    /// So long back from now: `7d`, `12w`, `36h`; or a number of days.
    pub since: Option<String>,
    /// A day (`2026-03-01`) or a moment (RFC 3339).
    pub from: Option<String>,
    /// The last day, or the moment before which it ends; now without it.
    pub to: Option<String>,
    /// Such as `Europe/Vienna`; UTC without it.
    pub timezone: Option<String>,
}

/// Why it is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WindowError(String);

impl Window {
    /// The window of a wish.
    ///
    /// # Errors
    /// A part of it cannot be read, it is empty, or longer than [`DAYS_MAX`] days.
    pub fn of(wish: &WindowWish, now: Timestamp) -> Result<Self, WindowError> {
        let wrong = |text: String| Err(WindowError(text));
        let zone = match wish.timezone.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            None => TimeZone::UTC,
            Some(name) => match TimeZone::get(name) {
                Ok(zone) => zone,
                Err(_) => return wrong(format!("`{name}` is no time zone such as Europe/Vienna")),
            },
        };
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned);
        let to = given(&wish.to).map_or(Ok(now), |text| moment(&text, &zone, true))?;
        let from = match (given(&wish.since), given(&wish.from)) {
            (Some(_), Some(_)) => return wrong("give either `since` or `from`".to_owned()),
            (Some(since), None) => back(&to.to_zoned(zone.clone()), length(&since)?)?,
            (None, Some(from)) => moment(&from, &zone, false)?,
            (None, None) => back(&to.to_zoned(zone.clone()), DAYS.days())?,
        };
        let window = Self { from, to, zone };
        if from >= to {
            return wrong(format!("the time from {from} to {to} is empty"));
        }
        if window.days() > DAYS_MAX as f64 {
            return wrong(format!("a window has at most {DAYS_MAX} days"));
        }
        Ok(window)
    }

    /// The last days before a moment, in UTC.
    #[must_use]
    pub fn last(days: i64, now: Timestamp) -> Self {
        let from = now.to_zoned(TimeZone::UTC).checked_sub(days.days()).map_or(Timestamp::MIN, |at| at.timestamp());
        Self { from, to: now, zone: TimeZone::UTC }
    }

    /// Whether a moment is in it.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Its length in days of its time zone, of which two a year have 23 and 25 hours.
    #[must_use]
    pub fn days(&self) -> f64 {
        let (from, to) = (self.from.to_zoned(self.zone.clone()), self.to.to_zoned(self.zone.clone()));
        let whole = from.until((Unit::Day, &to)).map_or(0, |span| span.get_days());
        let rest = from.checked_add(whole.days()).and_then(|at| at.until(&to)?.total(Unit::Hour)).unwrap_or(0.0);
        f64::from(whole) + rest / 24.0
    }

    /// The day on which a moment is.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }
}

fn back(to: &Zoned, length: Span) -> Result<Timestamp, WindowError> {
    let early = |_| WindowError("it begins before time".to_owned());
    to.checked_sub(length).map(|at| at.timestamp()).map_err(early)
}

/// `30`, `30d`, `4w`, `36h`.
fn length(text: &str) -> Result<Span, WindowError> {
    let wrong = || WindowError(format!("`{text}` is no length of time such as 30d, 12w or 36h"));
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let number: i64 = number.parse().map_err(|_| wrong())?;
    if !(1..=100_000).contains(&number) {
        return Err(wrong());
    }
    match unit {
        "" | "d" => Ok(number.days()),
        "w" => Ok(number.weeks()),
        "h" => Ok(number.hours()),
        _ => Err(wrong()),
    }
}

/// A moment, or a day: its beginning, or where `is_end` its end.
fn moment(text: &str, zone: &TimeZone, is_end: bool) -> Result<Timestamp, WindowError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong =
        || WindowError(format!("`{text}` is no day such as 2026-03-01, and no moment such as 2026-03-01T09:00:00Z"));
    // A date with a time but without a zone would be read as its day.
    if text.len() > "2026-03-01".len() {
        return Err(wrong());
    }
    let day: Date = text.parse().map_err(|_| wrong())?;
    let day = if is_end { day.tomorrow().map_err(|_| wrong())? } else { day };
    day.to_zoned(zone.clone()).map(|at| at.timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wish: [&str; 4], expected: Result<(&str, &str, f64), &str>) {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let [since, from, to, timezone] = wish.map(given);
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        let window = Window::of(&WindowWish { since, from, to, timezone }, now);
        let shown =
            window.map(|it| (it.from.to_string(), it.to.to_string(), it.days())).map_err(|error| error.to_string());
        let expected = expected.map(|(from, to, days)| (from.to_owned(), to.to_owned(), days));
        assert_eq!(shown, expected.map_err(str::to_owned), "{wish:?}");
    }

    #[test]
    fn windows() {
        let now = "2026-03-31T12:00:00Z";
        check(["", "", "", ""], Ok(("2026-03-01T12:00:00Z", now, 30.0)));
        check(["7d", "", "", ""], Ok(("2026-03-24T12:00:00Z", now, 7.0)));
        check(["36h", "", "", ""], Ok(("2026-03-30T00:00:00Z", now, 1.5)));
        check(["2w", "", "2026-03-31T00:00:00Z", ""], Ok(("2026-03-17T00:00:00Z", "2026-03-31T00:00:00Z", 14.0)));
        // Summer time begins on 29 March: that day has 23 hours and is a day.
        let march = ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", 31.0);
        check(["", "2026-03-01", "2026-03-31", "Europe/Vienna"], Ok(march));
        check(
            ["", "2026-03-29", "2026-03-29", "Europe/Vienna"],
            Ok(("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 1.0)),
        );
        check(["", "2026-03-29", "2026-03-29", ""], Ok(("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z", 1.0)));
        check(["7d", "2026-03-01", "", ""], Err("give either `since` or `from`"));
        check(["7m", "", "", ""], Err("`7m` is no length of time such as 30d, 12w or 36h"));
        check(["-1d", "", "", ""], Err("`-1d` is no length of time such as 30d, 12w or 36h"));
        check(["", "", "", "Vienna"], Err("`Vienna` is no time zone such as Europe/Vienna"));
        check(["400d", "", "", ""], Err("a window has at most 366 days"));
        check(["", "2026-04-02", "", ""], Err("the time from 2026-04-02T00:00:00Z to 2026-03-31T12:00:00Z is empty"));
        let wrong = "`2026-03-01T09:00` is no day such as 2026-03-01, and no moment such as 2026-03-01T09:00:00Z";
        check(["", "2026-03-01T09:00", "", ""], Err(wrong));
    }
}
