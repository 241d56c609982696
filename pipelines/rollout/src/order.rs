//! What people order while a rollout goes on.

use serde::{Deserialize, Serialize};

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Go on with the next step, whatever is left of this one.
    Promote,
    /// Go on to all of the traffic.
    PromoteFull,
    /// Stay where it is. What makes it go back still does.
    Pause,
    /// Go on after [`Self::Pause`].
    Resume,
    /// Go back and end.
    Abort,
    /// Go back: of a rollout that goes on the same as [`Self::Abort`], else a rollout of its own.
    Rollback,
}

impl Order {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::PromoteFull => "promote-full",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Rollback => "rollback",
        }
    }
}
