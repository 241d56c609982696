//! What a rollout asks of its target. Each call may be made twice and has one effect.

use serde::{Deserialize, Serialize};

use crate::plan::{Stage, Weight};

/// An effect on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// Looks whether it can be done at all: the image and its port are there, the proxy answers, blue is healthy. Changes
    /// nothing. Its result says what stands ([`crate::fact::Found`]).
    Preflight,
    /// Starts green's containers; done once they are there. Whether they are healthy is observed.
    StartGreen,
    /// Lets tests reach green (test port, header), or no more.
    TestTraffic {
        /// Whether they may.
        on: bool,
    },
    /// Runs the scripts of a stage.
    Hook {
        /// Which.
        stage: Stage,
    },
    /// Gives green this share and blue the rest, then reads it back; done if that is what stands.
    SetWeight {
        /// Green's share.
        weight: Weight,
    },
    /// Green is what stands from now on: the next rollout's blue. The old one stays warm without traffic.
    MakePrimary,
    /// Drains and stops the old one. Refused by the target while it has traffic.
    StopBlue,
    /// Keeps the end of green's logs and its exit codes, then drains and stops it. Refused while it has traffic.
    StopGreen,
}

impl Call {
    /// Whether it takes something away that users may need.
    #[must_use]
    pub const fn is_destructive(&self) -> bool {
        matches!(self, Self::StopBlue | Self::StopGreen)
    }
}
