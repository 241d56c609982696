//! Alarms: a statistic held against a threshold, for some of the last periods. They are judged at every moment of the virtual
//! clock, over whole periods and the one that runs, if it has points already.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>

use serde_json::{Value, json};

use super::{MetricId, Series, metric_id};
use crate::error::{Answer, AwsError, refuse};
use crate::value::{Input as _, SECOND, Time, over, stamp};
use crate::world::World;

/// An alarm.
#[derive(Debug)]
pub(super) struct Alarm {
    input: Value,
    metric: MetricId,
    state: &'static str,
    reason: String,
    changed: Time,
    configured: Time,
    /// Said by `SetAlarmState`: it holds until the next judgement differs, but at least for a period.
    held_until: Time,
}

impl Alarm {
    pub(super) fn rings(&self) -> bool {
        self.state == "ALARM"
    }

    /// The periods that it is judged by, together.
    pub(super) fn span(&self) -> Time {
        let number = |key: &str, usual: i64| self.input.int(key).unwrap_or(usual).max(1);
        number("Period", 60) * number("EvaluationPeriods", 1) * SECOND
    }

    /// State and reason by what has been measured.
    fn judge(&self, series: Option<&Series>, now: Time) -> (&'static str, String) {
        let period = self.input.int("Period").unwrap_or(60).max(1) * SECOND;
        let periods = self.input.int("EvaluationPeriods").unwrap_or(1).max(1);
        let needed = self.input.int("DatapointsToAlarm").unwrap_or(periods);
        let threshold = self.input.number("Threshold").unwrap_or_default();
        let stat = self.input.text("Statistic").or_else(|| self.input.text("ExtendedStatistic")).unwrap_or("Average");
        let value = |start: Time| series.and_then(|series| series.statistic(stat, start, start + period));
        let running = now - now.rem_euclid(period);
        let last = if value(running).is_some() { running } else { running - period };
        let values: Vec<_> = (0..periods).map(|back| value(last - back * period)).collect();
        let missing = self.input.text("TreatMissingData").unwrap_or("missing");
        if values.iter().all(Option::is_none) {
            match missing {
                "ignore" => return (self.state, self.reason.clone()),
                "notBreaching" | "breaching" => {}
                _ => return ("INSUFFICIENT_DATA", "Insufficient Data: no datapoints were received".to_owned()),
            }
        }
        let breaches = |value: &Option<f64>| match value {
            Some(value) => self.breaches(*value, threshold),
            None => missing == "breaching",
        };
        let bad = values.iter().filter(|value| breaches(value)).count();
        let shown: Vec<_> = values.iter().flatten().map(ToString::to_string).collect();
        let reason = format!(
            "Threshold Crossed: {bad} out of the last {periods} datapoints [{}] against the threshold ({threshold})",
            shown.join(", ")
        );
        let rings = i64::try_from(bad).unwrap_or(i64::MAX) >= needed;
        (if rings { "ALARM" } else { "OK" }, reason)
    }

    fn breaches(&self, value: f64, threshold: f64) -> bool {
        match self.input.text("ComparisonOperator") {
            Some("GreaterThanOrEqualToThreshold") => value >= threshold,
            Some("LessThanThreshold") => value < threshold,
            Some("LessThanOrEqualToThreshold") => value <= threshold,
            _ => value > threshold,
        }
    }
}

impl World {
    pub(super) fn put_metric_alarm(&mut self, input: &Value) -> Answer {
        let missing = |key: &str| AwsError::new("MissingParameter", format!("The parameter {key} is required."));
        let name = input.text("AlarmName").ok_or_else(|| missing("AlarmName"))?.to_owned();
        for key in ["ComparisonOperator", "MetricName", "Namespace"] {
            input.text(key).ok_or_else(|| missing(key))?;
        }
        if input.int("EvaluationPeriods").is_none() {
            return Err(missing("EvaluationPeriods"));
        }
        if input.number("Threshold").is_none() {
            return Err(missing("Threshold"));
        }
        if input.int("DatapointsToAlarm").is_some_and(|needed| Some(needed) > input.int("EvaluationPeriods")) {
            return refuse("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods");
        }
        let alarm = Alarm {
            metric: metric_id(input),
            input: typed(input),
            state: "INSUFFICIENT_DATA",
            reason: "Unchecked: Initial alarm creation".to_owned(),
            changed: self.now,
            configured: self.now,
            held_until: 0,
        };
        self.watch.alarms.insert(name, alarm);
        Ok(json!({}))
    }

    /// Judges all alarms.
    pub(crate) fn tick_alarms(&mut self) {
        let now = self.now;
        for alarm in self.watch.alarms.values_mut() {
            let (state, reason) = alarm.judge(self.watch.metrics.get(&alarm.metric), now);
            if now >= alarm.held_until && state != alarm.state {
                (alarm.state, alarm.reason, alarm.changed) = (state, reason, now);
            }
        }
    }

