//! What stands before a service's colours on one machine: an exact split, counters for both, no refused connection.
//!
//! It judges nothing: what the split is comes from whoever deploys, and what it counts goes to them. `docs/proxy.md` says
//! what users of it see.

pub mod client;
pub mod event;
pub mod guard;
pub mod options;
pub mod stats;
pub mod table;

mod answers;
mod backend;
mod bell;
mod body;
mod check;
mod control;
mod door;
mod doors;
mod forward;
mod front;
mod hand_over;
mod headers;
mod live;
mod metrics;
mod nested;
mod pick;
mod plain;
mod pool;
mod run;
mod shared;
mod socket;
mod store;
mod tally;
mod ticket;
mod upgrade;
mod upstream;
mod way;
mod worker;

pub use doors::StartError;
pub use options::Options;
pub use run::{Ended, serve};
pub use store::LoadError;
