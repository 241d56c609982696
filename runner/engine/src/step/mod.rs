//! How one step runs: a script, or an action that is built in.
//!
//! A handler gets everything evaluated, and gives back what came of it; it knows nothing of conditions, order or
//! `continue-on-error`.

pub mod builtin;
pub mod checkout;
mod end;
pub mod kept;
pub mod report;
pub mod script;
pub mod trial;

pub use builtin::{
    ActionCall, ActionError, BuiltInAction, BuiltInActions, CompleteInputs, InputFacts, PostWhen, RepositoryFacts,
    RunFactsForAction, WorkspaceFacts,
};
pub use end::{PostAction, PostPart, PostScript, StepEnd, StepOutputs, minutes};
pub use kept::{JobFolders, cache_for_clients, check_artifact_name};
