//! What is known beside a commit when its workflows are read: the actions of this program, and workflows of other
//! repositories that they call, as [`ActionStore`] has them.
//!
//! What such a workflow says is kept with the run, as the texts of the commit are, so a run that is gone on with or done
//! again is of the very same text, wherever its branch or tag leads by then.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use workflow::catalogue::Catalogue;
use workflow::read::WorkflowFiles;
use workflow::source::SourceFile;
use workflow::yaml;

use crate::actions::{ActionStore, Fetched};
use crate::inside::Inside;
use crate::mirror::{WORKFLOW_BYTES_MAX, WorkflowSources};

/// What is known beside a commit.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The actions that steps may use, as far as they are known.
    pub actions: Catalogue,
    /// Where workflows of other repositories come from; absent: they are left unread.
    pub elsewhere: Option<Arc<ActionStore>>,
}

impl Known {
    /// For workflows that anybody may have written.
    pub(super) fn for_forks(&self) -> Self {
        Self { actions: self.actions.clone(), elsewhere: self.elsewhere.as_ref().map(ActionStore::for_forks) }
    }
}

impl From<Catalogue> for Known {
    fn from(actions: Catalogue) -> Self {
        Self { actions, elsewhere: None }
    }
}

/// The workflows that those of a commit may call.
pub(super) struct Called<'a> {
    pub(super) commit: &'a WorkflowSources<'a>,
    pub(super) known: &'a Known,
}

impl WorkflowFiles for Called<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        if reference.starts_with("./") {
            return self.commit.read(reference);
        }
        let store = self.known.elsewhere.as_ref()?;
        Some(elsewhere(store, reference).map(|text| SourceFile::new(reference, text)))
    }
}

/// The text of `owner/repo/path@ref`.
fn elsewhere(store: &ActionStore, reference: &str) -> Result<String, String> {
    let wrong = || format!("`{reference}` is not of the form owner/repo/path@ref");
    let (path, version) = reference.rsplit_once('@').ok_or_else(wrong)?;
    let mut parts = path.splitn(3, '/');
    let (Some(owner), Some(name), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let fetched = get(store, &format!("{owner}/{name}"), version)?;
    let file = Inside::workspace(&fetched.folder).and_then(|folder| folder.file(Path::new(path)));
    let mut bytes = Vec::new();
    let limit = u64::try_from(WORKFLOW_BYTES_MAX).unwrap_or(u64::MAX);
    let read = file.and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("`{reference}` cannot be read: {error}"))?;
    if bytes.len() > WORKFLOW_BYTES_MAX {
        return Err(format!(
            "`{reference}` has more than {WORKFLOW_BYTES_MAX} bytes: a workflow file may have so many"
        ));
    }
    yaml::decode(&bytes).map_err(|error| format!("`{reference}` is not text: {error}"))
}

/// On a thread of its own: whoever reads workflows is part of a runtime that must not wait.
fn get(store: &ActionStore, repository: &str, version: &str) -> Result<Fetched, String> {
    let getting = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(store.get(repository, version)).map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| scope.spawn(getting).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
