//! CloudWatch: sums of metrics and alarms that are on.
//!
//! Its SDK would bring eleven packages for the CBOR that it speaks. The service answers to JSON as well (protocol AWS JSON 1.0 of
//! its model), so its two calls are asked directly.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::cloud::Service;
use crate::direct::Direct;
use crate::{Cloud, Fault, Problem};

/// How it is asked.
const METRICS: Direct = Direct {
    service: Service::CloudWatch,
    host: "monitoring",
    action: "cloudwatch",
    target: "GraniteServiceVersion20100801",
    version: "1.0",
};
/// Alarms that are asked for at once.
const ALARMS_MAX: usize = 100;
/// Length of the periods that are added up, in seconds.
pub const PERIOD_SECONDS: u64 = 60;

/// A metric of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// Such as `RequestCount`.
    pub name: String,
    /// Such as `TargetGroup`, with the last part of its ARN.
    pub dimensions: Vec<(String, String)>,
}

/// Metrics and alarms of a region.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    cloud: Cloud,
}

impl Cloud {
    /// The metrics and alarms of the region.
    #[must_use]
    pub fn cloudwatch(&self) -> CloudWatch {
        CloudWatch { cloud: self.clone() }
    }
}

impl CloudWatch {
    /// Names of those alarms that are on. One that does not exist is an error: a guard that nobody set guards nothing.
    ///
    /// # Errors
    /// One does not exist, or AWS does not say.
    pub async fn firing(&self, alarms: &[String]) -> Result<Vec<String>, Problem> {
        let mut firing = Vec::new();
        for names in alarms.chunks(ALARMS_MAX) {
            let types = ["MetricAlarm", "CompositeAlarm"];
            let said = self.call("DescribeAlarms", json!({ "AlarmNames": names, "AlarmTypes": types })).await?;
            let list = |member: &str| said[member].as_array().cloned().unwrap_or_default();
            let all = [list("MetricAlarms"), list("CompositeAlarms")].concat();
            for name in names {
                let found = all.iter().find(|one| one["AlarmName"] == name.as_str());
                let missing =
                    || Problem::plain(Fault::Request, format!("there is no alarm `{name}` in {}", self.cloud.region()));
                if found.ok_or_else(missing)?["StateValue"] == "ALARM" {
                    firing.push(name.clone());
                }
            }
        }
        Ok(firing)
    }

    /// Sums of metrics from a moment on until now, whole periods.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn sums(&self, metrics: &[Metric], from: SystemTime) -> Result<Vec<f64>, Problem> {
        self.sums_until(metrics, from, SystemTime::now()).await
    }

    /// The same until another moment.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn sums_until(
        &self,
        metrics: &[Metric],
        from: SystemTime,
        until: SystemTime,
    ) -> Result<Vec<f64>, Problem> {
        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let start = seconds(from) / PERIOD_SECONDS * PERIOD_SECONDS;
        let end = seconds(until).max(start) / PERIOD_SECONDS * PERIOD_SECONDS + PERIOD_SECONDS;
        let query = |(number, metric): (usize, &Metric)| {
            let dimensions: Vec<_> =
                metric.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
            let of = json!({ "Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions });
            json!({ "Id": format!("m{number}"), "MetricStat": { "Metric": of, "Period": PERIOD_SECONDS, "Stat": "Sum" } })
        };
        let queries: Vec<_> = metrics.iter().enumerate().map(query).collect();
        let mut sums = vec![0.0; metrics.len()];
        let mut token = Value::Null;
        loop {
            let mut input = json!({ "MetricDataQueries": queries, "StartTime": start, "EndTime": end });
            if !token.is_null() {
                input["NextToken"] = token;
            }
            let said = self.call("GetMetricData", input).await?;
            for result in said["MetricDataResults"].as_array().into_iter().flatten() {
                let number = result["Id"].as_str().and_then(|id| id.trim_start_matches('m').parse::<usize>().ok());
                let values = result["Values"].as_array().into_iter().flatten().filter_map(Value::as_f64);
                if let Some(sum) = number.and_then(|number| sums.get_mut(number)) {
                    *sum += values.sum::<f64>();
                }
            }
            token = said["NextToken"].clone();
            if token.is_null() {
                return Ok(sums);
            }
        }
    }

    /// A call that changes nothing.
    async fn call(&self, name: &str, input: Value) -> Result<Value, Problem> {
        METRICS.ask(&self.cloud, name, "alarms and metrics", &input).await
    }
}
