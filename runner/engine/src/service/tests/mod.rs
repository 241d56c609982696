//! The whole service with nothing placed: hooks, queue, runs, restarts.

mod authors;
mod held;
mod kill;
mod late;
mod reviews;
mod rules;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workflow::event::{Event, Forge};
use workflow::run::{Environments, Protection, Recorded, RunEvent};
use workflow::secret::Secret;

use super::*;
use crate::clock::SystemClock;
use crate::notice::Notice;
use crate::placement::simulated::Simulated;
use crate::store::{Options, RunStatus};

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine whose processes come and go; what is placed and what is on disk stays.
struct World {
    root: tempfile::TempDir,
    placement: Simulated,
    jobs_max: usize,
    /// Rules of `prod`, from which the others are made.
    prod: Protection,
    /// Whether there are no other environments than those with rules.
    closed: bool,
}

/// One process.
struct Life {
    service: RunService,
    database: Database,
    serving: JoinHandle<Result<(), StoreError>>,
    stop: CancellationToken,
}

impl World {
    fn new(jobs_max: usize) -> Self {
        let prod = Protection { reviewers: vec!["ada".into()], ..Protection::default() };
        Self { root: tempfile::tempdir().unwrap(), placement: Simulated::default(), jobs_max, prod, closed: false }
    }

    fn begin(&self) -> Life {
        let database = self.open();
        self.serve(database)
    }

    /// The thread of a process before may need a moment to let go of the file.
    fn open(&self) -> Database {
        for _ in 0..2_000 {
            match Database::open(&self.root.path().join("pipe.db"), Options::SERVER) {
                Err(StoreError::InUse { .. }) => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("somebody still has the database");
    }

    fn serve(&self, database: Database) -> Life {
        let mut labels = RunnerLabels::default();
        labels.use_host();
        let secrets = FixedSecrets {
            secrets: IndexMap::from([("KEY".to_owned(), Secret::new("known-secret-0815"))]),
            vars: IndexMap::new(),
        };
        let service = RunService::new(ServiceParts {
            actions: crate::actions::Actions::default(),
            database: database.clone(),
            clock: Arc::new(SystemClock),
            docker: None,
            docker_problem: None,
            host: Arc::new(self.placement.clone()),
            built_in: BuiltInActions::default(),
            folders: Folders { state: self.root.path().to_owned(), runtime: self.root.path().join("run") },
            labels,
            limits: Limits::default(),
            pull: PullPolicy::Missing,
            secrets: Arc::new(secrets),
            repositories: Arc::new(FixedRepository(self.root.path().join("mirror"))),
            environments: Arc::new(self.environments()),
            jobs_max: self.jobs_max,
            label_limits: IndexMap::from([("rare".to_owned(), 1)]),
            log_bytes_max: None,
            retention: crate::kept::KeptRules::default(),
            server_url: "https://github.com".to_owned(),
            traces: None,
            services: None,
        });
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let (service, stop) = (service.clone(), stop.clone());
            async move { service.serve(stop).await }
        });
        Life { service, database, serving, stop }
    }

    fn environments(&self) -> Environments {
        Environments { rules: self.rules(), closed: self.closed, ..Environments::default() }
    }

    /// `prod`, `two` wants two of three, `guarded` somebody who did not begin the run, `fresh` somebody who wrote nothing
    /// that is new there.
    fn rules(&self) -> BTreeMap<String, Protection> {
        let prod = self.prod.clone();
        let reviewers = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let two = Protection { reviewers: reviewers(&["ada", "bob", "team:ops"]), required: 2, ..prod.clone() };
        let guarded = Protection { reviewers: reviewers(&["ada", "bob"]), self_review: false, ..prod.clone() };
        let open = Protection { reviewers: reviewers(&["*"]), ..guarded.clone() };
        let fresh = Protection { reviewers: reviewers(&["*"]), author_review: false, ..prod.clone() };
        [("prod", prod), ("two", two), ("guarded", guarded), ("open", open), ("fresh", fresh)]
            .map(|(name, rules)| (name.to_owned(), rules))
            .into()
    }

    fn logs(&self, run: RunId) -> PathBuf {
        self.root.path().join("runs").join(run.to_string()).join("logs")
    }

    /// Scripts that were started, sorted.
    fn started(&self) -> Vec<String> {
        let mut started: Vec<_> = self.placement.started().into_iter().filter(|script| !script.is_empty()).collect();
        started.sort();
        started
    }
}

impl Life {
    /// The process is gone; what it placed is not.
    async fn end(self) {
        self.stop.cancel();
        drop(self.serving.await);
        self.database.close().await;
    }

    async fn make(&self, spec: RunSpec) -> RunId {
        self.service.make(None, vec![spec]).await.unwrap().unwrap()[0].id
    }

    async fn facts(&self, run: RunId) -> Vec<Recorded> {
        self.service.0.log.read(run).await.unwrap()
    }

    /// Waits until a fact of this kind is recorded, and gives all.
    async fn until(&self, run: RunId, kind: &str) -> Vec<Recorded> {
        let mut live = self.service.subscribe(run);
        let wait = async {
            loop {
                let facts = self.facts(run).await;
                if facts.iter().any(|fact| fact.event.kind() == kind) {
                    return facts;
                }
                loop {
                    match live.recv().await {
                        Ok(notice) if matches!(&*notice, Notice::Recorded(_)) => break,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => panic!("nobody tells"),
                    }
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(facts) => facts,
            Err(_) => panic!("no {kind} of run {run}: {:#?}", self.facts(run).await),
        }
    }

    async fn status(&self, run: RunId) -> RunStatus {
        self.service.0.store.run_row(run).await.unwrap().unwrap().status
    }
}

/// What each job of a run came to: `a success`.
fn ends(facts: &[Recorded]) -> Vec<String> {
    let end = |fact: &Recorded| {
        if let RunEvent::JobRunFinished { key, conclusion, .. } = &fact.event {
            return Some(format!("{key} {}", conclusion.word()));
        }
        let RunEvent::RunFinished { conclusion } = &fact.event else { return None };
        Some(format!("run {}", conclusion.word()))
    };
    let mut ends: Vec<_> = facts.iter().filter_map(end).collect();
    ends.sort();
    ends
}

fn event() -> Event {
    let payload = json!({
        "ref": "refs/heads/main", "after": "1".repeat(40), "head_commit": { "message": "one" },
        "repository": { "full_name": "o/r", "default_branch": "main", "owner": { "login": "o" } },
        "sender": { "login": "ada" },
    });
    Event::parse("push", payload).unwrap()
}

/// A run of these jobs: lines below `jobs:`, or a whole file if it has them.
fn spec(jobs: &str) -> RunSpec {
    let text = if jobs.contains("jobs:") {
        jobs.to_owned()
    } else {
        format!("on: push\njobs:\n  {}\n", jobs.trim().replace('\n', "\n  "))
    };
    let path = ".github/workflows/ci.yml";
    RunSpec::new(Forge::Github, event(), path, IndexMap::from([(path.to_owned(), text)]))
}

/// Texts of the files below a folder, by path.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let files = files.filter(|entry| entry.file_type().is_file());
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    files.map(|entry| (entry.path().strip_prefix(folder).unwrap().display().to_string(), text(entry.path()))).collect()
}
