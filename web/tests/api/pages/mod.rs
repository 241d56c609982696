//! The pages, as a browser without scripts gets them.

mod costs;
mod frame;
pub(crate) mod hostile;
mod insights;
mod job;
mod others;
mod places;
mod review;
mod runs;
mod sinks;
