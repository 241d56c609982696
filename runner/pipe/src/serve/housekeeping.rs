//! What a server does from time to time whether or not anybody asks: artifacts and caches whose time is over are removed.

use std::time::Duration;

use engine::kept::{Kept, KeptRules, Tidied};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::Size;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// `[retention]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RetentionTable {
    /// Days of artifacts that ask for no other number, and the most that can be asked for.
    pub artifact_days: Option<std::num::NonZeroU64>,
    /// Days after which an entry of a cache goes that nobody uses.
    pub cache_days: Option<std::num::NonZeroU64>,
    /// Caches of one repository on the disk.
    pub cache_size: Option<Size>,
}

impl RetentionTable {
    /// As those who keep them know it.
    pub fn rules(&self) -> KeptRules {
        let mut rules = KeptRules::default();
        rules.artifact_days = self.artifact_days.map_or(rules.artifact_days, std::num::NonZeroU64::get);
        if let Some(days) = self.cache_days {
            rules.cache_unused = Duration::from_secs(days.get().saturating_mul(24 * 60 * 60));
        }
        rules.cache_bytes = self.cache_size.map_or(rules.cache_bytes, Size::bytes);
        rules
    }
}

/// Keeps a server's folder in order: at once, then every hour.
pub async fn keep_house(kept: Kept, stop: CancellationToken) {
    loop {
        once(kept.clone()).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn once(kept: Kept) {
    match tokio::task::spawn_blocking(move || kept.tidy()).await {
        Ok(Ok(Tidied { artifacts: 0, caches: 0, bytes: 0 })) => {}
        Ok(Ok(Tidied { artifacts, caches, bytes })) => {
            tracing::info!(artifacts, caches, bytes, "what was kept long enough is removed");
        }
        Ok(Err(error)) => tracing::warn!(%error, "artifacts and caches cannot be tidied"),
        Err(error) => tracing::error!(%error, "a bug in pipe: tidying ended"),
    }
}
