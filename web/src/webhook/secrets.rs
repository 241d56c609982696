//! Where the front door finds the secret of a repository's hook.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use engine::store::StoreError;
use engine::store::repositories::{Repositories, SealError, Sealer, hook_context};
use workflow::event::Forge;
use workflow::secret::Secret;

/// A repository whose hooks are taken.
#[derive(Debug, Clone)]
pub struct Hook {
    /// What sends it.
    pub forge: Forge,
    /// Full name as it was registered.
    pub repository: String,
    /// Its secret; never empty.
    pub secret: Secret,
}

/// Why secrets cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret cannot be opened.
    #[error("open the secret of {repository}: {reason}")]
    Sealed {
        /// Whose.
        repository: String,
        /// Why.
        reason: SealError,
    },
    /// A secret is empty, so that anybody could sign.
    #[error("the secret of {repository} is empty")]
    Empty {
        /// Whose.
        repository: String,
    },
}

/// Repositories and their secrets. It is asked for every hook, before anything is known to be genuine.
#[async_trait]
pub trait HookSecrets: Send + Sync + std::fmt::Debug {
    /// The repository of this name; upper and lower case are one.
    ///
    /// # Errors
    /// It cannot be said.
    async fn find(&self, forge: Forge, repository: &str) -> Result<Option<Arc<Hook>>, HookError>;

    /// Repositories of a forge, at most `limit`, to say which one signed a payload of another one.
    ///
    /// # Errors
    /// It cannot be said.
    async fn some(&self, forge: Forge, limit: usize) -> Result<Vec<Arc<Hook>>, HookError>;
}

/// Those in the store, kept in memory.
#[derive(Debug)]
pub struct StoredSecrets {
    repositories: Repositories,
    sealer: Arc<dyn Sealer>,
    hooks: RwLock<HashMap<(Forge, String), Arc<Hook>>>,
}

impl StoredSecrets {
    /// Opens all of them once.
    ///
    /// # Errors
    /// One cannot be read or opened, or is empty: a server must not start with a door that anybody can open.
    pub async fn load(repositories: Repositories, sealer: Arc<dyn Sealer>) -> Result<Self, HookError> {
        let secrets = Self { repositories, sealer, hooks: RwLock::default() };
        secrets.refresh().await?;
        Ok(secrets)
    }

    /// Reads them again, after a repository was added, changed or removed. On an error the old ones stay.
    ///
    /// # Errors
    /// As [`StoredSecrets::load`].
    pub async fn refresh(&self) -> Result<(), HookError> {
        let mut hooks = HashMap::new();
        for repository in self.repositories.all().await? {
            let (forge, name) = (repository.forge, repository.full_name);
            let opened = self.sealer.open(&hook_context(forge, &name), &repository.secret);
            let secret = opened.map_err(|reason| HookError::Sealed { repository: name.clone(), reason })?;
            if secret.is_empty() {
                return Err(HookError::Empty { repository: name });
            }
            hooks.insert((forge, name.to_ascii_lowercase()), Arc::new(Hook { forge, repository: name, secret }));
        }
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = hooks;
        Ok(())
    }
}

#[async_trait]
impl HookSecrets for StoredSecrets {
    async fn find(&self, forge: Forge, repository: &str) -> Result<Option<Arc<Hook>>, HookError> {
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner);
        Ok(hooks.get(&(forge, repository.to_ascii_lowercase())).cloned())
    }

    async fn some(&self, forge: Forge, limit: usize) -> Result<Vec<Arc<Hook>>, HookError> {
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner);
        Ok(hooks.values().filter(|hook| hook.forge == forge).take(limit).cloned().collect())
    }
}
