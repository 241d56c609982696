//! What is told of a run beside its log: what it is about, its story for people, and what of it must not be shown.

use std::sync::Arc;

use workflow::mask::Masker;
use workflow::run::RunFacts;

use super::subject;
use crate::github::About;
use crate::notify::Story;
use crate::service::{RunSecrets, RunSpec};
use crate::store::{RunId, SqliteStore, StoreError};

/// Where that is read.
#[derive(Debug, Clone)]
pub(crate) struct Knowing {
    pub(crate) store: SqliteStore,
    pub(crate) secrets: Arc<dyn RunSecrets>,
    /// The server's own address.
    pub(crate) url: Option<String>,
}

/// A run, as it is told of.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) about: About,
    /// To replay it, where its workflow can be read.
    pub(crate) facts: Option<Arc<RunFacts>>,
    pub(crate) story: Story,
    /// What its repository lies on.
    pub(crate) forge: String,
    /// Hides its secrets in what did not come out of a log; nothing where no people are told.
    pub(crate) masker: Masker,
}

impl Knowing {
    /// A run; `None` where there is none, or it was not made by a server. Its story is for people, and so only made where there are
    /// some. Secrets of an environment are hidden where it is named.
    pub(crate) async fn of(
        &self,
        run: RunId,
        for_people: bool,
        environment: Option<&str>,
    ) -> Result<Option<Known>, StoreError> {
        let (Some(spec), Some(row)) = (self.store.spec(run).await?, self.store.run_row(run).await?) else {
            return Ok(None);
        };
        // Without them a name that is made of them is empty; that is no reason to say nothing.
        let vars = self.secrets.vars(&spec, None).await.unwrap_or_default();
        let page = self.url.as_ref().map(|url| format!("{}/runs/{run}", url.trim_end_matches('/')));
        let masker = if for_people { self.masker(&spec, environment).await } else { Masker::new() };
        let story = if for_people { Story::of(&row, &spec, &masker) } else { Story::default() };
        let (about, facts) = subject::subject(run, &row, &spec, &vars, page);
        Ok(Some(Known { about, facts, story, forge: spec.forge.as_str().to_owned(), masker }))
    }

    async fn masker(&self, spec: &RunSpec, environment: Option<&str>) -> Masker {
        let mut masker = Masker::new();
        match self.secrets.secrets(spec, environment, None).await {
            Ok(secrets) => {
                for secret in secrets.names().filter_map(|name| secrets.get(name)) {
                    // Whoever set one that is too short was told.
                    let _too_short = masker.add(secret.expose());
                }
            }
            Err(error) => tracing::debug!(error = error.0, "the secrets of a run cannot be had to be hidden in news"),
        }
        masker
    }
}
