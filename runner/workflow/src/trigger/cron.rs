//! Cron lines of `schedule`: five fields, in a time zone, and the next time after a given one.
//!
//! It reads no clock. Times that a time zone skips (when clocks go forward) happen at the first moment after the gap;
//! times that it has twice happen once, the first time.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>
//! and POSIX crontab.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// Shortest interval that GitHub keeps.
pub const INTERVAL_MINUTES_MIN: u8 = 5;
/// How far ahead the next time is looked for: 29 February may be eight years away.
const SEARCH_DAYS_MAX: usize = 366 * 9;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A cron line that was understood, in its time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    zone: TimeZone,
}

/// The values of one field, bit n for value n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// Whether it begins with `*`: then the other of the two day fields decides alone.
    star: bool,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// `@daily` and the like.
    #[error("`{0}` is not supported, write five fields (minute, hour, day of month, month, day of week)")]
    Nickname(String),
    /// Not five fields.
    #[error("a cron line has five fields (minute, hour, day of month, month, day of week), this has {0}")]
    FieldCount(usize),
    /// A field that is not understood.
    #[error("`{text}` is no {field}: {min} to {max}, `*`, lists with `,`, ranges with `-`, steps with `/`")]
    Field {
        /// `minute`, `hour`, `day of month`, `month`, `day of week`.
        field: &'static str,
        /// The field as written.
        text: String,
        /// Least value.
        min: u8,
        /// Greatest value.
        max: u8,
    },
    /// No time zone of that name.
    #[error("`{0}` is no IANA time zone, such as `Europe/Berlin`")]
    TimeZone(String),
}

impl Cron {
    /// Reads a line and the name of its time zone (UTC where absent).
    ///
    /// # Errors
    /// The first thing that GitHub does not accept.
    pub fn parse(line: &str, timezone: Option<&str>) -> Result<Self, CronError> {
        if line.trim_start().starts_with('@') {
            return Err(CronError::Nickname(line.trim().to_owned()));
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(CronError::FieldCount(fields.len()));
        };
        let zone = match timezone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| CronError::TimeZone(name.to_owned()))?,
        };
        Ok(Self {
            minutes: field("minute", minutes, 0, 59, &[])?,
            hours: field("hour", hours, 0, 23, &[])?,
            days: field("day of month", days, 1, 31, &[])?,
            months: field("month", months, 1, 12, &MONTHS)?,
            weekdays: field("day of week", weekdays, 0, 6, &DAYS)?,
            zone,
        })
    }

    /// The first time that is later than `after`; none if there is none in nine years (30 February).
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // A day earlier, since a gap moves times to the next day in a few zones.
        let first = after.to_zoned(self.zone.clone()).date().yesterday().ok()?;
        first
            .series(1.day())
            .take(SEARCH_DAYS_MAX)
            .filter(|date| self.has_date(*date))
            .find_map(|date| self.times(date).find(|time| *time > after))
    }

    /// Whether two times may be less than [`INTERVAL_MINUTES_MIN`] minutes apart; GitHub does not keep such a line.
    #[must_use]
    pub fn is_too_frequent(&self) -> bool {
        let minutes: Vec<u8> = self.minutes.values().collect();
        let close = |pair: &[u8]| pair[1] - pair[0] < INTERVAL_MINUTES_MIN;
        let hours_touch = self.hours.bits & (self.hours.bits << 1) != 0 || self.hours.bits & 0x0080_0001 == 0x0080_0001;
        let wraps = match (minutes.first(), minutes.last()) {
            (Some(first), Some(last)) => minutes.len() > 1 && hours_touch && first + 60 - last < INTERVAL_MINUTES_MIN,
            (_, _) => false,
        };
        minutes.windows(2).any(close) || wraps
    }

    fn has_date(&self, date: Date) -> bool {
        let day = self.days.has(date.day().unsigned_abs());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset().unsigned_abs());
        let days = if self.days.star || self.weekdays.star { day && weekday } else { day || weekday };
        days && self.months.has(date.month().unsigned_abs())
    }

    /// The moments of one date, in order (a gap can make two of them the same).
    fn times(&self, date: Date) -> impl Iterator<Item = Timestamp> {
        self.hours.values().flat_map(move |hour| {
            self.minutes.values().filter_map(move |minute| {
                let time = Time::new(hour.cast_signed(), minute.cast_signed(), 0, 0).ok()?;
                let ambiguous = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
                if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
                    return ambiguous.earlier().ok();
                }
                // Both offsets of the gap put the time on a side of it; the transition lies between.
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|transition| transition.timestamp())
            })
        })
    }
}

