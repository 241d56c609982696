//! Times in which nothing is deployed: a span of dates, or one that comes back each week or each day.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};

const MINUTES_OF_DAY: i64 = 24 * 60;
const MINUTES_OF_WEEK: i64 = 7 * MINUTES_OF_DAY;

/// A window in which deployments wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    window: Window,
    zone: TimeZone,
    /// Told to people, possibly empty.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Once.
    Once { from: DateTime, to: DateTime },
    /// Minutes since the beginning of each period: a week from Monday 00:00, or a day. `from` may lie behind `to`.
    Every { period: i64, from: i64, to: i64 },
}

/// One end of a window as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    At(DateTime),
    InWeek(i64),
    InDay(i64),
}

impl Freeze {
    /// From one end to another, both of a form: `2026-12-20` or `2026-12-20 18:00`, `fri 16:00`, `22:00`. A date alone as
    /// the last end counts whole.
    ///
    /// # Errors
    /// What is wrong, a sentence fragment.
    pub fn new(from: &str, to: &str, zone: TimeZone, reason: &str) -> Result<Self, String> {
        let (begin, end) = (End::parse(from)?, End::parse(to)?);
        let window = match (begin, end) {
            (End::At(begin), End::At(end)) => {
                let whole = Date::strptime("%Y-%m-%d", to.trim()).is_ok();
                let end = if whole { end.saturating_add(1.day()) } else { end };
                if end <= begin {
                    return Err(format!("`{to}` is not behind `{from}`"));
                }
                Window::Once { from: begin, to: end }
            }
            (End::InWeek(from), End::InWeek(to)) => Window::Every { period: MINUTES_OF_WEEK, from, to },
            (End::InDay(from), End::InDay(to)) => Window::Every { period: MINUTES_OF_DAY, from, to },
            (End::At(_) | End::InWeek(_) | End::InDay(_), _) => {
                return Err(format!("`{from}` and `{to}` are of different forms"));
            }
        };
        if let Window::Every { from: begin, to: end, .. } = window
            && begin == end
        {
            return Err(format!("from `{from}` to `{to}` is always: then nothing could ever be deployed"));
        }
        Ok(Self { window, zone, reason: reason.to_owned() })
    }

    /// Where the window is open: when it ends.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(now);
        let end = match self.window {
            Window::Once { from, to } => (from..to).contains(&local).then_some(to)?,
            Window::Every { period, from, to } => {
                let at = minutes(local, period);
                let (length, passed) = ((to - from).rem_euclid(period), (at - from).rem_euclid(period));
                (passed < length).then_some(())?;
                let minute = local.with().second(0).subsec_nanosecond(0).build().unwrap_or(local);
                minute.saturating_add(Span::new().minutes(length - passed))
            }
        };
        let end = self.zone.to_zoned(end).map_or(Timestamp::MAX, |end| end.timestamp());
        // A clock that is turned back repeats the last minutes; it still ends.
        Some(end.max(now.saturating_add(1.second()).unwrap_or(Timestamp::MAX)))
    }
}

/// Minutes since the beginning of the period.
fn minutes(local: DateTime, period: i64) -> i64 {
    let of_day = i64::from(local.hour()) * 60 + i64::from(local.minute());
    if period == MINUTES_OF_DAY {
        return of_day;
    }
    i64::from(local.weekday().to_monday_zero_offset()) * MINUTES_OF_DAY + of_day
}

