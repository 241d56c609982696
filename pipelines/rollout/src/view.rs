//! A rollout as people see it: pages, `pipe deploy status`, JSON. Made of the state, and kept beside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::fact::Outcome;
use crate::order::Order;
use crate::plan::{Metric, Revision, Weight};

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// For the lock.
    Waiting,
    /// Looks whether it can be done.
    Preflight,
    /// Green starts and becomes healthy.
    Starting,
    /// Tests reach green, users do not.
    Testing,
    /// The share is being changed.
    Shifting,
    /// The share stands; time passes and evidence is gathered.
    Holding,
    /// Waits for a person.
    Paused,
    /// Green becomes what stands.
    Finalising,
    /// Goes back.
    RollingBack,
    /// See the outcome.
    Ended,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Green's share.
    pub weight: Weight,
    /// Seconds that it is held at least.
    pub hold_seconds: f64,
    /// `pending`, `running`, `passed`, `failed` or `skipped`.
    pub state: StepState,
    /// When the share stood.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Whether green is compared with blue.
    pub analyse: bool,
    /// Whether a person must say that it goes on.
    pub pause: bool,
    /// Why it passed or failed, or what is missing.
    pub words: String,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Now.
    Running,
    /// Good.
    Passed,
    /// Made it go back.
    Failed,
    /// Left out by an order, or not reached.
    Skipped,
}

/// A colour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColourView {
    /// What it is.
    pub revision: Revision,
    /// Its share now.
    pub weight: Weight,
    /// Containers that should run, are healthy, and restarts.
    pub wanted: u32,
    /// Those that are healthy.
    pub healthy: u32,
    /// Restarts.
    pub restarts: u64,
    /// Requests since the rollout began.
    pub requests: u64,
    /// Of those, failed.
    pub errors: u64,
    /// Requests that are being answered.
    pub in_flight: u64,
    /// Median duration in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile in milliseconds.
    pub p95_ms: Option<f64>,
    /// Why one is not healthy.
    pub trouble: Option<String>,
}

/// What is known about one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// Which.
    pub metric: Metric,
    /// How much speaks against green; it goes back at `limit`.
    pub e_value: f64,
    /// 1/α of this metric.
    pub limit: f64,
    /// Green's bad events, and blue's.
    pub green_events: u64,
    /// Blue's.
    pub blue_events: u64,
    /// `pass`, `rollback` or `inconclusive`.
    pub verdict: String,
    /// For a person: "green has 7 of the 9 errors at 10 % of the traffic: 1 in 330,000 if both were equal".
    pub words: String,
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What.
    pub words: String,
    /// Whether something went wrong.
    pub is_bad: bool,
}

/// A rollout as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its number.
    pub id: u64,
    /// Where to.
    pub environment: String,
    /// What.
    pub service: String,
    /// `owner/name`.
    pub repository: String,
    /// Who asked.
    pub by: String,
    /// Where it is.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it goes back.
    pub cause: Option<Cause>,
    /// Where it is, in one sentence; after its end why, with what to do.
    pub words: String,
    /// Green's share as it was read back.
    pub weight: Weight,
    /// What stood.
    pub blue: Option<ColourView>,
    /// What comes.
    pub green: ColourView,
    /// The steps.
    pub steps: Vec<StepView>,
    /// What is known.
    pub evidence: Vec<EvidenceView>,
    /// The story, oldest first.
    pub timeline: Vec<Line>,
    /// What may be ordered now.
    pub orders: Vec<Order>,
    /// When the next step can come, at the earliest.
    pub next_at: Option<Timestamp>,
    /// Until when the old one stays warm.
    pub blue_until: Option<Timestamp>,
    /// A migration that cannot be undone.
    pub irreversible: Option<String>,
    /// The rollout that this one takes back.
    pub rollback_of: Option<u64>,
    /// What was approved.
    pub plan_hash: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}
