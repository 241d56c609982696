//! The rollout of one service to one environment: which steps there are, what comes next, whether it may go on.
//!
//! Pure: facts in, facts and calls out. It reads no clock, does no I/O and knows no target; whoever drives it keeps the facts,
//! performs the calls and observes. The states follow ARCHITECTURE.md; blue is what stands when a rollout begins, green what
//! it brings, as in <https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html>.

pub mod analysis;
pub mod call;
pub mod cause;
pub mod fact;
pub mod gate;
mod hash;
pub mod lock;
pub mod machine;
pub mod migration;
pub mod observation;
pub mod order;
pub mod plan;
pub mod read;
pub mod simulated;
#[cfg(test)]
mod tests;
pub mod view;

pub use call::Call;
pub use cause::Cause;
pub use fact::{Fact, Outcome};
pub use machine::{Decision, Illegal, Rollout};
pub use observation::{Counters, GivenUp, Observation, Side};
pub use order::Order;
pub use plan::{Plan, Schedule, Stage, Step, Weight};
pub use view::View;