impl End {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let time = |text: &str| match text {
            "24:00" => Some(MINUTES_OF_DAY),
            _ => Time::strptime("%H:%M", text).ok().map(|at| i64::from(at.hour()) * 60 + i64::from(at.minute())),
        };
        if let Some(minutes) = time(text) {
            return Ok(Self::InDay(minutes % MINUTES_OF_DAY));
        }
        if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
            return Ok(Self::At(date.at(0, 0, 0, 0)));
        }
        if let Ok(at) = DateTime::strptime("%Y-%m-%d %H:%M", text) {
            return Ok(Self::At(at));
        }
        let (day, rest) = text.split_once(' ').unwrap_or((text, "00:00"));
        let (day, minutes) = weekday(day).zip(time(rest.trim())).ok_or_else(|| {
            format!("`{text}` is no time such as `2026-12-20`, `2026-12-20 18:00`, `fri 16:00` or `22:00`")
        })?;
        let day = i64::from(day.to_monday_zero_offset());
        Ok(Self::InWeek((day * MINUTES_OF_DAY + minutes) % MINUTES_OF_WEEK))
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_lowercase();
    let found = days.iter().position(|day| text.len() >= 3 && day.starts_with(text.as_str()))?;
    Weekday::from_monday_zero_offset(i8::try_from(found).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, now: &str, expect: Option<&str>) {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let freeze = Freeze::new(from, to, zone, "").unwrap();
        let until = freeze.until(now.parse().unwrap()).map(|at| at.to_string());
        assert_eq!(until.as_deref(), expect, "{from} – {to} at {now}");
    }

    #[test]
    fn windows_are_open_and_end() {
        // Vienna is one hour before UTC in winter, two in summer.
        check("2026-12-20", "2027-01-03", "2026-12-19T22:59:59Z", None);
        check("2026-12-20", "2027-01-03", "2026-12-19T23:00:00Z", Some("2027-01-03T23:00:00Z"));
        check("2026-12-20", "2027-01-03", "2027-01-03T22:59:59Z", Some("2027-01-03T23:00:00Z"));
        check("2026-12-20", "2027-01-03", "2027-01-03T23:00:00Z", None);
        check("2026-12-24 12:00", "2026-12-24 18:00", "2026-12-24T11:30:00Z", Some("2026-12-24T17:00:00Z"));
        // 2026-11-20 is a Friday.
        check("fri 16:00", "mon 08:00", "2026-11-20T14:59:00Z", None);
        check("fri 16:00", "mon 08:00", "2026-11-20T15:00:30Z", Some("2026-11-23T07:00:00Z"));
        check("friday 16:00", "Monday 08:00", "2026-11-23T06:59:59Z", Some("2026-11-23T07:00:00Z"));
        check("fri 16:00", "mon 08:00", "2026-11-23T07:00:00Z", None);
        check("sat", "mon", "2026-11-22T12:00:00Z", Some("2026-11-22T23:00:00Z"));
        check("22:00", "06:00", "2026-07-01T20:00:00Z", Some("2026-07-02T04:00:00Z"));
        check("22:00", "06:00", "2026-07-01T03:59:00Z", Some("2026-07-01T04:00:00Z"));
        check("22:00", "06:00", "2026-07-01T04:00:00Z", None);
        check("16:00", "24:00", "2026-07-01T21:59:00Z", Some("2026-07-01T22:00:00Z"));
    }

    /// The clock jumps from 2:00 to 3:00 and back from 3:00 to 2:00.
    #[test]
    fn a_change_of_the_clock_neither_prolongs_nor_sticks() {
        check("sat 22:00", "sun 02:30", "2026-03-28T22:00:00Z", Some("2026-03-29T01:30:00Z"));
        check("sat 22:00", "sun 02:30", "2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z"));
        // The second 02:15 of that night: the window seems open until what has passed already.
        check("sat 22:00", "sun 02:30", "2026-10-25T01:15:00Z", Some("2026-10-25T01:15:01Z"));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (from, to, problem) in [
            ("2026-12-20", "2026-12-19", "not behind"),
            ("fri 16:00", "08:00", "different forms"),
            ("22:00", "22:00", "always"),
            ("mon", "monday 00:00", "always"),
            ("00:00", "24:00", "always"),
            ("someday", "mon", "no time such as"),
            ("25:00", "26:00", "no time such as"),
            ("2026-13-01", "2026-13-02", "no time such as"),
        ] {
            let error = Freeze::new(from, to, TimeZone::UTC, "").unwrap_err();
            assert!(error.contains(problem), "{from} – {to}: {error}");
        }
    }
}
