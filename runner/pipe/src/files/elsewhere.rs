//! Called workflows of other repositories: out of the store of actions, which fetches them.

use std::path::{Component, Path};
use std::sync::Arc;

use engine::actions::{ActionStore, Fetched};
use workflow::source::SourceFile;

use super::text;

/// Where they come from.
#[derive(Debug, Clone)]
pub struct Elsewhere(pub Arc<ActionStore>);

impl Elsewhere {
    /// The file of `owner/repo/path@ref`, under that name.
    ///
    /// # Errors
    /// It cannot be had; a sentence for whoever wrote the reference.
    pub fn read(&self, reference: &str, bytes_max: u64) -> Result<SourceFile, String> {
        let wrong = || format!("`{reference}` is not of the form owner/repo/path@ref");
        let (path, version) = reference.rsplit_once('@').ok_or_else(wrong)?;
        let mut parts = path.splitn(3, '/');
        let (Some(owner), Some(name), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        if Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(format!("`{reference}` must name a file of that repository, without `..`"));
        }
        let fetched = self.get(&format!("{owner}/{name}"), version)?;
        let full = fetched.folder.join(path);
        let found = text::read(&full, Some(&fetched.folder), bytes_max);
        let text = found.map_err(|problem| problem.diagnostic(reference).message)?;
        Ok(SourceFile::new(reference, text))
    }

    /// On a thread of its own, as whoever reads workflows may be part of a runtime that must not wait.
    fn get(&self, repository: &str, version: &str) -> Result<Fetched, String> {
        let getting = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(self.0.get(repository, version)).map_err(|error| error.to_string())
        };
        std::thread::scope(|scope| scope.spawn(getting).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use engine::actions::FetchOptions;

    use super::*;

    #[test]
    fn files_of_the_repository_only() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            ActionStore::new(folder.path().to_owned(), FetchOptions { offline: true, ..FetchOptions::default() });
        let elsewhere = Elsewhere(Arc::new(store));
        for (reference, expect) in [
            ("o/r//etc/passwd@v1", "without `..`"),
            ("o/r/../../x.yml@v1", "without `..`"),
            ("o/r@v1", "is not of the form"),
            ("o/r/.github/workflows/x.yml@v1", "is not in the store of actions"),
        ] {
            let said = elsewhere.read(reference, 10).unwrap_err();
            assert!(said.contains(expect), "{reference}: {said}");
        }
    }
}
