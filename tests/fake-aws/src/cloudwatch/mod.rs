//! CloudWatch: metrics that calls and the balancer put, and alarms over them.

mod alarms;
mod metrics;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Answer, AwsError};
use crate::value::{Input as _, Time};
use crate::world::World;

use alarms::Alarm;
pub(crate) use metrics::Series;

/// A metric: namespace, name, dimensions in order.
pub(crate) type MetricId = (String, String, Vec<(String, String)>);

/// Everything of CloudWatch.
#[derive(Debug, Default)]
pub(crate) struct CloudWatch {
    metrics: BTreeMap<MetricId, Series>,
    alarms: BTreeMap<String, Alarm>,
}

impl CloudWatch {
    /// Adds a value that occurred so many times.
    pub(crate) fn put(&mut self, id: MetricId, at: Time, value: f64, count: f64) {
        self.metrics.entry(id).or_default().put(at, value, count);
    }

    /// Whether the alarm rings.
    pub(crate) fn is_alarm(&self, name: &str) -> bool {
        self.alarms.get(name).is_some_and(Alarm::rings)
    }

    /// How long the periods are together that the alarm is judged by.
    pub(crate) fn span(&self, name: &str) -> Option<Time> {
        self.alarms.get(name).map(Alarm::span)
    }
}

/// Dimensions as calls bring them.
fn dimensions(input: &Value) -> Vec<(String, String)> {
    let pair = |one: &Value| Some((one.text("Name")?.to_owned(), one.text("Value")?.to_owned()));
    let mut all: Vec<_> = input.items("Dimensions").iter().filter_map(pair).collect();
    all.sort();
    all
}

fn metric_id(input: &Value) -> MetricId {
    let text = |key: &str| input.text(key).unwrap_or_default().to_owned();
    (text("Namespace"), text("MetricName"), dimensions(input))
}

impl World {
    /// Answers CloudWatch.
    pub(crate) fn cloudwatch(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "PutMetricData" => self.put_metric_data(input),
            "GetMetricData" => self.get_metric_data(input),
            "GetMetricStatistics" => self.get_metric_statistics(input),
            "ListMetrics" => {
                let describe = |(namespace, name, dimensions): &MetricId| {
                    let dimensions: Vec<_> =
                        dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
                    json!({ "Namespace": namespace, "MetricName": name, "Dimensions": dimensions })
                };
                let wanted = |id: &&MetricId| {
                    input.text("Namespace").is_none_or(|one| one == id.0)
                        && input.text("MetricName").is_none_or(|one| one == id.1)
                };
                let all: Vec<_> = self.watch.metrics.keys().filter(wanted).map(describe).collect();
                Ok(json!({ "Metrics": all }))
            }
            "PutMetricAlarm" => self.put_metric_alarm(input),
            "DescribeAlarms" => Ok(self.describe_alarms(input)),
            "DeleteAlarms" => {
                let names = input.texts("AlarmNames");
                if let Some(name) = names.iter().find(|name| !self.watch.alarms.contains_key(*name)) {
                    return Err(AwsError::new("ResourceNotFound", format!("Unknown alarm {name}")).with_status(404));
                }
                self.watch.alarms.retain(|name, _| !names.contains(name));
                Ok(json!({}))
            }
            "SetAlarmState" => self.set_alarm_state(input),
            other => Err(AwsError::unknown("CloudWatch", other)),
        }
    }
}
