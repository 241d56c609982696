//! CloudWatch: sums of metrics and alarms that are on.
//!
//! Its SDK would bring eleven packages for the CBOR that it speaks. The service answers to JSON as well (protocol AWS JSON 1.0 of
//! its model), so two calls are written here; they are signed and sent by the same code as all others.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::{Value, json};

use crate::cloud::{Service, http};
use crate::patience::reading;
use crate::problem::{Answer, Asked};
use crate::{Cloud, Fault, Problem};

/// Names by which signatures and targets know it.
const SIGNED_AS: &str = "monitoring";
const TARGET: &str = "GraniteServiceVersion20100801";
/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);
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

    /// `amazonaws.com`, or that of China.
    fn domain(&self) -> &'static str {
        if self.region().starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
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
        let action = format!("cloudwatch:{name}");
        let asked = Asked { action: &action, resource: "alarms and metrics", region: self.cloud.region() };
        reading(|| async {
            let answer = self.send(name, input.to_string()).await?;
            if answer.status == 200 {
                return Ok(serde_json::from_str(&answer.body).unwrap_or_default());
            }
            Err(Problem::of_answer(&answer, asked))
        })
        .await
    }

    async fn send(&self, name: &str, body: String) -> Result<Answer, Problem> {
        let own = || format!("https://monitoring.{}.{}", self.cloud.region(), self.cloud.domain());
        let base = self.cloud.endpoint(Service::CloudWatch).map_or_else(own, str::to_owned);
        let url = format!("{}/", base.trim_end_matches('/'));
        let unmade = |error: BoxError| Problem::unmade(&*error);
        let request = self.signed(&url, name, &body).map_err(unmade)?;
        let once = std::sync::Mutex::new(Some(request));
        let taken = move |(): ()| -> Result<HttpRequest, BoxError> {
            let request = once.lock().ok().and_then(|mut request| request.take());
            request.ok_or_else(|| "it was sent already".into())
        };
        let times = TimeoutConfig::builder().operation_timeout(CALL_TIME_MAX).build();
        let operation = Operation::builder()
            .service_name("CloudWatch")
            .operation_name(name.to_owned())
            .behavior_version(BehaviorVersion::latest())
            .http_client(http())
            .endpoint_url(&base)
            .no_auth()
            .no_retry()
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .timeout_config(times)
            .serializer(taken)
            .deserializer::<_, Infallible>(read)
            .build();
        operation.invoke(()).await.map_err(|error| Problem::of_way(&error))
    }

    fn signed(&self, url: &str, name: &str, body: &str) -> Result<HttpRequest, BoxError> {
        let keys = self.cloud.keys().ok_or("there are no credentials")?;
        let identity = keys.credentials().clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.cloud.region())
            .name(SIGNED_AS)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let target = format!("{TARGET}.{name}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let signable = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        let mut request = HttpRequest::new(body.to_owned().into());
        request.set_method("POST")?;
        request.set_uri(url.to_owned())?;
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn read(response: &HttpResponse) -> Result<Answer, OrchestratorError<Infallible>> {
    let body = response.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let after = response.headers().get("retry-after").and_then(|seconds| seconds.parse().ok());
    Ok(Answer { status: response.status().as_u16(), body, after: after.map(Duration::from_secs) })
}
