//! Flags that say where the actions of others come from.

use clap::Args;
use engine::actions::{BuiltInMode, LocalRepository};

/// `pipe lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Which workflows
    #[command(flatten)]
    pub selection: super::Selection,
    /// Where actions come from
    #[command(flatten)]
    pub actions: ActionArgs,
}

/// Where actions come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Actions")]
pub struct ActionArgs {
    /// Take an action from a folder or bare repository on this machine; without @REF all its versions; may be repeated
    #[arg(long, value_name = "OWNER/REPO@REF=PATH")]
    pub local_repository: Vec<LocalRepository>,
    /// Fetch no actions: use those that are kept
    #[arg(long, visible_alias = "action-offline-mode")]
    pub offline: bool,
    /// Where an action is built in too: `usual`, `prefer` that one, use it as a `fallback`, or `never`
    #[arg(long, value_name = "WHEN", default_value = "usual")]
    pub builtin_actions: BuiltInMode,
    /// The server that actions are fetched from
    #[arg(long, value_name = "URL", default_value = "https://github.com")]
    pub actions_server: String,
}
