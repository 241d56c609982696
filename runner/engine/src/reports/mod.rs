//! Reports of tools: what became of each test, and which lines tests reach. Read without trust, within bounds.
//!
//! Where files come from and where results are kept is others' business (`step/report`, `store/reports`).

mod case;
mod cobertura;
mod coverage;
pub mod junit;
mod lcov;
mod place;
mod xml;

pub use case::{Case, MESSAGE_CHARS_MAX, Outcome, Totals, title};
pub use coverage::{Coverage, FileCoverage, FileLines, Lines, Rate};
pub use place::{Places, place};
pub use xml::ReadError;

/// Cases of one report that are kept.
pub const CASES_MAX: usize = 100_000;
/// All files of one report together.
pub const FILES_BYTES_MAX: u64 = 64 << 20;
/// Files of one report.
pub const FILES_MAX: usize = 10_000;
/// Files whose coverage is kept.
pub const COVERED_FILES_MAX: usize = 50_000;
/// Lines whose coverage is known, over all files.
pub const COVERED_LINES_MAX: usize = 10_000_000;
