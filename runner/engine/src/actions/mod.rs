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
use crate::step::BuiltInAction;

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
    /// Whether nothing is fetched.
    pub(crate) fn is_offline(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.is_offline())
    }

    /// As code that anybody may have written may have them.
    #[must_use]
    pub(crate) fn for_forks(self) -> Self {
        Self { store: self.store.as_ref().map(ActionStore::for_forks), ..self }
    }

    /// Removes what killed processes had begun to fetch.
    pub(crate) fn remove_abandoned(&self) {
        self.nodes.iter().for_each(|nodes| nodes.remove_abandoned());
        self.store.iter().for_each(|store| store.remove_abandoned());
    }
}

/// Whether an action that is built in runs instead of the one of its repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuiltInMode {
    /// As each action wants it: those that only stand in for another one run where that cannot be had.
    #[default]
    Usual,
    /// Always.
    Prefer,
    /// Where the repository cannot be had.
    Fallback,
    /// Never; those below `pipe/` have no repository.
    Never,
}

impl BuiltInMode {
    /// Whether an action runs in its built-in form whatever its repository says.
    #[must_use]
    pub fn prefers(self, action: &dyn BuiltInAction, offline: bool) -> bool {
        match self {
            Self::Usual => offline || !action.stands_in(),
            Self::Prefer => true,
            Self::Fallback | Self::Never => false,
        }
    }

    /// As the user writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Prefer => "prefer",
            Self::Fallback => "fallback",
            Self::Never => "never",
        }
    }
}

impl std::str::FromStr for BuiltInMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "usual" => Ok(Self::Usual),
            "prefer" => Ok(Self::Prefer),
            "fallback" => Ok(Self::Fallback),
            "never" => Ok(Self::Never),
            other => Err(format!("`{other}` is none of usual, prefer, fallback, never")),
        }
    }
}