    pub(super) fn set_alarm_state(&mut self, input: &Value) -> Answer {
        let name = input.text("AlarmName").unwrap_or_default();
        let state = match input.text("StateValue") {
            Some("OK") => "OK",
            Some("ALARM") => "ALARM",
            Some("INSUFFICIENT_DATA") => "INSUFFICIENT_DATA",
            _ => return refuse("ValidationError", "StateValue must be OK, ALARM or INSUFFICIENT_DATA"),
        };
        let now = self.now;
        let Some(alarm) = self.watch.alarms.get_mut(name) else {
            return Err(AwsError::new("ResourceNotFound", format!("Unknown alarm {name}")).with_status(404));
        };
        (alarm.state, alarm.changed) = (state, now);
        alarm.reason = input.text("StateReason").unwrap_or_default().to_owned();
        alarm.held_until = now + alarm.input.int("Period").unwrap_or(60) * SECOND;
        Ok(json!({}))
    }

    pub(super) fn describe_alarms(&self, input: &Value) -> Value {
        let names = input.texts("AlarmNames");
        let wanted = |name: &String, alarm: &Alarm| {
            (names.is_empty() || names.contains(name))
                && input.text("AlarmNamePrefix").is_none_or(|prefix| name.starts_with(prefix))
                && input.text("StateValue").is_none_or(|state| state == alarm.state)
        };
        let found = self.watch.alarms.iter().filter(|(name, alarm)| wanted(name, alarm));
        let all: Vec<_> = found
            .map(|(name, alarm)| {
                let mut described = json!({ "ActionsEnabled": true, "AlarmActions": [], "OKActions": [] });
                let keys: Vec<_> = alarm.input.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                over(&mut described, &alarm.input, &keys);
                let more = json!({
                    "AlarmArn": self.arn("cloudwatch", &format!("alarm:{name}")), "StateValue": alarm.state,
                    "StateReason": alarm.reason, "StateUpdatedTimestamp": stamp(alarm.changed),
                    "StateTransitionedTimestamp": stamp(alarm.changed),
                    "AlarmConfigurationUpdatedTimestamp": stamp(alarm.configured),
                });
                let keys: Vec<_> = more.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                over(&mut described, &more, &keys);
                described
            })
            .collect();
        json!({ "MetricAlarms": all, "CompositeAlarms": [] })
    }
}

/// What came as text (in the query protocol) or as a whole number, in the types that answers have.
fn typed(input: &Value) -> Value {
    let mut known = input.clone();
    for key in ["Period", "EvaluationPeriods", "DatapointsToAlarm"] {
        if let Some(number) = input.int(key) {
            known[key] = json!(number);
        }
    }
    if let Some(threshold) = input.number("Threshold") {
        known["Threshold"] = json!(threshold);
    }
    if let Some(enabled) = input.flag("ActionsEnabled") {
        known["ActionsEnabled"] = json!(enabled);
    }
    if let Some(members) = known.as_object_mut() {
        members.remove("Tags");
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(more: Value, points: &[(Time, f64)], now: Time) -> &'static str {
        let mut input = json!({
            "Period": 60, "EvaluationPeriods": 2, "Threshold": 10, "ComparisonOperator": "GreaterThanThreshold", "Statistic": "Sum",
        });
        let keys: Vec<_> = more.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        over(&mut input, &more, &keys);
        let mut series = Series::default();
        for (at, value) in points {
            series.put(at * SECOND, *value, 1.0);
        }
        let metric = (String::new(), String::new(), Vec::new());
        let alarm =
            Alarm { input, metric, state: "OK", reason: String::new(), changed: 0, configured: 0, held_until: 0 };
        alarm.judge(Some(&series), now * SECOND).0
    }

    #[test]
    fn alarms_are_judged() {
        let bad = [(600, 11.0), (660, 12.0)];
        for (more, points, now, expected) in [
            (json!({}), &bad[..], 700, "ALARM"),
            // The period that runs has no points yet, so the two before it count.
            (json!({}), &bad[..], 730, "ALARM"),
            (json!({}), &bad[..1], 700, "OK"),
            (json!({ "DatapointsToAlarm": 1 }), &bad[..1], 630, "ALARM"),
            (json!({}), &[][..], 700, "INSUFFICIENT_DATA"),
            (json!({ "TreatMissingData": "notBreaching" }), &[][..], 700, "OK"),
            (json!({ "TreatMissingData": "breaching" }), &[][..], 700, "ALARM"),
            (json!({ "TreatMissingData": "ignore" }), &[][..], 700, "OK"),
            (json!({ "ComparisonOperator": "LessThanThreshold" }), &bad[..], 700, "OK"),
        ] {
            assert_eq!(judged(more.clone(), points, now), expected, "{more} {points:?}");
        }
    }
}
