//! Makes plans real: where jobs run, what images they need, what they leave and how it is removed.
//!
//! Decides nothing about a run: that is crate `workflow`. See ARCHITECTURE.md, decisions 3 to 5.

pub mod agent_binary;
pub mod image;
pub mod placement;
