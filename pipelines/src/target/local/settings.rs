//! What of a plan only this target understands. It is in the plan's hash and is shown to people, so it holds no secrets: of
//! those it has the names and a digest that only this installation can make.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use proxy::table::Affinity;
use serde::{Deserialize, Serialize};

use super::alarms::AlarmSource;
use crate::rollout::CallError;

/// What is done if what stands is dead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadBlue {
    /// Somebody looks first.
    #[default]
    Fail,
    /// The new one takes its place, with nothing to go back to.
    Replace,
}

/// The target's own settings, [`rollout::Plan::settings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Settings {
    /// Containers of each colour.
    pub replicas: u32,
    /// Where the service listens in its container.
    pub port: u16,
    /// What is asked whether it is healthy; 2xx and 3xx are.
    pub health_path: String,
    /// The time between two such questions.
    pub health_interval: SignedDuration,
    /// How often in a row it is healthy before it counts, and how often not before it does not.
    pub health_threshold: u32,
    /// Where users' requests come in.
    pub proxy_port: u16,
    /// Where tests' requests come in.
    pub test_port: Option<u16>,
    /// The path that leads to it.
    pub route: String,
    /// Whether that path is taken off.
    pub strip: bool,
    /// Networks of the engine that it joins besides that of the environment.
    pub networks: Vec<String>,
    /// Variables that everybody may see.
    pub env: BTreeMap<String, String>,
    /// Names of the others.
    pub secrets: Vec<String>,
    /// Of their values, under a key that only this installation has; empty without any.
    pub secrets_digest: String,
    /// Whether its files cannot be written, but for `tmpfs`.
    pub read_only: bool,
    /// Folders in memory.
    pub tmpfs: Vec<String>,
    /// `source:path[:ro]`.
    pub volumes: Vec<String>,
    /// `uid[:gid]` or a name; `None`: the image's.
    pub user: Option<String>,
    /// Capabilities that it gets back; all are dropped.
    pub cap_add: Vec<String>,
    /// Whether a client keeps its colour.
    pub affinity: Affinity,
    /// How long requests may take once their container gets no new ones.
    pub drain_timeout: SignedDuration,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: SignedDuration,
    /// Bytes of memory of each container.
    pub memory_bytes: Option<u64>,
    /// Processors of each container, in thousandths.
    pub cpu_thousandths: Option<u64>,
    /// What is done if what stands is dead.
    pub dead_blue: DeadBlue,
    /// Whose alerts are alarms; none is added to the hash of a plan without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmSource>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replicas: 1,
            port: 0,
            health_path: "/health".to_owned(),
            health_interval: SignedDuration::from_secs(2),
            health_threshold: 3,
            proxy_port: 8088,
            test_port: None,
            route: "/".to_owned(),
            strip: false,
            networks: Vec::new(),
            env: BTreeMap::new(),
            secrets: Vec::new(),
            secrets_digest: String::new(),
            read_only: true,
            tmpfs: vec!["/tmp".to_owned()],
            volumes: Vec::new(),
            user: None,
            cap_add: Vec::new(),
            affinity: Affinity::None,
            drain_timeout: SignedDuration::from_secs(30),
            stop_timeout: SignedDuration::from_secs(30),
            memory_bytes: None,
            cpu_thousandths: None,
            dead_blue: DeadBlue::Fail,
            alarms: Vec::new(),
        }
    }
}

impl Settings {
    /// Those of a plan.
    ///
    /// # Errors
    /// They are of another target or of a later version.
    pub fn of(plan: &rollout::Plan) -> Result<Self, CallError> {
        serde_json::from_value(plan.settings.clone()).map_err(|error| {
            CallError::last(format!("the settings of target `{}` cannot be read: {error}", plan.target))
        })
    }

    pub(super) fn drain(&self) -> Duration {
        self.drain_timeout.try_into().unwrap_or_default()
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::try_from(self.health_interval).unwrap_or_default().max(INTERVAL_MIN)
    }

    pub(super) fn stop_seconds(&self) -> i32 {
        i32::try_from(self.stop_timeout.as_secs().max(0)).unwrap_or(i32::MAX)
    }
}

/// Nobody is asked more often.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_kept_as_they_are() {
        let settings = Settings {
            port: 8080,
            env: [("A".to_owned(), "b".to_owned())].into(),
            affinity: Affinity::Cookie("session".to_owned()),
            memory_bytes: Some(1 << 28),
            alarms: vec![AlarmSource { url: "http://a/api/v1/alerts".to_owned(), alerts: vec!["A".to_owned()] }],
            ..Settings::default()
        };
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), settings);
        let old: Settings = serde_json::from_value(serde_json::json!({ "port": 1, "of-a-later-version": 2 })).unwrap();
        assert_eq!(old, Settings { port: 1, ..Settings::default() });
    }
}
