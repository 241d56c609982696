//! What a run needs of its server beside its log: values that are secret or may change, and the repository's objects.

use async_trait::async_trait;
use indexmap::IndexMap;

use super::RunSpec;
use crate::job::{EnvironmentSecrets, JobOrder, SecretStore};
use crate::step::RepositoryFacts;

/// Why a port could not give what was asked. The text holds nothing secret; it is shown to who reads the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// Gives secrets and variables.
#[async_trait]
pub trait RunSecrets: Send + Sync + std::fmt::Debug {
    /// The secrets of these names that the run may have: of its repository, or of an environment (where one is named,
    /// its values win). `names` is `None` where an expression takes the whole context; otherwise only the named ones
    /// are opened. A run of [`super::Trust::Fork`] gets none but its own read-only `GITHUB_TOKEN`.
    ///
    /// # Errors
    /// They cannot be opened; the run fails with the text.
    async fn secrets(
        &self,
        spec: &RunSpec,
        environment: Option<&str>,
        names: Option<&[String]>,
    ) -> Result<SecretStore, PortError>;

    /// The `vars` context: of the server and the repository, or with those of an environment over them.
    ///
    /// # Errors
    /// They cannot be read; the run fails with the text.
    async fn vars(&self, spec: &RunSpec, environment: Option<&str>) -> Result<IndexMap<String, String>, PortError>;
}

/// Knows where the objects of a repository are.
#[async_trait]
pub trait RunRepository: Send + Sync + std::fmt::Debug {
    /// The repository of a run: the folder of its mirror, which has the commit.
    ///
    /// # Errors
    /// It is not there; the run fails with the text.
    async fn repository(&self, spec: &RunSpec) -> Result<RepositoryFacts, PortError>;
}

/// Secrets of environments, for the jobs of one run.
#[derive(Debug)]
pub(super) struct OfEnvironments {
    pub(super) ports: std::sync::Arc<dyn RunSecrets>,
    pub(super) spec: RunSpec,
}

#[async_trait]
impl EnvironmentSecrets for OfEnvironments {
    async fn secrets(
        &self,
        order: &JobOrder,
        environment: &str,
    ) -> Result<(SecretStore, IndexMap<String, String>), String> {
        let names = order.secret_names();
        let secrets = self.ports.secrets(&self.spec, Some(environment), names.as_deref()).await;
        let mut vars = self.ports.vars(&self.spec, Some(environment)).await.map_err(|error| error.0)?;
        vars.extend(self.spec.vars.clone());
        Ok((secrets.map_err(|error| error.0)?, vars))
    }
}

/// The same values for every run.
#[derive(Debug, Clone, Default)]
pub struct FixedSecrets {
    /// Secrets by name.
    pub secrets: IndexMap<String, workflow::secret::Secret>,
    /// Variables by name.
    pub vars: IndexMap<String, String>,
}

#[async_trait]
impl RunSecrets for FixedSecrets {
    async fn secrets(
        &self,
        spec: &RunSpec,
        _environment: Option<&str>,
        names: Option<&[String]>,
    ) -> Result<SecretStore, PortError> {
        let mut store = SecretStore::default();
        let wanted =
            |name: &str| names.is_none_or(|names| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
        if spec.trust == super::Trust::Trusted {
            self.secrets.iter().filter(|(name, _)| wanted(name)).for_each(|(name, it)| store.add(name, it.clone()));
        }
        Ok(store)
    }

    async fn vars(&self, _spec: &RunSpec, _environment: Option<&str>) -> Result<IndexMap<String, String>, PortError> {
        Ok(self.vars.clone())
    }
}

/// One folder for every run.
#[derive(Debug, Clone)]
pub struct FixedRepository(pub std::path::PathBuf);

#[async_trait]
impl RunRepository for FixedRepository {
    async fn repository(&self, spec: &RunSpec) -> Result<RepositoryFacts, PortError> {
        Ok(RepositoryFacts { folder: self.0.clone(), name: spec.repository.clone(), working_tree: false })
    }
}
