//! What registered repositories give to others: who fetches them, and the folders of their mirrors.

use std::sync::Arc;

use async_trait::async_trait;

use crate::mirror::{GitCredential, GitCredentials, Mirrors, Origin, RemoteUrl, Wanted};
use crate::service::{PortError, RunRepository, RunSpec};
use crate::step::RepositoryFacts;
use crate::store::repositories::{Repositories, Sealer, fetch_context};

/// Tokens as they were registered.
#[derive(Debug, Clone)]
pub struct StoredCredentials {
    /// Where they are kept.
    pub repositories: Repositories,
    /// Opens them.
    pub sealer: Arc<dyn Sealer>,
}

#[async_trait]
impl GitCredentials for StoredCredentials {
    async fn credential(&self, repository: u64) -> Result<GitCredential, String> {
        let all = self.repositories.all().await.map_err(|error| error.to_string())?;
        let Some(found) = all.into_iter().find(|one| one.id == repository) else { return Ok(GitCredential::None) };
        let Some(fetch) = found.fetch else { return Ok(GitCredential::None) };
        let opened = self.sealer.open(&fetch_context(found.forge, &found.full_name), &fetch.token);
        let token = opened.map_err(|error| format!("its token does not open: {error}"))?;
        Ok(GitCredential::Token { user: fetch.user, token })
    }
}

/// The mirrors of registered repositories, for the jobs that check them out.
#[derive(Debug, Clone)]
pub struct MirrorFolders {
    /// The mirrors.
    pub mirrors: Mirrors,
    /// Which there are.
    pub repositories: Repositories,
}

#[async_trait]
impl RunRepository for MirrorFolders {
    async fn repository(&self, spec: &RunSpec) -> Result<RepositoryFacts, PortError> {
        let failed = |error: &dyn std::fmt::Display| PortError(error.to_string());
        let found = self.repositories.find(spec.forge, &spec.repository).await.map_err(|error| failed(&error))?;
        let found = found.ok_or_else(|| PortError(format!("{} is not registered any more", spec.repository)))?;
        let url = RemoteUrl::parse(&found.url).map_err(|error| failed(&error))?;
        let commits = spec.event.sha.iter().cloned().collect();
        // It was there when the run was made; a mirror that was lost meanwhile is fetched again.
        let wanted = Wanted { commits, ..Wanted::default() };
        self.mirrors.bring(&Origin { id: found.id, url }, wanted).await.map_err(|error| failed(&error))?;
        let folder = self.mirrors.folder(found.id);
        Ok(RepositoryFacts { folder, name: spec.repository.clone(), working_tree: false })
    }
}
