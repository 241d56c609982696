//! Makes plans real: places jobs, runs their steps, keeps what happened.
//!
//! It decides nothing about a run: what happens next is asked of crate `workflow`. The modules are listed in the order
//! in which a run meets them. See ARCHITECTURE.md.

pub mod actions;
pub mod agent_binary;
pub mod blobs;
pub mod clock;
pub mod collect;
pub mod dispatcher;
pub mod folders;
pub mod git;
pub mod github;
pub mod green;
pub mod groups;
pub mod hash_files;
pub mod image;
pub mod inside;
pub mod insights;
pub mod issuer;
pub mod job;
pub mod kept;
pub mod local;
pub mod machine;
pub mod metrics;
pub mod mirror;
pub mod nodes;
pub mod notice;
pub mod notify;
pub mod oidc;
pub mod outbound;
pub mod own_file;
pub mod placement;
pub mod registration;
pub mod reporting;
pub mod reports;
pub mod runner_label;
mod scratch;
pub mod sealing;
pub mod service;
pub mod serving;
#[cfg(test)]
mod simulation;
pub mod slots;
pub mod step;
pub mod store;
pub mod telemetry;
pub mod triggering;
pub mod wire;
