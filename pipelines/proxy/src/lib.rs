//! What stands before a service's colours on one machine: an exact split, counters for both, no refused connection.
//!
//! It judges nothing: what the split is comes from whoever deploys, and what it counts goes to them. `docs/proxy.md` says
//! what users of it see.
//!
//! A module uses those of its own line and of lines above it, and there is no circle:
//!
//! | | |
//! |---|---|
//! | what is said and set | `table`, `check`, `options`, `event`, `stats`, `store`, `socket`, `headers`, `bell`, `guard` |
//! | what is counted | `tally`, `backend`, `ticket`, `connections`, `metrics` |
//! | the table that stands | `pick`, `live`, `shared` |
//! | connections to backends | `pool`, `sending`, `nested`, `upstream`, `link`, `worker` |
//! | who gets a request | `answering`, `answers`, `ejection`, `way` |
//! | how it gets there | `plain`, `attempt`, `forward`, `upgrade` |
//! | how it comes in | `door`, `front`, `doors` |
//! | who steers | `client`, `control`, `hand_over`, `run` |

pub mod client;
pub mod event;
pub mod guard;
pub mod options;
pub mod stats;
pub mod table;

mod answering;
mod answers;
mod attempt;
mod backend;
mod bell;
mod check;
mod connections;
mod control;
mod door;
mod doors;
mod ejection;
mod forward;
mod front;
mod hand_over;
mod headers;
mod link;
mod live;
mod metrics;
mod nested;
mod pick;
mod plain;
mod pool;
mod run;
mod sending;
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
