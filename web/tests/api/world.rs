//! An API with a store of its own, and requests to it without a connection.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use engine::folders::Folders;
use engine::job::log_path;
use engine::sealing::{MasterKey, MasterKeys, Vault};
use engine::service::Reviewer;
use engine::store::approvals::Approvals;
use engine::store::audit::{Actor, Audit, AuditFilter};
use engine::store::deliveries::{Deliveries, NewDelivery};
use engine::store::outbox::Outbox;
use engine::store::people::Cost;
use engine::store::rollouts::Rollouts;
use engine::store::secrets::Settings;
use engine::store::tokens::{NewToken, Scope, Tokens};
use engine::store::{Database, NewRun, Options, RunId, RunLog as _, SqliteStore};
use engine::triggering::{Offer, OfferedInput, Offers};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use web::Entrance;
use web::api::{Api, Dispatch, Rerun, Review, Rollback, SteerError, Steering};
use workflow::event::Forge;
use workflow::run::{Conclusion, EVENT_VERSION, JobRunKey, Leg, Recorded, RunEvent, StepIndex, StepResult};

/// Remembers what it is asked; run 404 is none, run 409 is over.
#[derive(Debug, Default)]
pub(crate) struct Asked(pub(crate) Mutex<Vec<String>>);

impl Asked {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Steering for Asked {
    async fn cancel(&self, run: RunId, force: bool, by: &str) -> Result<(), SteerError> {
        self.note(format!("cancel {run} {force} by {by}"));
        if run.0 == 1 { Err(SteerError::Conflict("the run is over".into())) } else { Ok(()) }
    }

    async fn release(&self, run: RunId, by: &str) -> Result<(), SteerError> {
        self.note(format!("release {run} by {by}"));
        if run.0 == 1 { Err(SteerError::Conflict("it does not wait".into())) } else { Ok(()) }
    }

    async fn rerun(&self, run: RunId, which: Rerun, by: &str) -> Result<RunId, SteerError> {
        self.note(format!("rerun {run} {which:?} by {by}"));
        Ok(RunId(99))
    }

    async fn review(&self, run: RunId, review: Review, by: &Reviewer) -> Result<(), SteerError> {
        let Review { environment, approved, comment, subject } = review;
        let word = if approved { "Approve" } else { "Reject" };
        let seen = subject.map(|subject| format!(" as {subject}")).unwrap_or_default();
        self.note(format!("{word} {run} {environment:?} by {}: {comment}{seen}", by.name));
        if environment.as_deref() == Some("own") { Err(SteerError::Forbidden("you started it".into())) } else { Ok(()) }
    }

    async fn dispatch(&self, dispatch: Dispatch, by: &str) -> Result<Vec<RunId>, SteerError> {
        self.note(format!("{dispatch:?} by {by}"));
        Ok(vec![RunId(98)])
    }

    async fn rollback(&self, rollback: Rollback, by: &str) -> Result<u64, SteerError> {
        let Rollback { environment, service, repository, to, comment } = rollback;
        self.note(format!("rollback {repository} {service} {environment} {to:?} by {by}: {comment}"));
        Ok(97)
    }

