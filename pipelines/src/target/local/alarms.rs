//! Alarms of others: alerts that fire in a Prometheus or an Alertmanager make a rollout go back.
//!
//! Read are `GET /api/v1/alerts` of Prometheus (<https://prometheus.io/docs/prometheus/latest/querying/api/#alerts>) and
//! `GET /api/v2/alerts` of Alertmanager (<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>), which are told
//! apart by what they answer. Alerts that are pending, silenced or inhibited are no alarms.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::health_check::probe::{self, Answer, Url};

/// The longest that a question may take: each look waits for it.
const QUESTION_MAX: Duration = Duration::from_secs(3);

/// Where alerts are asked for, and which count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmSource {
    /// `http://host:9090/api/v1/alerts`.
    pub url: String,
    /// Names of alerts; without any, all that fire there count.
    pub alerts: Vec<String>,
}

impl AlarmSource {
    /// Reads `URL [ALERT,ALERT]`.
    ///
    /// # Errors
    /// It is none; in words.
    pub fn read(line: &str) -> Result<Self, String> {
        let (url, alerts) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let parsed = Url::parse(url).map_err(|error| error.replacen("`url: ", "`", 1))?;
        if !parsed.path.contains("/alerts") {
            return Err(format!(
                "`{url}` is neither `/api/v1/alerts` of a Prometheus nor `/api/v2/alerts` of an Alertmanager"
            ));
        }
        let alerts = alerts.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
        Ok(Self { url: url.to_owned(), alerts: alerts.map(str::to_owned).collect() })
    }

    async fn firing(&self) -> Result<Vec<String>, String> {
        let failed = |reason: &str| format!("the alarms of {} cannot be seen: {reason}", self.url);
        let url = Url::parse(&self.url).map_err(|error| failed(&error))?;
        let answer = probe::ask(&url, QUESTION_MAX).await.map_err(|error| failed(&error))?;
        if answer.status != 200 {
            return Err(failed(&format!("HTTP {}: {}", answer.status, answer.start())));
        }
        let names = names(&answer).ok_or_else(|| failed("what it answers is no list of alerts"))?;
        Ok(names.into_iter().filter(|name| self.alerts.is_empty() || self.alerts.contains(name)).collect())
    }
}

/// Names of the alerts that fire, each once, in order.
///
/// # Errors
/// One of the sources does not answer as it should.
pub(super) async fn firing(sources: &[AlarmSource]) -> Result<Vec<String>, String> {
    let all = try_join_all(sources.iter().map(AlarmSource::firing)).await?;
    let all: BTreeSet<String> = all.into_iter().flatten().collect();
    Ok(all.into_iter().collect())
}

fn names(answer: &Answer) -> Option<Vec<String>> {
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    // Alertmanager answers with the list itself.
    let alerts = body.as_array().or_else(|| body.pointer("/data/alerts")?.as_array())?;
    let fires = |alert: &&Value| {
        let state = alert.get("state").or_else(|| alert.pointer("/status/state"));
        matches!(state.and_then(Value::as_str), Some("firing" | "active"))
    };
    let name = |alert: &Value| alert.pointer("/labels/alertname")?.as_str().map(str::to_owned);
    Some(alerts.iter().filter(fires).filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires() {
        let check = |body: &str, expected: Option<&[&str]>| {
            let answer = Answer { status: 200, body: body.to_owned() };
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            assert_eq!(names(&answer), expected, "{body}");
        };
        let prometheus = r#"{"status":"success","data":{"alerts":[
            {"labels":{"alertname":"Orders5xx","severity":"page"},"state":"firing","activeAt":"2026-01-01T00:00:00Z","value":"1"},
            {"labels":{"alertname":"Slow"},"state":"pending"},
            {"labels":{"severity":"page"},"state":"firing"}]}}"#;
        check(prometheus, Some(&["Orders5xx"]));
        let alertmanager = r#"[
            {"labels":{"alertname":"Orders5xx"},"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}},
            {"labels":{"alertname":"Disk"},"status":{"state":"suppressed","silencedBy":["1"],"inhibitedBy":[]}}]"#;
        check(alertmanager, Some(&["Orders5xx"]));
        check("[]", Some(&[]));
        check(r#"{"status":"error","errorType":"x","error":"y"}"#, None);
        check("<html>", None);
    }

    #[test]
    fn sources_are_addresses_with_names() {
        let read = |line: &str| AlarmSource::read(line).map(|source| (source.url, source.alerts.join("|")));
        let url = "http://prometheus:9090/api/v1/alerts";
        assert_eq!(read(url), Ok((url.to_owned(), String::new())));
        assert_eq!(read(&format!("{url} A, B,C")), Ok((url.to_owned(), "A|B|C".to_owned())));
        for (line, expected) in [
            ("orders-5xx", "must begin with http:// or https://"),
            ("http://prometheus:9090", "neither `/api/v1/alerts`"),
        ] {
            assert!(read(line).is_err_and(|error| error.contains(expected)), "{line}");
        }
    }
}
