//! Logs as HTML: bytes of a job to lines with numbers, colours, links and groups, a part at a time.
//!
//! Everything of a log is text of others (U01, U02, U13): only what is named here becomes an element, lines are cut,
//! what is read at once is bounded. Nothing here knows of requests.

mod chunks;
mod index;
mod paint;
mod search;
mod style;
mod times;

pub(crate) use chunks::{assemble, stamped};
pub(crate) use index::{Length, Lines, Logs, State};
pub(crate) use search::{line_of, search};
pub(crate) use times::{Stamp, of_log, stamps};
