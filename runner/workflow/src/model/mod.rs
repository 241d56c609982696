//! The typed workflow: what a checked file says, in the words of GitHub's workflow syntax.
//!
//! Whatever may still depend on a context (`env`, `runs-on`, `with` …) stays a [`Token`](crate::template::Token);
//! whatever is settled when the file is read has a type. See
//! <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions>.

mod cache_mode;
mod id;
mod job;
mod permissions;
mod step;
mod triggers;
mod workflow;

pub use cache_mode::CacheMode;
pub use id::{JobId, StepId};
pub use job::{CallDefinitions, CalledWorkflow, Job, JobKind, ReusableCall, Secrets, StepsJob, Strategy};
pub use permissions::{PermissionLevel, Permissions, SCOPES, SHORTHAND_SCOPES};
pub use step::{Step, StepKind, Uses};
pub use triggers::{CallInput, CallOutput, CallSecret, DispatchInput, Filters, InputType, Schedule, Trigger, Triggers};
pub use workflow::Workflow;
