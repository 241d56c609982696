//! What a server's own records say of how its people deliver: DORA's five figures, minutes and money, slow and waiting.
//!
//! `dora` and `costs` are pure: records in, figures out, no clock. `note` makes the records, once, when a deployment or a
//! run is over, so that no page walks a history or reads a log; `store::insights` keeps them. docs/insights.md says in plain
//! words what each figure is.

pub mod costs;
mod count;
pub mod dora;
mod note;
#[cfg(test)]
mod tests;
mod timeline;
mod window;

pub use note::Noter;
pub use window::{Window, WindowError, WindowWish};

use serde::Serialize;

/// How values lie: the middle one, and the one that nine of ten do not exceed. In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The median.
    pub median_seconds: f64,
    /// The 90th percentile.
    pub p90_seconds: f64,
}

impl Spread {
    /// Of these; `None` of nothing. Between two values it is interpolated, as `PERCENTILE_CONT` of SQL does it.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| percentile(&values, part);
        Some(Self { count: values.len(), median_seconds: at(0.5)?, p90_seconds: at(0.9)? })
    }
}

/// A percentile of sorted values; `part` is from 0 to 1.
fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod spread_tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_values() {
        for (values, expected) in [
            (&[][..], None),
            (&[7.0], Some((7.0, 7.0))),
            (&[3.0, 1.0], Some((2.0, 2.8))),
            (&[1.0, 2.0, 3.0, 4.0, 10.0], Some((3.0, 7.6))),
        ] {
            let spread =
                Spread::of(values.to_vec()).map(|it| (it.median_seconds, (it.p90_seconds * 1e6).round() / 1e6));
            assert_eq!(spread, expected, "{values:?}");
        }
    }
}
