//! What actions of others find on their job's localhost, in the words that GitHub's own packages speak: artifacts
//! (`@actions/artifact`), caches (`@actions/cache`), identity tokens (`@actions/core`), a part of its API. GitHub calls it the results service.
//!
//! Each job has a listener, keys and a token of its own, and nothing of them opens anything once the job is over. What is
//! kept is kept where the built-in actions keep it, so that both see the same artifacts and caches. How a job comes to its
//! socket is the engine's business (`job/serving`).

mod answer;
mod api;
mod artifacts;
mod cache_v1;
mod caches;
mod download;
mod identity;
mod job;
mod listen;
mod protobuf;
mod repository;
mod route;
mod signed;
mod token;
mod twirp;
mod upload;
mod uploads;

pub use api::Writes;
pub use identity::Identity;
pub use listen::Way;

use std::sync::Arc;

use async_trait::async_trait;
use engine::serving::{JobServices, Served, ServedJob};
use indexmap::IndexMap;

use job::Job;

/// Serves jobs of this process.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Who issues tokens of jobs, if anybody.
    pub identity: Option<Identity>,
    /// What jobs may say with a token that is only good here.
    pub writes: Writes,
}

#[async_trait]
impl JobServices for Results {
    async fn begin(&self, job: ServedJob) -> Result<Served, String> {
        let way = Way::socket(&job.socket).map_err(|error| format!("the socket of its services: {error}"))?;
        self.begin_on(job, way)
    }
}

impl Results {
    /// Serves a job that comes another way than by its socket.
    ///
    /// # Errors
    /// Its record is none of ours, or the system gives no random bytes.
    pub fn begin_on(&self, facts: ServedJob, way: Way) -> Result<Served, String> {
        let job = Arc::new(Job::new(facts, self.identity.clone(), self.writes)?);
        let mut actions = IndexMap::new();
        let origin = job.facts.origin.clone();
        for (name, value) in [
            ("ACTIONS_RUNTIME_URL", format!("{origin}/")),
            ("ACTIONS_RUNTIME_TOKEN", job.keys.token.clone()),
            ("ACTIONS_CACHE_URL", format!("{origin}/")),
            ("ACTIONS_RESULTS_URL", format!("{origin}/")),
            ("ACTIONS_CACHE_SERVICE_V2", "True".to_owned()),
        ] {
            actions.insert(name.to_owned(), value);
        }
        actions.extend(repository::variables(&job));
        let mut github = IndexMap::new();
        if job.facts.token.is_some() {
            github.insert("api_url", format!("{origin}{}", api::PREFIX));
            github.insert("graphql_url", format!("{origin}{}", api::GRAPHQL));
        }
        let record = job.keys.record();
        let secrets = vec![job.keys.request.as_str().into()];
        let signed = vec![job.keys.token.as_str().into()];
        let steps = identity::variables(&job).into_iter().collect();
        let lease = Box::new(listen::listen(way, job));
        Ok(Served { actions, steps, github, secrets, signed, record, lease })
    }
}
