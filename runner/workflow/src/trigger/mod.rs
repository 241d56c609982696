//! `on:` against an event: does it start the workflow, and if not, why not.
//!
//! Every reason is collected, not only the first. It asks nobody: changed files and the head commit's message come
//! with the event, and where they are not known the workflow runs.
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows> and
//! <https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs>.

pub mod cron;
mod decide;
mod filter;
mod glob;
mod inputs;
mod skip;
#[cfg(test)]
pub(crate) mod tests;
mod why_not;

pub use decide::{TriggerDecision, decide};
pub use filter::CHANGED_FILES_MAX;
pub use glob::Glob;
pub use inputs::{DispatchInputs, INPUT_CHARACTERS_MAX, INPUTS_MAX};
pub use skip::skip_instruction;
pub use why_not::WhyNot;
