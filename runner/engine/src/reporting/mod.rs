//! Telling others about runs: the log is read behind a stored place, messages go to the outbox, a worker sends them.
//!
//! Nothing here is waited for by a run. What messages say is decided by [`crate::github::Course`], how they are sent by
//! a [`Target`].

mod config;
mod known;
mod reader;
mod start;
mod subject;
mod target;
mod worker;

pub use config::{ForgeTable, Plan, ReportingTables, TableError, TelemetryTable};
pub(crate) use known::{Knowing, Known};
pub use reader::{Findings, NoFindings, Reader, ReaderSettings};
pub use start::Reporting;
pub(crate) use subject::subject;
pub use target::{Outcome, Scope, Target};
pub use worker::{GIVE_UP_HOURS, Worker, WorkerSettings};
