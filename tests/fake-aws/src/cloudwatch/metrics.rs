//! Metrics: values with how often they occurred, in time; statistics over periods.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html>

use serde_json::{Map, Value, json};

use super::{dimensions, metric_id};
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, SECOND, Time, stamp};
use crate::world::World;

/// Older points are forgotten.
const KEPT: Time = 7 * 24 * 3_600 * SECOND;
/// At most so many periods in one answer.
const PERIODS_MAX: Time = 1_440;

/// The points of one metric, in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Series {
    points: Vec<(Time, f64, f64)>,
}

impl Series {
    pub(super) fn put(&mut self, at: Time, value: f64, count: f64) {
        let place = self.points.partition_point(|(time, ..)| *time <= at);
        self.points.insert(place, (at, value, count));
        let old = self.points.partition_point(|(time, ..)| *time < at - KEPT);
        self.points.drain(..old);
    }

    /// Points from `from` to before `to`.
    fn within(&self, from: Time, to: Time) -> &[(Time, f64, f64)] {
        let start = self.points.partition_point(|(time, ..)| *time < from);
        let end = self.points.partition_point(|(time, ..)| *time < to);
        &self.points[start..end.max(start)]
    }

    /// A statistic of a stretch of time; none without points.
    pub(super) fn statistic(&self, name: &str, from: Time, to: Time) -> Option<f64> {
        let points = self.within(from, to);
        let count: f64 = points.iter().map(|(_, _, count)| count).sum();
        if points.is_empty() || count <= 0.0 {
            return None;
        }
        let sum: f64 = points.iter().map(|(_, value, count)| value * count).sum();
        match name {
            "Sum" => Some(sum),
            "SampleCount" => Some(count),
            "Average" => Some(sum / count),
            "Minimum" => points.iter().map(|(_, value, _)| *value).reduce(f64::min),
            "Maximum" => points.iter().map(|(_, value, _)| *value).reduce(f64::max),
            other => percentile(points, other.strip_prefix('p')?.parse().ok()?, count),
        }
    }
}

