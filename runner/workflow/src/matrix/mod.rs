//! `strategy:` of a job: which legs it has, and how they run together.
//!
//! It multiplies, excludes and includes as GitHub's runner does, and gives display names. Whether a strategy can be
//! expanded before the run is the plan's question. Legs are plain data (JSON values), so that a run can keep the legs of a dynamic matrix in its log.
//! Follows <https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations>.

mod build;
mod filter;
mod name;
mod pick;
#[cfg(test)]
pub(crate) mod tests;

pub use build::{EVALUATION, SHAPE, TOO_MANY, expand};
pub use name::{NAME_LENGTH_MAX, leg_name};
pub use pick::is_picked;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Most legs of one job, GitHub's limit.
pub const LEGS_MAX: usize = 256;
/// Most combinations that are tried against `exclude`, before any is left out.
pub const COMBINATIONS_MAX: usize = 100_000;
/// Most entries of `exclude`, and of `include`. Another job may have made them, and each is compared with each combination.
pub const ENTRIES_MAX: usize = 1_000;
/// Most comparisons of a combination with an entry of `exclude`: a tenth of a second.
const COMPARISONS_MAX: usize = 10_000_000;
/// Most mistakes of one matrix that are told.
const MISTAKES_MAX: usize = 100;

/// The legs of one job and how they run together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legs {
    /// In the order in which GitHub makes them, at most [`LEGS_MAX`]. Without `matrix:` one leg without
    /// values. Empty where `exclude` takes every combination: the job then has nothing to run and is skipped.
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

impl MatrixLeg {
    /// The `strategy` context of this leg.
    #[must_use]
    pub fn strategy_context(&self, fail_fast: bool, max_parallel: Option<u32>) -> Map<String, Json> {
        Map::from_iter([
            ("fail-fast".to_owned(), Json::from(fail_fast)),
            ("job-index".to_owned(), Json::from(self.index)),
            ("job-total".to_owned(), Json::from(self.total)),
            ("max-parallel".to_owned(), Json::from(max_parallel.unwrap_or(self.total))),
        ])
    }

    /// The `matrix` context: an object, or null.
    #[must_use]
    pub fn matrix_context(&self) -> Json {
        self.values.as_deref().map_or(Json::Null, |values| Json::Object(values.clone()))
    }
}

impl Legs {
    /// A job without `strategy:`.
    #[must_use]
    pub fn single() -> Self {
        Self { legs: vec![MatrixLeg::single()], fail_fast: true, max_parallel: None }
    }
}
