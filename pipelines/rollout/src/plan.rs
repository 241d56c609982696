//! What is to be rolled out, and how: what a person approves, digest and all.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A share of the requests, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(pub u16);

impl Weight {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(1_000);
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{} %", self.0 / 10),
            tenth => write!(f, "{}.{tenth} %", self.0 / 10),
        }
    }
}

/// A step of a rollout: green gets this share for so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Green's share.
    pub weight: Weight,
    /// For how long at least (`for:`, and `bake:` of the last step).
    pub hold: SignedDuration,
    /// Whether green is compared with blue before the next step.
    pub analyse: bool,
    /// Whether a person must say that it goes on.
    pub pause: bool,
}

/// The steps; weights rise and the last one is [`Weight::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// In order; never empty.
    pub steps: Vec<Step>,
    /// Whether the target itself goes from weight to weight, as CodeDeploy and ECS do, and is only watched at it: no weight can be
    /// held longer or less long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_paced_by_target: bool,
}

/// What is done when the evidence does not suffice in the time that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// Wait longer, `max_extend` at most; then ask a person.
    Extend,
    /// Ask a person at once.
    Ask,
    /// Go on.
    Promote,
    /// Go back.
    Rollback,
}

/// How green is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Which metrics: `errors`, `latency-p95`, `restarts`.
    pub metrics: Vec<Metric>,
    /// How many times as bad as blue green may be.
    pub max_ratio: f64,
    /// The chance of going back from a release that is no worse, over all looks and all metrics.
    pub alpha: f64,
    /// Requests that green must have answered before a step passes.
    pub min_requests: u64,
    /// What is done without enough evidence.
    pub inconclusive: Inconclusive,
    /// How much longer a step may take.
    pub max_extend: SignedDuration,
}

/// What is compared between the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Answers 5xx, connections that failed, time-outs.
    Errors,
    /// Requests slower than blue's 95th percentile of the ticks before.
    LatencyP95,
    /// Restarts of containers.
    Restarts,
}

/// What makes a rollout go back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackOn {
    /// Green unhealthy, a crash loop, a call or hook that failed.
    pub failure: bool,
    /// An alarm.
    pub alarm: bool,
    /// The analysis.
    pub analysis: bool,
    /// The job was cancelled, or its time is up.
    pub cancel: bool,
}

/// What is done while another rollout of the service goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnActive {
    /// Wait for its end, in the order of arrival.
    Wait,
    /// Take the place of those that still wait.
    Supersede,
    /// Fail.
    Fail,
}

/// Stages at which scripts run, under CodeDeploy's names:
/// <https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Before anything is made.
    BeforeInstall,
    /// Green runs.
    AfterInstall,
    /// Green can be reached where tests reach it, and nowhere else.
    AfterAllowTestTraffic,
    /// Before the first request of a user.
    BeforeAllowTraffic,
    /// All of the traffic goes to green.
    AfterAllowTraffic,
    /// It has gone back.
    OnRollback,
}

/// Something that is done at a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// When.
    pub stage: Stage,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A script in the job: what `bash -e` gets.
    Script(String),
    /// Green is visited (`pipe/probe`), with these keys.
    Probe(BTreeMap<String, String>),
}

impl Hook {
    /// What it does, on one line.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.deed {
            Deed::Script(script) => script.lines().next().unwrap_or_default().to_owned(),
            Deed::Probe(keys) => {
                let keys: Vec<String> = keys.keys().cloned().collect();
                if keys.is_empty() { "probe".to_owned() } else { format!("probe with {}", keys.join(", ")) }
            }
        }
    }
}

/// What stands in an environment, or is to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The rollout that made it: names of containers and the like are made of it.
    pub id: u64,
    /// The image by its digest (`name@sha256:…`, or an image id).
    pub image: String,
    /// Its version, for people.
    pub version: String,
    /// The commit.
    pub commit: String,
}

/// A rollout as it is asked for. All of it is in [`Plan::hash`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// The image by its digest; never a tag.
    pub image: String,
    /// Its version, for people.
    pub version: String,
    /// Which kind of target: `local`.
    pub target: String,
    /// The target's own settings (replicas, port, health path …); no secrets.
    pub settings: serde_json::Value,
    /// The steps.
    pub schedule: Schedule,
    /// How green is judged.
    pub analysis: Analysis,
    /// What makes it go back.
    pub rollback_on: RollbackOn,
    /// What happens beside it.
    pub on_active: OnActive,
    /// Scripts.
    pub hooks: Vec<Hook>,
    /// How long green may take to become healthy.
    pub start_timeout: SignedDuration,
    /// How long all of it may take, waiting for the lock left out.
    pub timeout: SignedDuration,
    /// How long blue stays warm after success.
    pub keep_blue: SignedDuration,
    /// The time between two looks.
    pub tick: SignedDuration,
    /// A migration that cannot be undone: nothing goes back by itself past it.
    pub irreversible: Option<String>,
    /// The rollout that this one takes back; its steps are skipped and what is still warm is used again.
    pub rollback_of: Option<u64>,
    /// A revision that may still be there and is used if it is.
    pub reuse: Option<Revision>,
}
