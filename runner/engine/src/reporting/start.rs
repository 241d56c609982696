//! Reader and worker of a server, begun and ended together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Findings, Knowing, Plan, Reader, Worker, WorkerSettings};
use crate::clock::Clock;
use crate::notify::{Herald, tell_of_held};
use crate::service::RunSecrets;
use crate::store::outbox::Outbox;
use crate::store::{SqliteStore, StoreError};

/// How long what was given up is listed, and names on the other side are known.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How often what is older is removed.
const PRUNE_EVERY: Duration = Duration::from_hours(6);

/// Reporting that goes on.
#[derive(Debug)]
pub struct Reporting {
    recorded: Arc<Notify>,
    herald: Herald,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Reporting {
    /// Begins to report the runs of a store. To be called before runs are made.
    ///
    /// # Errors
    /// The database said no.
    pub async fn start(
        store: SqliteStore,
        plan: Plan,
        secrets: Arc<dyn RunSecrets>,
        findings: Arc<dyn Findings>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let outbox = Outbox::on(store.database().clone());
        let uncertain = outbox.recover().await?;
        if uncertain > 0 {
            tracing::info!(uncertain, "messages were on their way when the server ended; they are looked for first");
        }
        let (recorded, made, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let knowing = Knowing { store: store.clone(), secrets: Arc::clone(&secrets), url: plan.reader.url.clone() };
        let herald = Herald::new(outbox.clone(), plan.channels, plan.reader.url.clone(), Arc::clone(&made));
        let herald = herald.with_runs(knowing);
        let audiences = plan.reader.audiences.clone();
        if !audiences.is_empty() {
            let (clock, made) = (Arc::clone(&clock), Arc::clone(&made));
            tasks.spawn(tell_of_held(outbox.clone(), audiences, clock, made, stop.clone()));
        }
        let reader =
            Reader::new(store, plan.reader, secrets, Arc::clone(&clock), Arc::clone(&recorded), Arc::clone(&made));
        tasks.spawn(reader.with_findings(findings).run(stop.clone()));
        let settings = WorkerSettings::default();
        tasks.spawn(Worker::new(outbox.clone(), plan.targets, Arc::clone(&clock), settings, made).run(stop.clone()));
        tasks.spawn(prune(outbox, clock, stop.clone()));
        Ok(Self { recorded, herald, stop, tasks })
    }

    /// To be told when a run's log went on. Nothing is lost if it is not; it is later.
    #[must_use]
    pub fn recorded(&self) -> Arc<Notify> {
        Arc::clone(&self.recorded)
    }

    /// Tells people what comes of no run's log.
    #[must_use]
    pub fn herald(&self) -> Herald {
        self.herald.clone()
    }

    /// Goes on until `stop`, and ends then.
    pub async fn until(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.stop().await;
    }

    /// Ends: attempts that go on are brought to their end, the rest waits for the next start.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn prune(outbox: Outbox, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        let before = clock.now() - KEPT;
        if let Err(error) = outbox.approvals().prune(before).await {
            tracing::warn!(%error, "old requests for reviews cannot be removed");
        }
        if let Err(error) = outbox.prune(clock.now(), KEPT).await {
            tracing::warn!(%error, "old messages cannot be removed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.wait_until(clock.now() + PRUNE_EVERY) => {}
        }
    }
}
