//! What is kept for the figures of insights: notes of deployments, what people say of them, and what runs used.
//!
//! A note is made once, when a deployment is over (`engine::insights::Noter`). Reading figures then is one pass over an
//! index in time, without logs and without git.

mod counts;
mod marks;
mod notes;
mod reading;
mod usage;

use jiff::Timestamp;

pub use counts::{BudgetAlert, Uncounted, day_of};
pub use marks::{Mark, Marked};
pub use notes::{Note, Previous, Unnoted};
pub use reading::{DoraFilter, Noted, Place};
pub use usage::{CacheUsage, JobUsage, StepUsage, Times, UsageFilter};

use super::database::Database;

/// What is kept for figures in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Insights {
    database: Database,
}

impl Insights {
    /// That of this database.
    #[must_use]
    pub fn on(database: Database) -> Self {
        Self { database }
    }
}

fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or_default()
}
