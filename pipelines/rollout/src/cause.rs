//! Why a rollout goes back.

use serde::{Deserialize, Serialize};

/// Why it goes back, or was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A call failed.
    Call,
    /// A script failed.
    Hook,
    /// Green did not become healthy, or is so no more.
    Unhealthy,
    /// Green's containers end again and again.
    CrashLoop,
    /// Several of green's answers in a row failed and none of blue's.
    Failures,
    /// An alarm.
    Alarm,
    /// The analysis.
    Analysis,
    /// There was not enough evidence, and the plan says to go back then.
    Inconclusive,
    /// Time is up.
    Timeout,
    /// The job was cancelled.
    Cancelled,
    /// A person.
    Ordered,
    /// A newer rollout took its place.
    Superseded,
    /// Another one goes on, and the plan says not to wait.
    Busy,
}
