//! The shipped pipelines and the built-in actions behind them. See ARCHITECTURE.md.

pub mod action;
mod deploying;
pub mod docker;
pub mod pieces;
mod probe;
pub mod push;
pub mod registry;
pub mod rollout;
pub mod scan;
pub mod target;
mod watch;

pub use action::scan::ScanFolders;
pub use action::{built_in, built_in_with, catalogue};
pub use deploying::Deploying;
pub use watch::Watch;
