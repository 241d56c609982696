//! Amazon Web Services, as far as `pipe` speaks to them: through their own SDK, with the credentials that a step was given.
//!
//! An action runs in the process of `pipe`, and on a server that process may have rights of its own (a role of the machine, a
//! profile of its user). A step never gets those: [`Access`] is made from the step's variables alone, the ones that
//! `aws-actions/configure-aws-credentials` leaves. What fails is a [`Problem`]: in words, whose fault it is, and whether another
//! attempt makes sense. What it does not do: try again by itself. Who calls knows how long there is.

mod access;
mod arn;
mod problem;
#[cfg(test)]
mod tests;
mod topic;

pub use access::{Access, AccessError};
pub use arn::{Arn, ArnError};
pub use problem::Problem;
pub use topic::{Note, Topic};
