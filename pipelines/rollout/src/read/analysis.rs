//! `analysis:` of a deploy action.

use jiff::SignedDuration;
use serde_yaml::Value;

use super::entry::{Entry, kind, unknown, yaml};
use super::{Mistakes, Reader};
use crate::plan::{Analysis, Inconclusive, Metric};

const EXAMPLE: &str = "{ metrics: [errors, latency-p95, restarts], max-ratio: 1.2, alpha: 0.05 }";
const METRICS: [&str; 3] = ["errors", "latency-p95", "restarts"];

impl Default for Analysis {
    fn default() -> Self {
        Self {
            metrics: vec![Metric::Errors, Metric::LatencyP95, Metric::Restarts],
            max_ratio: 1.2,
            alpha: 0.05,
            min_requests: 50,
            inconclusive: Inconclusive::Extend,
            max_extend: SignedDuration::from_mins(15),
        }
    }
}

impl Analysis {
    /// Reads `{ metrics: [errors, latency-p95, restarts], max-ratio: 1.2, alpha: 0.05, min-requests: 50, inconclusive: extend,
    /// max-extend: 15m }`; what is not written is as in [`Analysis::default`].
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read(text: &str) -> Result<Self, Mistakes> {
        const KEYS: [&str; 6] = ["metrics", "max-ratio", "alpha", "min-requests", "inconclusive", "max-extend"];
        let mut reader = Reader::default();
        let mut analysis = Self::default();
        let Some(value) = yaml(&mut reader, "analysis", text) else { return reader.end(analysis) };
        let Some(entry) = Entry::new(&mut reader, "analysis".to_owned(), &value, &KEYS, EXAMPLE) else {
            return reader.end(analysis);
        };
        if let Some(value) = entry.get("metrics") {
            analysis.metrics = read_metrics(&mut reader, &entry.at("metrics"), value);
        }
        if let Some(ratio) =
            bounded(&mut reader, &entry, "max-ratio", (1.0, 100.0), "how many times as bad as blue green may be")
        {
            analysis.max_ratio = ratio;
        }
        if let Some(alpha) = bounded(&mut reader, &entry, "alpha", (0.000_1, 0.5), "the chance of a false alarm") {
            analysis.alpha = alpha;
        }
        if let Some(value) = entry.get("min-requests") {
            match value.as_u64() {
                Some(number) => analysis.min_requests = number,
                None => {
                    reader.wrong(entry.at("min-requests"), format!("{} is not a whole number of requests", kind(value)))
                }
            }
        }
        if let Some(duration) = entry.duration(&mut reader, "max-extend") {
            analysis.max_extend = duration;
        }
        if let Some(value) = entry.get("inconclusive") {
            match value.as_str() {
                Some("extend") => analysis.inconclusive = Inconclusive::Extend,
                Some("ask") => analysis.inconclusive = Inconclusive::Ask,
                Some("promote") => analysis.inconclusive = Inconclusive::Promote,
                Some("rollback") => analysis.inconclusive = Inconclusive::Rollback,
                Some(other) => {
                    let known = ["extend", "ask", "promote", "rollback"];
                    reader.wrong(entry.at("inconclusive"), unknown("word", other, &known));
                }
                None => reader.wrong(entry.at("inconclusive"), format!("{} is not a word", kind(value))),
            }
        }
        reader.end(analysis)
    }
}

fn bounded(reader: &mut Reader, entry: &Entry<'_>, key: &str, (low, high): (f64, f64), what: &str) -> Option<f64> {
    match entry.number(key)? {
        Ok(number) if (low..=high).contains(&number) => Some(number),
        Ok(number) => {
            reader.wrong(entry.at(key), format!("{number} is out of bounds; {what}, from {low} to {high}"));
            None
        }
        Err(words) => {
            reader.wrong(entry.at(key), format!("{words}; {what}, from {low} to {high}"));
            None
        }
    }
}

fn read_metrics(reader: &mut Reader, place: &str, value: &Value) -> Vec<Metric> {
    let words: Vec<&Value> = match value {
        Value::Sequence(words) => words.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Mapping(_) | Value::Tagged(_) => {
            vec![value]
        }
    };
    let mut metrics = Vec::new();
    for word in words {
        let metric = match word.as_str() {
            Some("errors") => Metric::Errors,
            Some("latency-p95") => Metric::LatencyP95,
            Some("restarts") => Metric::Restarts,
            Some(other) => {
                reader.wrong(place, unknown("metric", other, &METRICS));
                continue;
            }
            None => {
                reader.wrong(place, format!("{} is not the name of a metric", kind(word)));
                continue;
            }
        };
        if metrics.contains(&metric) {
            reader.wrong(place, format!("`{}` twice", METRICS[metric as usize]));
        }
        metrics.push(metric);
    }
    if metrics.is_empty() && reader.mistakes.is_empty() {
        reader.wrong(
            place,
            "empty; name at least one of `errors`, `latency-p95`, `restarts`, or leave `analyse` out of the steps",
        );
    }
    metrics
}
