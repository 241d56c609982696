//! What actions run with, out of settings and variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::actions::lock::{LOCK_FILE, Lock};
use engine::actions::{ActionStore, Actions, BuiltInMode, FetchOptions};
use engine::nodes::{Nodes, Registries};
use engine::outbound::Proxies;
use workflow::secret::Secret;

use crate::args::ActionArgs;
use crate::exit::Failure;
use crate::terminal;

/// Names a folder of Node.js builds that is shared, or was filled where there is a network.
const NODES: &str = "PIPE_NODES";

/// Opens private repositories of the server that actions are fetched from.
const TOKEN: &str = "PIPE_ACTIONS_TOKEN";

/// What is kept in a folder: the user's cache, or a server's data.
///
/// # Errors
/// The folder cannot be made.
pub fn open(cache: &Path, options: FetchOptions, built_in: BuiltInMode) -> Result<Actions, Failure> {
    let folder = nodes_folder(cache);
    let source =
        Arc::new(Registries { proxies: Proxies::from_environment(&terminal::variable), ..Registries::default() });
    let nodes = Nodes::open(folder.clone(), source).map_err(|error| {
        Failure::environment(format!("cannot write to the folder of Node.js builds `{}`: {error}", folder.display()))
            .help(format!("set {NODES} to a folder that you may write to"))
    })?;
    let store = ActionStore::new(cache.join("actions"), options);
    Ok(Actions { nodes: Some(Arc::new(nodes)), store: Some(Arc::new(store)), built_in })
}

/// The token of the environment, if there is one.
pub fn token() -> Option<Secret> {
    terminal::variable(TOKEN).filter(|token| !token.is_empty()).map(Secret::new)
}

/// The same as the flags of a run have it.
pub fn of_run(actions: &Actions, args: &ActionArgs, lock: Option<Lock>, cache: &Path) -> Actions {
    let store = Some(Arc::new(store(args, lock, cache)));
    Actions { nodes: actions.nodes.clone(), store, built_in: args.builtin_actions }
}

/// How the names of actions become commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// What was said a while ago is believed.
    Believed,
    /// By the lock of the repository.
    Locked,
    /// Each is asked for anew.
    Anew,
}

impl Names {
    /// Of a run, which goes by the lock or does not.
    pub const fn of_run(locked: bool) -> Self {
        if locked { Self::Locked } else { Self::Believed }
    }
}

/// The repositories that the flags of a run name.
pub fn store(args: &ActionArgs, lock: Option<Lock>, cache: &Path) -> ActionStore {
    let ActionArgs { local_repository, offline, actions_server, .. } = args;
    let (server, local) = (actions_server.clone(), local_repository.clone());
    let options = FetchOptions { server, offline: *offline, local, lock, token: token() };
    ActionStore::new(cache.join("actions"), options)
}

/// Where builds of Node.js are kept.
pub fn nodes_folder(folder: &Path) -> PathBuf {
    let named = terminal::variable(NODES).map_or_else(|| folder.join("nodes"), PathBuf::from);
    // The container engine takes whole paths only.
    std::path::absolute(&named).unwrap_or(named)
}

/// The lock of a repository, for a run that goes by it.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn lock(root: &Path) -> Result<Lock, Failure> {
    let path = root.join(LOCK_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::usage(format!("cannot read `{LOCK_FILE}`: {error}")).help("`pipe lock` writes it"))?;
    Lock::parse(&text).map_err(|error| Failure::usage(error.to_string()))
}
