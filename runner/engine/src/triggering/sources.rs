//! What a server needs to turn hooks into runs, put together: mirrors with their credentials, triggers, schedules, and
//! what is looked after when it starts.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Known, Scheduler, SentHooks, Triggering, TrustPolicy, catch_up};
use crate::clock::Clock;
use crate::mirror::{MirrorError, MirrorOptions, Mirrors};
use crate::registration::{MirrorFolders, StoredCredentials};
use crate::service::RunRepository;
use crate::store::deliveries::Deliveries;
use crate::store::followers::Followers;
use crate::store::repositories::{Repositories, Repository, Sealer};
use crate::store::schedules::Schedules;
use crate::store::{Database, SqliteStore};

/// Where the mirrors lie below the data folder.
const MIRRORS_FOLDER: &str = "mirrors";

/// Repositories and what their events start. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Finds what events start.
    pub triggering: Triggering,
    deliveries: Deliveries,
}

impl Sources {
    /// Those of a server's data folder.
    ///
    /// # Errors
    /// The folder of the mirrors cannot be used.
    pub fn open(
        data: &Path,
        database: &Database,
        sealer: Arc<dyn Sealer>,
        trust: TrustPolicy,
        actions: Known,
    ) -> Result<Self, MirrorError> {
        let repositories = Repositories::on(database.clone());
        let credentials = Arc::new(StoredCredentials { repositories: repositories.clone(), sealer });
        let mirrors = Mirrors::open(&data.join(MIRRORS_FOLDER), MirrorOptions::default(), credentials)?;
        let schedules = Schedules::on(database.clone());
        let followers = Followers::on(database.clone());
        let store = SqliteStore::on(database.clone());
        let triggering =
            Triggering { mirrors, repositories, schedules, followers, store, trust, actions: Arc::new(actions) };
        Ok(Self { triggering, deliveries: Deliveries::on(database.clone()) })
    }

    /// Where jobs find their repository.
    #[must_use]
    pub fn folders(&self) -> Arc<dyn RunRepository> {
        let Triggering { mirrors, repositories, .. } = self.triggering.clone();
        Arc::new(MirrorFolders { mirrors, repositories })
    }

    /// Makes deliveries of schedules until `stop`; before that, asks for what was missed while the server was down:
    /// hooks, where a forge can be asked, and changes of schedules. `arrivals` is told of each delivery.
    pub async fn keep_up(
        self,
        clock: Arc<dyn Clock>,
        arrivals: Arc<Notify>,
        forge: Option<Arc<dyn SentHooks>>,
        stop: CancellationToken,
    ) {
        let schedules = self.triggering.schedules.clone();
        let scheduler = Scheduler { schedules, clock: Arc::clone(&clock), arrivals };
        let looking = self.look_back(&*clock, forge.as_deref(), &stop);
        tokio::join!(scheduler.run(stop.clone()), looking);
    }

    async fn look_back(&self, clock: &dyn Clock, forge: Option<&dyn SentHooks>, stop: &CancellationToken) {
        let all = match self.triggering.repositories.all().await {
            Ok(all) => all,
            Err(error) => return tracing::error!(%error, "repositories cannot be looked at"),
        };
        for repository in all {
            tokio::select! {
                () = self.look_back_at(repository, clock, forge) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look_back_at(&self, repository: Repository, clock: &dyn Clock, forge: Option<&dyn SentHooks>) {
        let name = repository.full_name.clone();
        if let Some(forge) = forge {
            match catch_up(forge, &self.deliveries, &repository, clock.now()).await {
                Ok(outcome) => {
                    if !outcome.asked.is_empty() {
                        tracing::info!(repository = name, count = outcome.asked.len(), "missed hooks are asked for");
                    }
                    for problem in outcome.problems {
                        tracing::warn!(repository = name, problem, "missed hooks cannot be asked for");
                    }
                }
                Err(error) => tracing::error!(%error, repository = name, "missed hooks cannot be looked for"),
            }
        }
        // An empty repository, or one that cannot be reached now, tells its schedules with its next push.
        if let Err(problem) = self.triggering.refresh(repository, clock.now()).await {
            tracing::warn!(repository = name, problem, "its schedules stay as they were");
        }
    }
}
