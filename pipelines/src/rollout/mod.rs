//! Rollouts made real: what drives the pure machine of crate `rollout` to its end, over ports.
//!
//! It decides nothing itself. Facts are written before and after each call, so a process that was killed at any point is
//! followed by one that knows what may have happened and looks. See ARCHITECTURE.md.

mod call;
pub mod driver;
pub mod journal;
pub mod keeper;
pub mod ports;
mod recover;
#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;

pub use driver::Driver;
pub use journal::StoredJournal;
pub use keeper::{Asked, Back, Keeper, KeeperError, Orphans};
pub use ports::{CallError, CallOrder, Claim, Hooks, Journal, JournalError, OrderGiven, Subject, Target};
