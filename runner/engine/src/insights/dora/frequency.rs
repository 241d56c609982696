//! How often there are deployments, in a word, by the rule of Four Keys over three months.
//!
//! Daily: half of the weeks have deployments on three days or more. Weekly: half of the weeks have one. Monthly: half of the
//! months have one. Weeks begin on Sunday, and those without any deployment count too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use crate::insights::{Window, percentile};

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// On most days of work.
    Daily,
    /// About every week.
    Weekly,
    /// About every month.
    Monthly,
    /// More seldom.
    Yearly,
    /// There was none.
    None,
}

impl Bucket {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::None => "none",
        }
    }

    /// Of deployments at these times, over the three months before the end of a window.
    pub(super) fn of(deployments: impl Iterator<Item = Timestamp>, window: &Window) -> Self {
        let last = window.day(window.to.checked_sub(1.nanosecond()).unwrap_or(window.to));
        let first = last.checked_sub(3.months()).unwrap_or(last);
        let days: BTreeSet<Date> = deployments
            .filter(|at| *at < window.to)
            .map(|at| window.day(at))
            .filter(|day| (first..=last).contains(day))
            .collect();
        if days.is_empty() {
            return Self::None;
        }
        let mut weeks: BTreeMap<Date, f64> = BTreeMap::new();
        let mut day = first;
        while day <= last {
            let week = weeks.entry(week_of(day)).or_default();
            *week += if days.contains(&day) { 1.0 } else { 0.0 };
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        let mut months: BTreeMap<(i16, i8), f64> = BTreeMap::new();
        for (week, count) in &weeks {
            *months.entry((week.year(), week.month())).or_default() += count.min(1.0);
        }
        let median = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            percentile(&values, 0.5).unwrap_or(0.0)
        };
        if median(&mut weeks.values().copied()) >= 3.0 {
            return Self::Daily;
        }
        if median(&mut weeks.values().map(|count| count.min(1.0))) >= 1.0 {
            return Self::Weekly;
        }
        // Each week tells the number of its month, so that long months weigh more.
        let by_week = weeks.keys().map(|week| months.get(&(week.year(), week.month())).copied().unwrap_or(0.0));
        if median(&mut by_week.into_iter()) >= 1.0 { Self::Monthly } else { Self::Yearly }
    }
}

/// The Sunday on or before a day.
fn week_of(day: Date) -> Date {
    let since = i32::from(day.weekday().to_sunday_zero_offset());
    day.checked_sub(since.days()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::WindowWish;

    fn bucket(days: &[String]) -> Bucket {
        let now: Timestamp = "2026-06-30T12:00:00Z".parse().unwrap();
        let window = Window::of(&WindowWish { since: Some("7d".into()), ..WindowWish::default() }, now).unwrap();
        Bucket::of(days.iter().map(|day| day.parse().unwrap()), &window)
    }

    /// Every so many days back from 29 June 2026, a Monday.
    fn every(step: usize, count: usize) -> Vec<String> {
        let day: Date = "2026-06-29".parse().unwrap();
        let back = |number: usize| day.checked_sub(((number * step) as i64).days()).unwrap();
        (0..count).map(|number| format!("{}T09:00:00Z", back(number))).collect()
    }

    #[test]
    fn words_for_how_often() {
        assert_eq!(bucket(&[]), Bucket::None);
        // Three days of each week, and of 7 of 14 weeks: the median is 3, then lies between 0 and 3.
        let three = |weeks: usize| {
            let each = move |back: usize| every(7, weeks).into_iter().map(move |day| (day, back));
            (0..3).flat_map(each).map(|(day, back)| {
                let at: Timestamp = day.parse().unwrap();
                (at - jiff::SignedDuration::from_hours(24 * back as i64)).to_string()
            })
        };
        assert_eq!(bucket(&three(13).collect::<Vec<_>>()), Bucket::Daily);
        assert_eq!(bucket(&three(6).collect::<Vec<_>>()), Bucket::Monthly);
        assert_eq!(bucket(&every(7, 13)), Bucket::Weekly);
        assert_eq!(bucket(&every(14, 7)), Bucket::Monthly);
        assert_eq!(bucket(&every(1, 1)), Bucket::Yearly);
        // What is older than three months says nothing.
        assert_eq!(bucket(&["2026-03-29T09:00:00Z".to_owned()]), Bucket::None);
    }

    #[test]
    fn weeks_begin_on_sunday() {
        for (day, sunday) in [("2026-06-28", "2026-06-28"), ("2026-06-29", "2026-06-28"), ("2026-07-04", "2026-06-28")]
        {
            assert_eq!(week_of(day.parse().unwrap()).to_string(), sunday);
        }
    }
}
