//! What is seen of both colours at one moment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::plan::Weight;

/// What a colour has answered since the rollout began; it only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Requests that were answered or failed.
    pub requests: u64,
    /// Answers 5xx, connections that failed, time-outs.
    pub errors: u64,
    /// Of those, the last ones in a row.
    pub errors_in_a_row: u64,
    /// Requests by duration: (upper bound in microseconds, how many), bounds rising, the same for both colours.
    pub latency: Vec<(u64, u64)>,
}

/// A colour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Containers (or tasks) that should run.
    pub wanted: u32,
    /// Those that are healthy.
    pub healthy: u32,
    /// Those that have ended, or are unhealthy after they were healthy.
    pub failed: u32,
    /// Restarts of all of them since they were made.
    pub restarts: u64,
    /// Requests that are being answered.
    pub in_flight: u64,
    /// Its counters.
    pub counters: Counters,
    /// Why one is not healthy: the cause, with the end of its log.
    pub trouble: Option<String>,
}

/// Both colours at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// Green's share as it was read back; `None` if the target has no split (nothing stands yet).
    pub weight: Option<Weight>,
    /// What stood; `None` at a first deployment.
    pub blue: Option<Side>,
    /// What comes.
    pub green: Side,
    /// Alarms that are on, by name.
    pub alarms: Vec<String>,
    /// Why the target itself has given it up and goes back, if it has: CodeDeploy and ECS do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<Box<GivenUp>>,
}

/// Why a target went back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// What it was.
    pub cause: Cause,
    /// In the target's words, with what to do.
    pub words: String,
}
