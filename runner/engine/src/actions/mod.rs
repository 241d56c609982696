//! What jobs run the actions of others with: their repositories and the Node.js that they ask for, kept on this machine.
//!
//! | part | what it does |
//! |---|---|
//! | [`store`] | gives the files of `owner/repo@ref`: from what is kept by commit, or fetched by git |
//! | [`lock`] | which commit each was when somebody looked |
//! | `source` | asks git for them |
//! | `hash` | the tree that files make |
//! | `tree` | writes the files of a commit or of a folder, without following what could lead out of it |
//! | [`error`] | why there are none, in GitHub's words where it has words for it |
//!
//! Runs nothing of them; see `job/fetched` for how a job uses them.

pub mod error;
mod hash;
pub mod lock;
mod source;
pub mod store;
mod tree;
pub(crate) mod uses;

use std::sync::Arc;

pub use error::FetchError;
pub use store::{ActionStore, FetchOptions, Fetched, LocalRepository};

use crate::nodes::Nodes;

/// What is kept on this machine for actions, shared by all jobs.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    /// Builds of Node.js; absent: actions in JavaScript run with what their job's image has.
    pub nodes: Option<Arc<Nodes>>,
    /// Repositories of actions; absent: only built-in actions and those of the repository itself run.
    pub store: Option<Arc<ActionStore>>,
    /// Which of two is meant where an action is built in too.
    pub built_in: BuiltInMode,
}

impl Actions {
    /// Removes what killed processes had begun to fetch.
    pub(crate) fn remove_abandoned(&self) {
        self.nodes.iter().for_each(|nodes| nodes.remove_abandoned());
        self.store.iter().for_each(|store| store.remove_abandoned());
    }
}

/// Whether an action that is built in runs instead of the one of its repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuiltInMode {
    /// Always.
    #[default]
    Prefer,
    /// Where the repository cannot be had.
    Fallback,
    /// Never; those below `pipe/` have no repository.
    Never,
}

impl std::str::FromStr for BuiltInMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "prefer" => Ok(Self::Prefer),
            "fallback" => Ok(Self::Fallback),
            "never" => Ok(Self::Never),
            other => Err(format!("`{other}` is none of prefer, fallback, never")),
        }
    }
}
