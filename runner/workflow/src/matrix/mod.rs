//! `strategy:` of a job: which legs it has, and how they run together.
//!
//! Legs are plain data (JSON values), so that a run can keep the legs of a dynamic matrix in its log.
//! Follows <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations>.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Most legs of one job, GitHub's limit.
pub const LEGS_MAX: usize = 256;

/// The legs of one job and how they run together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legs {
    /// In the order in which GitHub makes them, at most [`LEGS_MAX`]. Never empty: without `matrix:` one leg without values.
    pub legs: Vec<MatrixLeg>,
    /// Whether the failure of one leg cancels the others: `strategy.fail-fast`, true where not written.
    pub fail_fast: bool,
    /// How many run at once: `strategy.max-parallel`. `None`: all.
    pub max_parallel: Option<u32>,
}

/// One combination of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixLeg {
    /// From 0: `strategy.job-index`.
    pub index: u32,
    /// How many legs there are: `strategy.job-total`.
    pub total: u32,
    /// The `matrix` context; `None` in a job without `matrix:` (the context is null then).
    pub values: Option<Arc<Map<String, Json>>>,
    /// The texts that follow the job's name in brackets: each scalar of the combination, without what `include` added.
    pub segments: Vec<String>,
}

impl MatrixLeg {
    /// The one leg of a job without a matrix.
    #[must_use]
    pub const fn single() -> Self {
        Self { index: 0, total: 1, values: None, segments: Vec::new() }
    }
}

impl Legs {
    /// A job without `strategy:`.
    #[must_use]
    pub fn single() -> Self {
        Self { legs: vec![MatrixLeg::single()], fail_fast: true, max_parallel: None }
    }
}
