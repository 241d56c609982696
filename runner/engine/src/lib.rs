//! Makes plans real: places jobs, runs their steps, keeps what happened.
//!
//! It decides nothing about a run: what happens next is asked of crate `workflow`. The modules are listed in the order
//! in which a run meets them. See ARCHITECTURE.md.

pub mod clock;
pub mod store;
pub mod dispatcher;
pub mod notice;
pub mod runner_label;
pub mod job;
pub mod placement;
pub mod image;
pub mod agent_binary;
pub mod step;
pub mod hash_files;