impl Field {
    const fn has(self, value: u8) -> bool {
        self.bits >> value & 1 == 1
    }

    fn values(self) -> impl Iterator<Item = u8> {
        (0..60).filter(move |value| self.has(*value))
    }
}

fn field(name: &'static str, text: &str, min: u8, max: u8, words: &[&str]) -> Result<Field, CronError> {
    let bits = text.split(',').try_fold(0, |bits, part| Some(bits | values(part, min, max, words)?));
    let refuse = || CronError::Field { field: name, text: text.to_owned(), min, max };
    Ok(Field { bits: bits.ok_or_else(refuse)?, star: text.starts_with('*') })
}

/// One part of a list: `*`, a value or a range, with a step.
fn values(part: &str, min: u8, max: u8, words: &[&str]) -> Option<u64> {
    let (range, step) = match part.split_once('/') {
        None => (part, None),
        Some((range, step)) => (range, Some(number(step).filter(|step| (1..=max).contains(step))?)),
    };
    let one = |text: &str| value(text, min, max, words);
    let (from, to) = match range.split_once('-') {
        Some((from, to)) => (one(from)?, one(to)?),
        None if range == "*" => (min, max),
        // `5/15` counts from 5 to the end.
        None if step.is_some() => (one(range)?, max),
        None => (one(range)?, one(range)?),
    };
    (from <= to).then(|| (from..=to).step_by(usize::from(step.unwrap_or(1))).fold(0, |bits, value| bits | 1 << value))
}

fn value(text: &str, min: u8, max: u8, words: &[&str]) -> Option<u8> {
    let named = (min..).zip(words).find(|(_, word)| word.eq_ignore_ascii_case(text)).map(|(value, _)| value);
    named.or_else(|| number(text)).filter(|value| (min..=max).contains(value))
}

/// Decimal digits only; `+5` and `` are none.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, zone: &str, after: &str) -> String {
        let cron = Cron::parse(line, Some(zone)).unwrap();
        cron.next_after(after.parse().unwrap()).map_or_else(|| "never".to_owned(), |time| time.to_string())
    }

    #[test]
    fn next_times() {
        for (line, zone, after, expected) in [
            ("*/15 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"),
            ("*/15 * * * *", "UTC", "2026-01-01T00:14:59.5Z", "2026-01-01T00:15:00Z"),
            ("30 5 * * 1-5", "UTC", "2026-01-02T05:30:00Z", "2026-01-05T05:30:00Z"),
            ("30 5 * * MON", "UTC", "2026-01-02T05:30:00Z", "2026-01-05T05:30:00Z"),
            ("0 0 1 JAN *", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
            ("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", "never"),
            // Both day fields written: either is enough.
            ("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("0 0 13 * */2", "UTC", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z"),
            ("20/20 10 * * *", "UTC", "2026-01-01T10:20:00Z", "2026-01-01T10:40:00Z"),
            ("0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z"),
            // Berlin, 29 March 2026: 02:00 to 03:00 does not exist.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
            // Berlin, 25 October 2026: 02:00 to 03:00 happens twice.
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(next(line, zone, after), expected, "{line} {zone} {after}");
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "@daily",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "* * * * FOO",
            "JAN * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "1,,2 * * * *",
            "1- * * * *",
            "/5 * * * *",
            "1-2-3 * * * *",
            "*-5 * * * *",
            "+5 * * * *",
            "L * * * *",
            "",
        ] {
            assert!(Cron::parse(line, None).is_err(), "{line}");
        }
        assert!(matches!(Cron::parse("* * * * *", Some("Mars/Base")), Err(CronError::TimeZone(_))));
    }

    #[test]
    fn too_frequent() {
        for (line, expected) in [
            ("* * * * *", true),
            ("*/5 * * * *", false),
            ("*/4 * * * *", true),
            ("0,3 * * * *", true),
            ("0,30 * * * *", false),
            ("1,58 * * * *", true),
            ("1,58 3 * * *", false),
            ("0 * * * *", false),
            ("0-4 1 1 1 *", true),
        ] {
            assert_eq!(Cron::parse(line, None).unwrap().is_too_frequent(), expected, "{line}");
        }
    }
}
