//! Reasons as sentences for a person. Not for programs: those read the variants.

use super::{CancelReason, SkipReason};

impl CancelReason {
    /// For a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::FailFast { leg } => format!("cancelled because {leg} failed (strategy.fail-fast)"),
            Self::Run { by } => format!("cancelled by {by}"),
            Self::Group { group, superseded_by: None } => {
                format!("cancelled by something newer in the concurrency group `{group}`")
            }
            Self::Group { group, superseded_by: Some(run) } => {
                format!("superseded by run {run} in the concurrency group `{group}`")
            }
            Self::Timeout { limit_ms } => {
                format!("cancelled after {} (timeout-minutes)", minutes(*limit_ms))
            }
        }
    }
}

impl SkipReason {
    /// For a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Condition { expression } => format!("`if: {expression}` is false"),
            Self::Needs { job, result } => format!("`{job}`, which it needs, ended as {}", result.word()),
            Self::Cancelled => "the run was cancelled".into(),
            Self::NotSelected => "not among the jobs asked for".into(),
            Self::EmptyMatrix => "its matrix has no legs".into(),
        }
    }
}

fn minutes(milliseconds: u64) -> String {
    match milliseconds {
        ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms => format!("{} s", ms.div_ceil(1000)),
    }
}
