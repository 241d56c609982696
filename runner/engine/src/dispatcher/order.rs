//! What a dispatcher is given, and what it gives back.

use std::sync::Arc;

use jiff::Timestamp;
use workflow::run::{Recorded, Run, RunEvent, RunFacts};

use crate::store::RunId;

/// What steers a run from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Cancel: steps are stopped politely and `always()` steps run.
    Cancel {
        /// Who.
        by: String,
    },
    /// Stop everything now.
    Kill {
        /// Who.
        by: String,
    },
    /// Let the jobs that wait at an environment go on, or not.
    Review {
        /// The environment, whatever its case.
        environment: String,
        /// Whether they may go on.
        approved: bool,
        /// Who.
        by: String,
        /// Why.
        comment: String,
        /// Only job runs whose review is about one of these, as the reviewer saw it; empty: whatever waits.
        subjects: Vec<String>,
    },
    /// Let a run of a stranger's code begin.
    Release {
        /// Who.
        by: String,
    },
    /// The run cannot go on at all.
    Refuse {
        /// Why.
        message: String,
    },
}

/// What became of carrying a run.
#[derive(Debug)]
pub enum Carried {
    /// It is over.
    Over(Box<Run>),
    /// Nothing of it runs and nothing can begin now; it need not be in memory until something comes for it.
    Aside {
        /// When it wants to be looked at in any case.
        until: Option<Timestamp>,
        /// Whether it waits for a person.
        waits_for_review: bool,
    },
}

/// Everything that one run needs.
#[derive(Debug)]
pub struct Dispatch {
    /// Its number.
    pub id: RunId,
    /// What it was started with.
    pub facts: Arc<RunFacts>,
    /// What was recorded of it by a process that has ended; empty for a new run.
    pub history: Vec<Recorded>,
    /// Facts of an earlier attempt that count for this one; recorded when it begins.
    pub kept: Vec<RunEvent>,
    /// What is to be obeyed before anything else.
    pub first: Vec<Control>,
}
