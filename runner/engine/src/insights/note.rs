//! Notes what figures are made of, as soon as a deployment is over: its times from the log of its run, its commits from
//! the mirror of its repository.
//!
//! It looks by itself every few seconds. A note is one transaction, and what is not noted is looked for again, so it may be
//! killed anywhere. A repository or a commit that is gone leaves a note without commits, with the reason.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use workflow::event::Forge;
use workflow::run::JobRunKey;

use super::costs::CostRules;
use super::count::Counter;
use super::dora::Outcome;
use super::dora::label::{Said, Signs};
use super::timeline;
use crate::clock::Clock;
use crate::mirror::{Brought, COMMITS_SHOWN_MAX, CommitLine, Mirrors};
use crate::notify::Herald;
use crate::service::{RunSecrets, RunSpec};
use crate::store::audit::Audit;
use crate::store::insights::{Insights, Note, Previous, Unnoted};
use crate::store::listing::Listing;
use crate::store::repositories::Repositories;
use crate::store::{Database, SqliteStore, StoreError};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Makes notes.
#[derive(Debug)]
pub struct Noter {
    insights: Insights,
    listing: Listing,
    store: SqliteStore,
    repositories: Repositories,
    mirrors: Mirrors,
    clock: Arc<dyn Clock>,
    counter: Option<Counter>,
}

impl Noter {
    /// Of a server's database and mirrors.
    #[must_use]
    pub fn new(database: &Database, mirrors: Mirrors, clock: Arc<dyn Clock>) -> Self {
        Self {
            insights: Insights::on(database.clone()),
            listing: Listing::on(database.clone()),
            store: SqliteStore::on(database.clone()),
            repositories: Repositories::on(database.clone()),
            mirrors,
            clock,
            counter: None,
        }
    }

    /// It counts what runs use as well, looks at the budget, and tells people when parts of it are reached.
    #[must_use]
    pub fn with_costs(
        mut self,
        rules: CostRules,
        audit: Audit,
        secrets: Arc<dyn RunSecrets>,
        herald: Option<Herald>,
    ) -> Self {
        let (insights, listing, store) = (self.insights.clone(), self.listing.clone(), self.store.clone());
        self.counter = Some(Counter { insights, listing, store, secrets, rules, audit, herald });
        self
    }

    /// Notes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if let Some(counter) = &self.counter
            && let Err(error) = self.insights.set_rules(counter.rules.clone()).await
        {
            tracing::warn!(%error, "what time costs cannot be kept");
        }
        // Other prices, or another budget, may have been set before the start.
        let mut look_at_budget = true;
        loop {
            if let Err(error) = self.note_all(&stop).await {
                tracing::warn!(%error, "deployments cannot be noted now");
            }
            match self.count_all(look_at_budget, &stop).await {
                Ok(()) => look_at_budget = false,
                Err(error) => tracing::warn!(%error, "what runs used cannot be counted now"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.wait_until(self.clock.now() + LOOK_EVERY) => {}
            }
        }
    }

    /// Notes everything that is over.
    ///
    /// # Errors
    /// The store cannot be used; what is left is noted the next time.
    pub async fn note_all(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let unnoted = self.insights.unnoted().await?;
            if unnoted.is_empty() {
                return Ok(());
            }
            for one in unnoted {
                if stop.is_cancelled() {
                    return Ok(());
                }
                self.note(one).await?;
            }
        }
    }

    /// Counts what runs used that are over, and looks at the budget if there were some.
    ///
    /// # Errors
    /// The store cannot be used; what is left is counted the next time.
    pub async fn count_all(&self, look_at_budget: bool, stop: &CancellationToken) -> Result<(), StoreError> {
        let Some(counter) = &self.counter else { return Ok(()) };
        let counted = counter.count_all(stop).await?;
        if counted || look_at_budget { counter.check_budget(self.clock.now()).await } else { Ok(()) }
    }

    async fn note(&self, of: Unnoted) -> Result<(), StoreError> {
        let facts = self.listing.log(of.run).await?;
        let spec = self.store.spec(of.run).await?;
        let key = JobRunKey::parse(&of.job);
        let Some(stages) = timeline::stages(&facts, &key, of.made_at) else {
            return self.insights.pass_over(of.id).await;
        };
        let inputs = spec.as_ref().map_or(Json::Null, |spec| spec.inputs.clone());
        let service = timeline::service(&facts, &key, &inputs);
        let (previous, was_there) = self.insights.before(of.clone(), service.clone()).await?;
        let outcome = if of.state == "success" { Outcome::Succeeded } else { Outcome::Stopped };
        let brought = self.brought(&of, spec.as_ref(), previous.as_ref()).await;
        let is_other = previous.as_ref().is_some_and(|previous| previous.sha != of.sha);
        let (brought, goes_back, problem) = match brought {
            Ok(brought) => {
                let goes_back = brought.commits.is_empty() && brought.gone > 0;
                (brought, goes_back, None)
            }
            // Without git it is still known what has stood there.
            Err(problem) => (Brought::default(), is_other && was_there, Some(problem)),
        };
        let said: Vec<Said<'_>> =
            brought.commits.iter().map(|commit| Said { sha: &commit.id, message: &commit.message }).collect();
        let labels = spec.as_ref().map(labels).unwrap_or_default();
        // What came with the very first deployment says nothing of what stood there before.
        let said = if previous.is_some() { said.as_slice() } else { &[] };
        let signs = Signs { git_ref: &of.git_ref, labels: &labels, inputs: &inputs, commits: said, goes_back };
        let note = Note {
            service,
            outcome,
            stages,
            previous: previous.map(|previous| previous.id),
            label: signs.label(),
            gone: brought.gone,
            commit_times: brought.commits.iter().map(|commit| commit.committed_at).collect(),
            commits: brought.commits.iter().take(COMMITS_SHOWN_MAX).map(CommitLine::of).collect(),
            problem,
            of,
        };
        self.insights.keep(note).await
    }

    async fn brought(
        &self,
        of: &Unnoted,
        spec: Option<&RunSpec>,
        previous: Option<&Previous>,
    ) -> Result<Brought, String> {
        let forge: Option<Forge> = spec.map(|spec| spec.forge);
        let all = self.repositories.all().await.map_err(|error| error.to_string())?;
        let mut found = all.iter().filter(|one| one.full_name.eq_ignore_ascii_case(&of.repository));
        // Two forges may have repositories of one name.
        let found = found.find(|one| forge.is_none_or(|forge| forge == one.forge));
        let id = found.ok_or("the repository is not registered any more")?.id;
        let (old, new) = (previous.map(|previous| previous.sha.clone()), of.sha.clone());
        let read = self.mirrors.read(id, move |mirror| Brought::between(mirror, old.as_deref(), &new));
        read.await.map_err(|error| error.to_string())
    }
}

/// Labels of the pull request that a run is for.
fn labels(spec: &RunSpec) -> Vec<String> {
    let labels = spec.event.payload["pull_request"]["labels"].as_array();
    let name = |label: &Json| label["name"].as_str().map(str::to_owned);
    labels.into_iter().flatten().filter_map(name).collect()
}