    async fn offers(&self, repository: &str, git_ref: Option<&str>) -> Result<Offers, SteerError> {
        if git_ref == Some("nowhere") {
            return Err(SteerError::NotFound("No ref found for: nowhere".into()));
        }
        let input = |name: &str, kind, default: &str| OfferedInput {
            name: name.into(),
            description: format!("the {name} <b>"),
            required: true,
            kind,
            default: default.into(),
            options: if kind == "choice" { vec!["blue".into(), "green".into()] } else { Vec::new() },
        };
        let inputs = vec![
            input("version", "string", "1.2"),
            input("dry", "boolean", "true"),
            input("colour", "choice", "green"),
            input("share", "number", "10"),
            input("where", "environment", ""),
        ];
        let path = ".github/workflows/deploy.yml".to_owned();
        let workflows = vec![Offer { path, name: format!("Deploy {repository}"), inputs }];
        Ok(Offers { git_ref: "refs/heads/main".into(), sha: "2".repeat(40), workflows })
    }
}

pub(crate) struct World {
    pub(crate) routes: Router,
    pub(crate) asked: Arc<Asked>,
    pub(crate) store: SqliteStore,
    pub(crate) tokens: Tokens,
    pub(crate) audit: Audit,
    pub(crate) deliveries: Deliveries,
    pub(crate) folders: Folders,
    pub(crate) stop: CancellationToken,
    pub(crate) admin: String,
    pub(crate) entrance: Entrance,
    pub(crate) outbox: Outbox,
    pub(crate) approvals: Approvals,
    pub(crate) rollouts: Rollouts,
    pub(crate) database: Database,
    _folder: tempfile::TempDir,
}

pub(crate) fn ada() -> Actor {
    Actor { who: "ada".into(), origin: "command line".into() }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|entrance| entrance).await
    }

    /// With another way in for people.
    pub(crate) async fn with(change: impl FnOnce(Entrance) -> Entrance) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        let vault = Arc::new(Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap()));
        let audit = Audit::open(database.clone(), &*vault).await.unwrap();
        let tokens = Tokens::on(database.clone(), audit.clone());
        let folders = Folders { state: folder.path().to_owned(), runtime: folder.path().join("runtime") };
        let rollouts = Rollouts::on(database.clone());
        let (asked, stop) = (Arc::new(Asked::default()), CancellationToken::new());
        let entrance = change(Entrance::on(database.clone(), audit.clone()).with_cost(Cost::TEST));
        let api = Api {
            entrance: entrance.clone(),
            database: database.clone(),
            folders: folders.clone(),
            tokens: tokens.clone(),
            audit: audit.clone(),
            registry: None,
            environments: Arc::default(),
            rollouts: rollouts.clone(),
            settings: Settings::on(database.clone(), vault, audit.clone()),
            steering: asked.clone(),
            herald: Some(crate::notifications::herald(&database)),
            arrivals: Arc::new(Notify::new()),
            stop: stop.clone(),
        };
        let mut world = Self {
            routes: api.routes(),
            asked,
            outbox: Outbox::on(database.clone()),
            approvals: Approvals::on(database.clone()),
            rollouts,
            store: SqliteStore::on(database.clone()),
            tokens,
            audit,
            deliveries: Deliveries::on(database.clone()),
            database,
            folders,
            stop,
            admin: String::new(),
            entrance,
            _folder: folder,
        };
        world.admin = world.token("admin", &[Scope::Admin], &[]).await;
        world
    }

    pub(crate) async fn token(&self, name: &str, scopes: &[Scope], repositories: &[&str]) -> String {
        let new = NewToken {
            name: name.to_owned(),
            scopes: scopes.iter().copied().collect(),
            repositories: repositories.iter().map(|one| (*one).to_owned()).collect(),
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        };
        self.tokens.create(new, ada(), Timestamp::now()).await.unwrap().1.expose().to_owned()
    }

    pub(crate) async fn run(&self, repository: &str, branch: &str) -> RunId {
        let new = NewRun {
            repository: repository.into(),
            workflow: ".github/workflows/ci.yml".into(),
            event: "push".into(),
            git_ref: format!("refs/heads/{branch}"),
            sha: "1".repeat(40),
            started_at: "2026-01-01T00:00:00Z".into(),
            actor: "ada".into(),
            title: "a change".into(),
            ..NewRun::default()
        };
        self.store.create_run(new).await.unwrap().id
    }

    /// Adds facts to a run; `from` is the number of the first.
    pub(crate) async fn facts(&self, run: RunId, from: u64, events: &[RunEvent]) {
        let facts = events.iter().zip(from..).map(|(event, seq)| Recorded {
            v: EVENT_VERSION,
            seq,
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seq.cast_signed()),
            event: event.clone(),
        });
        self.store.append(run, &facts.collect::<Vec<_>>()).await.unwrap();
    }

    pub(crate) fn log(&self, run: RunId, key: &str, step: Option<u32>, text: &str) {
        let path = log_path(&self.folders.logs(run), &JobRunKey::parse(key), step.map(StepIndex));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A run with a job of two steps that is over, with logs.
    pub(crate) async fn finished(&self) -> RunId {
        let run = self.run("octo/shop", "main").await;
        self.facts(run, 1, &course()).await;
        self.log(run, "build", None, "pulling\nplaced\n");
        self.log(run, "build", Some(0), "one\ntwo\n\u{fc}ber\n");
        self.log(run, "build", Some(1), "no line feed");
        run
    }

    pub(crate) async fn delivery(&self, guid: &str, repository: &str) -> u64 {
        let new = NewDelivery {
            guid: guid.into(),
            forge: Forge::Github,
            event: "push".into(),
            repository: repository.into(),
            received_at: Timestamp::now(),
            sha256: [guid.len() as u8; 32],
            headers: vec![("x-github-event".into(), "push".into())],
            body: br#"{"ref":"refs/heads/main"}"#.to_vec(),
            ignored: None,
        };
        self.deliveries.keep(new).await.unwrap();
        self.deliveries.find(guid).await.unwrap().unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.routes.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(&self.admin, path).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(request("GET", path, token).body(Body::empty()).unwrap()).await
    }

    /// A page, as the administrator's browser asks for it; the path is whole.
    pub(crate) async fn browse(&self, path: &str) -> Answer {
        self.get_of(&self.admin, path, &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await
    }

    /// A form of a page, as the administrator sends it.
    pub(crate) async fn submit(&self, path: &str, fields: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
        self.send_form(&self.admin, path, fields, &headers).await
    }

    pub(crate) async fn send_form(&self, token: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request =
            Request::builder().method("POST").uri(path).header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Anything, by its whole path.
    pub(crate) async fn get_of(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: &Json, headers: &[(&str, &str)]) -> Answer {
        self.send_json("POST", path, body, headers).await
    }

    pub(crate) async fn send_json(&self, method: &str, path: &str, body: &Json, headers: &[(&str, &str)]) -> Answer {
        let mut request = request(method, path, &self.admin).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn deeds(&self) -> Vec<String> {
        let listed = self.audit.list(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap();
        let deeds = listed.iter().rev().map(|deed| format!("{} {} {}", deed.who, deed.what, deed.target));
        deeds.filter(|deed| !deed.contains("token.create")).collect()
    }
}

pub(crate) fn request(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) }
}

/// A job `build` with two steps, from its beginning to its end.
pub(crate) fn course() -> Vec<RunEvent> {
    let key = JobRunKey::parse("build");
    let leg = Leg {
        name: "Build it".into(),
        matrix: json!(null),
        continue_on_error: false,
        timeout_ms: 1,
        cancel_timeout_ms: 1,
    };
    let step = |step, name: &str| RunEvent::StepStarted { key: key.clone(), step: StepIndex(step), name: name.into() };
    let end = |step, conclusion| RunEvent::StepFinished {
        key: key.clone(),
        step: StepIndex(step),
        result: StepResult::plain(conclusion),
    };
    vec![
        RunEvent::RunStarted,
        RunEvent::JobExpanded {
            job: key.job.clone(),
            matrix: false,
            legs: vec![leg],
            fail_fast: true,
            max_parallel: None,
        },
        RunEvent::JobRunStarted { key: key.clone() },
        RunEvent::JobRunPlaced { key: key.clone(), runner: "docker: x".into(), pre: 0 },
        step(0, "Compile"),
        end(0, Conclusion::Success),
        step(1, "Test"),
        end(1, Conclusion::Failure),
        RunEvent::JobRunFinished {
            key: key.clone(),
            conclusion: Conclusion::Failure,
            outputs: std::collections::BTreeMap::new(),
            message: None,
        },
        RunEvent::RunFinished { conclusion: Conclusion::Failure },
    ]
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The word behind `urn:pipe:problem:`.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        self.json()["type"].as_str().unwrap().trim_start_matches("urn:pipe:problem:").to_owned()
    }
}
