//! What people are told of.

use serde::{Deserialize, Serialize};

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A run failed.
    Failure,
    /// A run succeeded, and the one before it on the same ref had failed.
    Recovery,
    /// A run succeeded.
    Success,
    /// A run was cancelled.
    Cancelled,
    /// A deployment waits for a review.
    Approval,
    /// A deployment ended, well or not.
    Deployment,
    /// A deployment was taken back, by itself or by somebody, or cannot be.
    Rollback,
    /// What runs cost came to a threshold.
    Budget,
    /// Newer advisories are about what stands somewhere.
    Finding,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Failure,
        Self::Recovery,
        Self::Success,
        Self::Cancelled,
        Self::Approval,
        Self::Deployment,
        Self::Rollback,
        Self::Budget,
        Self::Finding,
    ];

    /// What a channel is told that says nothing else.
    #[must_use]
    pub fn defaults() -> std::collections::BTreeSet<Self> {
        [Self::Failure, Self::Recovery, Self::Approval, Self::Deployment, Self::Rollback, Self::Budget, Self::Finding]
            .into()
    }

    /// As the configuration has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Success => "success",
            Self::Cancelled => "cancelled",
            Self::Approval => "approval",
            Self::Deployment => "deployment",
            Self::Rollback => "rollback",
            Self::Budget => "budget",
            Self::Finding => "finding",
        }
    }

    /// The name of the event in hooks: `X-Pipe-Event`.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Failure => "run_failed",
            Self::Recovery => "run_recovered",
            Self::Success => "run_succeeded",
            Self::Cancelled => "run_cancelled",
            Self::Approval => "review_requested",
            Self::Deployment => "deployment",
            Self::Rollback => "rollback",
            Self::Budget => "budget",
            Self::Finding => "new_findings",
        }
    }

    /// What happened to the run.
    #[must_use]
    pub const fn state(self) -> &'static str {
        match self {
            Self::Failure => "failed",
            Self::Recovery => "succeeded again",
            Self::Success => "succeeded",
            Self::Cancelled => "was cancelled",
            Self::Approval => "waits for a review",
            Self::Deployment => "deployed",
            Self::Rollback => "was rolled back",
            Self::Budget => "reached a threshold",
            Self::Finding => "has new findings",
        }
    }
}
