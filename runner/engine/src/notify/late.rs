//! A channel with credentials in the sealed store of secrets. They are looked up when something is sent, so that one that is set
//! or changed there holds at once, and a channel whose credentials are not there yet keeps what it has to tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use workflow::secret::Secret;

use super::open::Table;
use super::table::NotifyTable;
use crate::reporting::{Outcome, Scope, Target};
use crate::store::outbox::{Message, Outbox};

/// Credentials of channels that are kept sealed, as a port.
#[async_trait]
pub trait SealedCredentials: Send + Sync + std::fmt::Debug {
    /// Those of these names that are set, by name.
    ///
    /// # Errors
    /// They cannot be read or opened; the text says why.
    async fn credentials(&self, names: &[String]) -> Result<BTreeMap<String, Secret>, String>;
}

/// A digest of credentials, and the channel with them.
type OpenedWith = ([u8; 32], Arc<dyn Target>);

/// The channel.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) name: String,
    pub(super) table: NotifyTable,
    /// The server's own address.
    pub(super) url: Option<String>,
    /// What variables give, by name.
    pub(super) given: BTreeMap<String, Secret>,
    /// What has to come from the store, by the same names.
    pub(super) wanted: Vec<String>,
    pub(super) sealed: Arc<dyn SealedCredentials>,
    /// As it was opened last, and a digest of what with.
    pub(super) opened: Mutex<Option<OpenedWith>>,
}

impl Late {
    async fn target(&self) -> Result<Arc<dyn Target>, String> {
        let sealed = self.sealed.credentials(&self.wanted).await?;
        let digest = digest(&sealed);
        let mut opened = self.opened.lock().await;
        if let Some((known, target)) = opened.as_ref()
            && *known == digest
        {
            return Ok(Arc::clone(target));
        }
        let value = |name: &str| self.given.get(name).or_else(|| sealed.get(name)).map(|one| one.expose().to_owned());
        let table = Table { name: &self.name, table: &self.table, url: self.url.as_deref(), env: &value };
        let (target, _place) = table.target().map_err(|error| error.to_string())?;
        *opened = Some((digest, Arc::clone(&target)));
        Ok(target)
    }
}

#[async_trait]
impl Target for Late {
    async fn send(&self, message: &Message, outbox: &Outbox) -> Outcome {
        match self.target().await {
            Ok(target) => target.send(message, outbox).await,
            Err(problem) => Outcome::Later { problem, after: None, scope: Scope::Target, uncertain: false },
        }
    }
}

/// Lengths stand before texts, so that no two sets of credentials are one text.
fn digest(credentials: &BTreeMap<String, Secret>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, secret) in credentials {
        for text in [name.as_str(), secret.expose()] {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
    }
    digest.finalize().into()
}