fn percentile(points: &[(Time, f64, f64)], percent: f64, count: f64) -> Option<f64> {
    let mut sorted: Vec<_> = points.iter().map(|(_, value, count)| (*value, *count)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted = count * percent / 100.0;
    let mut seen = 0.0;
    for (value, count) in &sorted {
        seen += count;
        if seen >= wanted {
            return Some(*value);
        }
    }
    sorted.last().map(|(value, _)| *value)
}

impl World {
    pub(super) fn put_metric_data(&mut self, input: &Value) -> Answer {
        let namespace = input
            .text("Namespace")
            .ok_or_else(|| AwsError::new("MissingParameter", "The parameter Namespace is required."))?
            .to_owned();
        for datum in input.items("MetricData") {
            let name = datum.text("MetricName").ok_or_else(|| {
                AwsError::new("MissingParameter", "The parameter MetricData.member.1.MetricName is required.")
            })?;
            let id = (namespace.clone(), name.to_owned(), dimensions(datum));
            let at = datum.time("Timestamp").unwrap_or(self.now);
            if let Some(value) = datum.number("Value") {
                self.watch.put(id.clone(), at, value, 1.0);
            }
            let counts = datum.items("Counts");
            for (number, value) in datum.items("Values").iter().enumerate() {
                let count = counts.get(number).map_or(1.0, |count| float(count).unwrap_or(1.0));
                self.watch.put(id.clone(), at, float(value).unwrap_or_default(), count);
            }
            if let Some(set) = datum.get("StatisticValues") {
                let count = set.number("SampleCount").unwrap_or(1.0);
                self.watch.put(id, at, set.number("Sum").unwrap_or_default() / count, count);
            }
        }
        Ok(json!({}))
    }

    pub(super) fn get_metric_data(&self, input: &Value) -> Answer {
        let (from, to) = span(input)?;
        let descending = input.text("ScanBy") != Some("TimestampAscending");
        let mut results = Vec::new();
        for query in input.items("MetricDataQueries") {
            if query.flag("ReturnData") == Some(false) {
                continue;
            }
            let id = query.text("Id").unwrap_or_default();
            let Some(wanted) = query.get("MetricStat") else {
                let message = format!("fake-aws has no metric math: query {id} needs a MetricStat");
                return refuse("ValidationError", message);
            };
            let metric = metric_id(wanted.get("Metric").unwrap_or(&Value::Null));
            let period = wanted.int("Period").unwrap_or(60).max(1) * SECOND;
            let stat = wanted.text("Stat").unwrap_or("Average");
            let mut found = self.periods(&metric, stat, from, to, period)?;
            if descending {
                found.reverse();
            }
            results.push(json!({
                "Id": id, "Label": query.text("Label").unwrap_or(&metric.1), "StatusCode": "Complete",
                "Timestamps": found.iter().map(|(at, _)| stamp(*at)).collect::<Vec<_>>(),
                "Values": found.iter().map(|(_, value)| *value).collect::<Vec<f64>>(),
            }));
        }
        Ok(json!({ "MetricDataResults": results, "Messages": [] }))
    }

    fn periods(
        &self,
        metric: &super::MetricId,
        stat: &str,
        from: Time,
        to: Time,
        period: Time,
    ) -> Result<Vec<(Time, f64)>, AwsError> {
        let start = from - from.rem_euclid(period);
        if (to - start) / period > PERIODS_MAX {
            return refuse(
                "InvalidParameterCombination",
                "The requested metric data has more datapoints than can be returned",
            );
        }
        let Some(series) = self.watch.metrics.get(metric) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut at = start;
        while at < to {
            found.extend(series.statistic(stat, at, at + period).map(|value| (at, value)));
            at += period;
        }
        Ok(found)
    }

    pub(super) fn get_metric_statistics(&self, input: &Value) -> Answer {
        let (from, to) = span(input)?;
        let metric = metric_id(input);
        let period = input.int("Period").unwrap_or(60).max(1) * SECOND;
        let (plain, extended) = (input.texts("Statistics"), input.texts("ExtendedStatistics"));
        if plain.is_empty() && extended.is_empty() {
            return refuse("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics");
        }
        let mut points: Vec<Value> = Vec::new();
        for (at, _) in self.periods(&metric, "SampleCount", from, to, period)? {
            let series = &self.watch.metrics[&metric];
            let value =
                |stat: &String| series.statistic(stat, at, at + period).map(|value| (stat.clone(), json!(value)));
            let mut point: Map<String, Value> = plain.iter().filter_map(value).collect();
            let more: Map<String, Value> = extended.iter().filter_map(value).collect();
            if !more.is_empty() {
                point.insert("ExtendedStatistics".to_owned(), Value::Object(more));
            }
            point.insert("Timestamp".to_owned(), stamp(at));
            point.insert("Unit".to_owned(), json!("None"));
            points.push(Value::Object(point));
        }
        Ok(json!({ "Label": metric.1, "Datapoints": points }))
    }
}

/// A number, as each protocol brings it.
fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn span(input: &Value) -> Result<(Time, Time), AwsError> {
    match (input.time("StartTime"), input.time("EndTime")) {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        (Some(_), Some(_)) => {
            refuse("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
        }
        _ => refuse("MissingParameter", "The parameters StartTime and EndTime are required."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_weigh_by_counts() {
        let mut series = Series::default();
        for (at, value, count) in [(10, 1.0, 90.0), (20, 9.0, 10.0), (99, 5.0, 1.0)] {
            series.put(at, value, count);
        }
        for (name, expected) in [
            ("Sum", Some(180.0)),
            ("SampleCount", Some(100.0)),
            ("Average", Some(1.8)),
            ("Maximum", Some(9.0)),
            ("p90", Some(1.0)),
            ("p95", Some(9.0)),
            ("nonsense", None),
        ] {
            assert_eq!(series.statistic(name, 0, 60), expected, "{name}");
        }
        assert_eq!(series.statistic("Sum", 30, 60), None);
    }
}
