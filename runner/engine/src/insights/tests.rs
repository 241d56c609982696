//! The noter over a store and a mirror: from facts of runs and commits to figures.

use std::sync::Arc;

use git2::Repository;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use workflow::event::Forge;
use workflow::run::{Conclusion, EVENT_VERSION, JobRunKey, Leg, Recorded, RunEvent};

use super::dora::{Figures, Label, judge};
use super::{Noter, Window};
use crate::clock::SystemClock;
use crate::mirror::tests::World;
use crate::store::deployments::{DeploymentChange, DeploymentFilter, Deployments};
use crate::store::insights::{DoraFilter, Insights};
use crate::store::outbox::{News, Outbox};
use crate::store::repositories::{NewRepository, Repositories};
use crate::store::{Database, NewRun, Options, RunId, RunLog as _, SqliteStore};

struct Server {
    world: World,
    database: Database,
    store: SqliteStore,
    noter: Noter,
}

impl Server {
    async fn new() -> Self {
        let world = World::new();
        let database = Database::open(&world.there.scratch.path().join("pipe.db"), Options::LOCAL).unwrap();
        let new = NewRepository {
            forge: Forge::Push,
            full_name: "octo/shop".into(),
            url: world.origin.url.as_str().to_owned(),
            secret: Vec::new(),
            fetch: None,
            created_at: Timestamp::now(),
        };
        let id = Repositories::on(database.clone()).put(new).await.unwrap();
        // The mirror of the repository is a copy of it.
        let folder = world.mirrors.folder(id);
        Repository::init_bare(&folder).unwrap();
        let noter = Noter::new(&database, world.mirrors.clone(), Arc::new(SystemClock));
        Self { store: SqliteStore::on(database.clone()), database, noter, world }
    }

    async fn commit(&self, path: &str, message: &str) -> String {
        self.world.there.write(path, message).commit(message);
        let folder = self.world.mirrors.folder(1);
        self.world.git(&["push", "--quiet", "--force", folder.to_str().unwrap(), "HEAD:refs/heads/main"]);
        self.world.git(&["rev-parse", "HEAD"])
    }

    /// A run at `minute` that deploys a service in ten minutes.
    async fn deploy(&self, minute: i64, service: &str, sha: &str, state: &'static str) -> RunId {
        let at = |more: i64| Timestamp::now() + jiff::SignedDuration::from_mins(minute + more);
        let run = NewRun {
            repository: "octo/shop".into(),
            workflow: "shop.yml".into(),
            git_ref: "refs/heads/main".into(),
            sha: sha.into(),
            started_at: at(0).to_string(),
            ..NewRun::default()
        };
        let run = self.store.create_run(run).await.unwrap().id;
        let key = JobRunKey::parse("ship");
        let leg = Leg {
            name: "ship".into(),
            matrix: json!({ "service": service }),
            continue_on_error: false,
            timeout_ms: 1,
            cancel_timeout_ms: 1,
        };
        let events = [
            (
                2,
                RunEvent::JobExpanded {
                    job: key.job.clone(),
                    matrix: false,
                    legs: vec![leg],
                    fail_fast: true,
                    max_parallel: None,
                },
            ),
            (3, RunEvent::JobRunStarted { key: key.clone() }),
            (
                10,
                RunEvent::JobRunFinished {
                    key: key.clone(),
                    conclusion: Conclusion::Success,
                    outputs: std::collections::BTreeMap::new(),
                    message: None,
                },
            ),
        ];
        let facts: Vec<_> = (1..)
            .zip(events)
            .map(|(seq, (minute, event))| Recorded { v: EVENT_VERSION, seq, at: at(minute), event })
            .collect();
        self.store.append(run, &facts).await.unwrap();
        let change = |state, minute, is_open| DeploymentChange {
            job: key.clone(),
            repository: "octo/shop".into(),
            environment: "Production".into(),
            state,
            url: None,
            at: at(minute),
            is_open,
        };
        let outbox = Outbox::on(self.database.clone());
        outbox.recover().await.unwrap();
        let position = outbox.open_runs().await.unwrap().into_iter().find(|one| one.run == run).unwrap();
        let news =
            News { deployments: vec![change("in_progress", 3, true), change(state, 10, false)], ..News::default() };
        assert!(outbox.record(position, 3, true, news, at(10)).await.unwrap());
        run
    }

