//! CloudWatch Logs: the end of what a container wrote before its task ended.

use serde_json::{Value, json};

use crate::cloud::Service;
use crate::direct::Direct;
use crate::{Cloud, Problem};

/// How it is asked.
const LOGS: Direct =
    Direct { service: Service::Logs, host: "logs", action: "logs", target: "Logs_20140328", version: "1.1" };

/// Logs of a region.
#[derive(Debug, Clone)]
pub struct Logs {
    cloud: Cloud,
}

/// Where the driver `awslogs` writes: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// The group.
    pub group: String,
    /// `prefix/container/task`.
    pub stream: String,
    /// Its region, if it is another one.
    pub region: Option<String>,
}

impl LogStream {
    /// Of a container's task, by the container's definition; `None` if its log goes elsewhere, or nowhere that can be told.
    #[must_use]
    pub fn of(container: &Value, task: &str) -> Option<Self> {
        let config = &container["logConfiguration"];
        let option = |name: &str| config["options"][name].as_str().map(str::to_owned);
        let name = container["name"].as_str()?;
        (config["logDriver"] == "awslogs").then_some(())?;
        Some(Self {
            group: option("awslogs-group")?,
            stream: format!("{}/{name}/{task}", option("awslogs-stream-prefix")?),
            region: option("awslogs-region"),
        })
    }
}

impl Cloud {
    /// The logs of the region.
    #[must_use]
    pub fn logs(&self) -> Logs {
        Logs { cloud: self.clone() }
    }
}

impl Logs {
    /// The last lines of a stream, oldest first; none if there is no such stream.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn last(&self, of: &LogStream, lines: u32) -> Result<Vec<String>, Problem> {
        let cloud = of.region.as_deref().map_or_else(|| self.cloud.clone(), |region| self.cloud.in_region(region));
        let input = json!({
            "logGroupName": of.group, "logStreamName": of.stream, "limit": lines, "startFromHead": false,
        });
        let said = match LOGS.ask(&cloud, "GetLogEvents", &of.group, &input).await {
            Err(problem) if problem.is("ResourceNotFoundException") => return Ok(Vec::new()),
            said => said?,
        };
        let events = said["events"].as_array().into_iter().flatten();
        let mut all: Vec<String> = events.filter_map(|event| event["message"].as_str()).map(str::to_owned).collect();
        // Whoever answers with more than was asked for.
        all.drain(..all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX)));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_as_ecs_does() {
        let options =
            json!({ "awslogs-group": "/shop", "awslogs-stream-prefix": "orders", "awslogs-region": "us-west-2" });
        let container = json!({ "name": "app", "logConfiguration": { "logDriver": "awslogs", "options": options } });
        let of = LogStream::of(&container, "0af").unwrap();
        assert_eq!((of.group.as_str(), of.stream.as_str()), ("/shop", "orders/app/0af"));
        assert_eq!(of.region.as_deref(), Some("us-west-2"));
        assert_eq!(LogStream::of(&json!({ "name": "app" }), "0af"), None);
    }
}
