//! What jobs run the actions of others with.

use std::sync::Arc;

use crate::nodes::Nodes;

/// What is kept on this machine for actions, shared by all jobs.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    /// Builds of Node.js; absent: actions in JavaScript run with what their job's image has.
    pub nodes: Option<Arc<Nodes>>,
}
