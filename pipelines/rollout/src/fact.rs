//! What has happened, in the order in which it was written down. The state is made of nothing else.

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::cause::Cause;
use crate::observation::Observation;
use crate::order::Order;
use crate::plan::{Plan, Revision};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Green has all of the traffic and was good for as long as it had to be.
    Succeeded,
    /// Blue has all of the traffic again.
    RolledBack,
    /// No user ever saw it.
    Rejected,
    /// Nobody knows, or going back failed: a person must look. The lock is held.
    Stuck,
}

/// What [`Call::Preflight`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What stands; `None`: nothing yet.
    pub blue: Option<Revision>,
    /// Green is there already (a revision that is used again, or a call that was made before a crash).
    pub green_is_warm: bool,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// The first one.
    Planned {
        /// What is asked for.
        plan: Box<Plan>,
        /// Who asks.
        by: String,
    },
    /// It waits behind others.
    Waits {
        /// The rollout that has the lock.
        behind: u64,
    },
    /// It has the lock of its environment and service.
    Locked {
        /// Higher than any that was given before.
        token: u64,
    },
    /// A call is about to be made. Written before it is.
    Intent {
        /// Its number in this rollout.
        effect: u32,
        /// What.
        #[serde(flatten)]
        call: Call,
    },
    /// The call is done.
    Done {
        /// Its number.
        effect: u32,
        /// What it gave.
        result: serde_json::Value,
    },
    /// The call failed for good.
    Failed {
        /// Its number.
        effect: u32,
        /// Why, with what to do.
        reason: String,
    },
    /// Somebody looked.
    Observed(Box<Observation>),
    /// A step passed, with what was known, in words.
    Passed {
        /// Which, from 0.
        step: usize,
        /// Why.
        words: String,
    },
    /// A step takes longer, for want of evidence.
    Extended {
        /// Which.
        step: usize,
        /// What is missing.
        words: String,
    },
    /// It waits for a person.
    Asks {
        /// At which step.
        step: usize,
        /// Why.
        words: String,
        /// What would make it go back, if it may not by itself.
        #[serde(default)]
        cause: Option<Cause>,
    },
    /// A person ordered something.
    Ordered {
        /// What.
        order: Order,
        /// Who.
        by: String,
        /// What they said.
        comment: String,
        /// Its number among the orders of this rollout, by which it is taken once.
        #[serde(default)]
        number: u64,
    },
    /// The job that wants it was cancelled.
    Cancelled {
        /// By whom or what.
        words: String,
    },
    /// Nothing could be seen of the target.
    Unseen {
        /// Why.
        reason: String,
    },
    /// It goes back from here, or is rejected if no user saw it.
    TurnsBack {
        /// Why.
        cause: Cause,
        /// Why, in words.
        words: String,
    },
    /// It has ended; what is still to do (keeping blue warm, stopping it) is done in the background.
    Ended {
        /// How.
        outcome: Outcome,
        /// In words, with what to do.
        words: String,
    },
    /// Nothing is left to do.
    Closed,
}
