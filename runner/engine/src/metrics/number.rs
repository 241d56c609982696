//! Counters and histograms with labels, and their text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Label values of one family; more are counted as `other`.
const SERIES_MAX: usize = 200;

/// A family of counters, told apart by `N` labels.
#[derive(Debug)]
pub(super) struct Counters<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: Mutex<BTreeMap<[String; N], u64>>,
}

/// A family of histograms of seconds.
#[derive(Debug)]
pub(super) struct Histograms<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    bounds: &'static [f64],
    values: Mutex<BTreeMap<[String; N], Histogram>>,
}

#[derive(Debug, Clone)]
struct Histogram {
    /// How many were at most as long as each bound, and longer than the one before.
    counts: Vec<u64>,
    count: u64,
    sum: f64,
}

impl<const N: usize> Counters<N> {
    pub(super) fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self { name, help, labels, values: Mutex::default() }
    }

    pub(super) fn add(&self, labels: [&str; N]) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        *series(&mut values, labels, || 0) += 1;
    }

    pub(super) fn render(&self, text: &mut Text) {
        text.head(self.name, self.help, "counter");
        for (values, count) in self.values.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text.value(self.name, &pairs(&self.labels, values), *count as f64);
        }
    }
}

impl<const N: usize> Histograms<N> {
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds: &'static [f64],
    ) -> Self {
        Self { name, help, labels, bounds, values: Mutex::default() }
    }

    pub(super) fn observe(&self, labels: [&str; N], took: Duration) {
        let seconds = took.as_secs_f64();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = || Histogram { counts: vec![0; self.bounds.len()], count: 0, sum: 0.0 };
        let histogram = series(&mut values, labels, empty);
        if let Some(at) = self.bounds.iter().position(|bound| seconds <= *bound) {
            histogram.counts[at] += 1;
        }
        histogram.count += 1;
        histogram.sum += seconds;
    }

    pub(super) fn render(&self, text: &mut Text) {
        text.head(self.name, self.help, "histogram");
        for (values, histogram) in self.values.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = pairs(&self.labels, values);
            let bucket = format!("{}_bucket", self.name);
            let mut below = 0;
            for (bound, count) in self.bounds.iter().zip(&histogram.counts) {
                below += count;
                let bound = bound.to_string();
                text.value(&bucket, &[labels.as_slice(), &[("le", bound.as_str())]].concat(), below as f64);
            }
            text.value(&bucket, &[labels.as_slice(), &[("le", "+Inf")]].concat(), histogram.count as f64);
            text.value(&format!("{}_sum", self.name), &labels, histogram.sum);
            text.value(&format!("{}_count", self.name), &labels, histogram.count as f64);
        }
    }
}

/// The series of these labels; the one of `other` where there are too many.
fn series<'a, T, const N: usize>(
    values: &'a mut BTreeMap<[String; N], T>,
    labels: [&str; N],
    empty: impl FnOnce() -> T,
) -> &'a mut T {
    let mut key = labels.map(str::to_owned);
    if values.len() >= SERIES_MAX && !values.contains_key(&key) {
        key = std::array::from_fn(|_| "other".to_owned());
    }
    values.entry(key).or_insert_with(empty)
}

fn pairs<'a, const N: usize>(names: &[&'static str; N], values: &'a [String; N]) -> Vec<(&'static str, &'a str)> {
    names.iter().copied().zip(values.iter().map(String::as_str)).collect()
}

/// The text, as it grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let open = if at == 0 { '{' } else { ',' };
            let _infallible = write!(self.0, "{open}{label}=\"{value}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _infallible = writeln!(self.0, "{close} {value}");
    }

    /// A family of one gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.head(name, help, "gauge");
        self.value(name, labels, value);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