    async fn note(&self) {
        self.noter.note_all(&CancellationToken::new()).await.unwrap();
    }
}

#[tokio::test]
async fn deployments_are_noted_with_their_commits() {
    let server = Server::new().await;
    let first = server.commit("a", "Begin").await;
    server.deploy(-600, "orders", &first, "success").await;
    server.note().await;
    let second = server.commit("b", "Add a cart").await;
    let third = server.commit("c", "Revert \"Begin\"").await;
    server.deploy(-500, "orders", &third, "success").await;
    server.deploy(-450, "products", &third, "success").await;
    server.deploy(-400, "orders", &third, "success").await;
    server.deploy(-300, "orders", &second, "success").await;
    server.deploy(-200, "orders", &third, "failure").await;
    server.deploy(-100, "orders", &"f".repeat(40), "success").await;
    server.note().await;

    let insights = Insights::on(server.database.clone());
    let listed = Deployments::on(server.database.clone());
    let listed = listed.list(DeploymentFilter { limit: 50, ..DeploymentFilter::default() }).await.unwrap();
    let mut told = Vec::new();
    for one in listed.iter().rev() {
        let noted = insights.noted(one.id).await.unwrap().unwrap();
        let commits: Vec<_> = noted.commits.iter().map(|commit| commit.subject.clone()).collect();
        let gone = noted.problem.is_some();
        told.push((one.service.clone(), noted.previous, commits.join(", "), noted.commits_gone, noted.label, gone));
    }
    let told: Vec<_> = told.iter().map(|(a, b, c, d, e, f)| (a.as_str(), *b, c.as_str(), *d, *e, *f)).collect();
    let both = "Revert \"Begin\", Add a cart";
    assert_eq!(
        told,
        [
            ("orders", None, "Begin", 0, None, false),
            ("orders", Some(1), both, 0, Some(Label::Revert), false),
            ("products", None, "Revert \"Begin\"", 0, None, false),
            ("orders", Some(3), "", 0, None, false),
            ("orders", Some(7), "", 1, Some(Label::Rollback), false),
            ("orders", Some(9), "Revert \"Begin\"", 0, Some(Label::Revert), false),
            ("orders", Some(9), "", 0, None, true),
        ]
    );
    let filter = DoraFilter { environment: "production".into(), ..DoraFilter::default() };
    let judged = judge(insights.deployments(filter).await.unwrap());
    let figures = Figures::of(&judged, &Window::last(7, Timestamp::now()));
    // Reverted: 1; put back: 4. What failed itself does not count.
    assert_eq!((figures.deployments, figures.failed, figures.rework, figures.stopped), (6, 2, 2, 1));
    assert_eq!(insights.places().await.unwrap().len(), 2);
}

/// One that ended before others were noted, but is noted after them, changes what those brought.
#[tokio::test]
async fn what_is_noted_late_is_put_in_its_place() {
    let server = Server::new().await;
    let first = server.commit("a", "One").await;
    let second = server.commit("b", "Two").await;
    let third = server.commit("c", "Three").await;
    server.deploy(-600, "orders", &first, "success").await;
    server.deploy(-400, "orders", &third, "success").await;
    server.note().await;
    let insights = Insights::on(server.database.clone());
    let brought = async |id| insights.noted(id).await.unwrap().unwrap().commits_count;
    // A deployment takes two numbers: it is written when it begins and when it ends.
    assert_eq!(brought(3).await, 2);
    server.deploy(-500, "orders", &second, "success").await;
    server.note().await;
    assert_eq!((brought(3).await, brought(5).await), (1, 1));
    assert_eq!(insights.unnoted().await.unwrap(), []);
}
