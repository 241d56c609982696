//! Workflow files on this machine: where they are, which ones are meant, and their text.
//!
//! What a text means is for crate `workflow`.

mod called;
mod elsewhere;
mod find;
mod problem;
mod text;

pub use called::LocalFiles;
pub use elsewhere::Elsewhere;
pub use find::{FOLDERS, default_folder, folders, is_action, repository_root, search, search_actions};
pub use problem::Problem;
pub use text::{WORKFLOW_BYTES_MAX, read};

use std::path::Path;

/// A path as messages show it: from `root` where it lies below, with `/` between names.
pub fn display_name(path: &Path, root: Option<&Path>) -> String {
    let from_root = root.and_then(|root| path.strip_prefix(root).ok()).filter(|rest| !rest.as_os_str().is_empty());
    let shown = from_root.unwrap_or(path).to_string_lossy();
    shown.strip_prefix("./").unwrap_or(&shown).to_owned()
}
