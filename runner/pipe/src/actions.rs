//! What actions run with, out of settings and variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::actions::Actions;
use engine::nodes::{Nodes, Registries};
use engine::outbound::Proxies;

use crate::exit::Failure;
use crate::terminal;

/// Names a folder of Node.js builds that is shared, or was filled where there is a network.
const NODES: &str = "PIPE_NODES";

/// What is kept in a folder: the user's cache, or a server's data.
///
/// # Errors
/// The folder cannot be made.
pub fn open(folder: &Path) -> Result<Actions, Failure> {
    let folder = nodes_folder(folder);
    let source =
        Arc::new(Registries { proxies: Proxies::from_environment(&terminal::variable), ..Registries::default() });
    let nodes = Nodes::open(folder.clone(), source).map_err(|error| {
        Failure::environment(format!("cannot write to the folder of Node.js builds `{}`: {error}", folder.display()))
            .help(format!("set {NODES} to a folder that you may write to"))
    })?;
    Ok(Actions { nodes: Some(Arc::new(nodes)) })
}

/// Where builds of Node.js are kept.
pub fn nodes_folder(folder: &Path) -> PathBuf {
    let named = terminal::variable(NODES).map_or_else(|| folder.join("nodes"), PathBuf::from);
    // The container engine takes whole paths only.
    std::path::absolute(&named).unwrap_or(named)
}
