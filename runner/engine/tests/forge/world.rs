//! An outbox, a worker that tries again within milliseconds, and what a run has to tell.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::SystemClock;
use engine::github::{
    ApiSettings, CheckAnnotation, CheckConclusion, CheckLevel, CheckReport, CheckStatus, Comment, CommentReport,
    Credentials, DeploymentReport, DeploymentState, DeploymentStatusReport, Envelope, Flavour, Report, Sender,
    StatusReport, StatusState,
};
use engine::reporting::{Target, Worker, WorkerSettings};
use engine::store::outbox::{NewMessage, Outbox};
use engine::store::{Database, Options};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workflow::secret::Secret;

use super::fake::Fake;

/// How long a request may take here.
pub(crate) const TIME_MAX: Duration = Duration::from_millis(150);
/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) outbox: Outbox,
    pub(crate) wake: Arc<Notify>,
    pub(crate) fake: Fake,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), Options::LOCAL).unwrap();
        Self { _folder: folder, outbox: Outbox::on(database), wake: Arc::default(), fake: Fake::start().await }
    }

    pub(crate) fn sender(&self, flavour: Flavour, credentials: Credentials) -> Arc<dyn Target> {
        let api = ApiSettings { url: self.fake.url(), credentials, time_max: Some(TIME_MAX) };
        Arc::new(Sender::new("github", flavour, api).unwrap())
    }

    pub(crate) fn by_token(&self) -> Arc<dyn Target> {
        self.sender(Flavour::Github, Credentials::Token(Secret::new("t")))
    }

    /// Begins a worker as a new process would.
    pub(crate) async fn work(&self, target: Arc<dyn Target>) -> (JoinHandle<()>, CancellationToken) {
        let settings = WorkerSettings {
            backoff: Duration::from_millis(4),
            backoff_max: Duration::from_millis(30),
            asked_max: Duration::from_millis(1_200),
            ..WorkerSettings::default()
        };
        self.outbox.recover().await.unwrap();
        let targets = [("github".to_owned(), target)].into_iter().collect();
        let worker = Worker::new(self.outbox.clone(), targets, Arc::new(SystemClock), settings, Arc::clone(&self.wake));
        let stop = CancellationToken::new();
        (tokio::spawn(worker.run(stop.clone())), stop)
    }

    pub(crate) async fn put(&self, reports: &[Envelope]) {
        let messages: Vec<NewMessage> = reports.iter().map(|report| Sender::message("github", report)).collect();
        self.outbox.put(messages, Timestamp::now()).await.unwrap();
        self.wake.notify_one();
    }

    /// Until nothing is open.
    pub(crate) async fn settled(&self) {
        until(async || self.outbox.depth().await.unwrap().open == 0).await;
    }
}

/// Until something is so, which must be soon.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it happens within a minute");
}

pub(crate) fn envelope(repository: &str, report: Report) -> Envelope {
    Envelope { repository: repository.into(), commit: "c".repeat(40), report }
}

pub(crate) fn status(state: StatusState, description: &str) -> Report {
    Report::Status(StatusReport {
        state,
        context: "CI (push)".into(),
        description: description.into(),
        target_url: Some("https://ci.example/runs/1".into()),
    })
}

pub(crate) fn check(job: &str, status: CheckStatus, annotations: usize) -> Report {
    let annotation = CheckAnnotation {
        path: "a.rs".into(),
        start_line: 1,
        end_line: 1,
        start_column: None,
        end_column: None,
        annotation_level: CheckLevel::Warning,
        message: "m".into(),
        title: None,
    };
    Report::Check(Box::new(CheckReport {
        name: format!("CI / {job} (push)"),
        external_id: format!("1/1/{job}"),
        status,
        conclusion: (status == CheckStatus::Completed).then_some(CheckConclusion::Failure),
        started_at: None,
        completed_at: None,
        details_url: None,
        title: "t".into(),
        summary: "s".into(),
        annotations: vec![annotation; annotations],
    }))
}

pub(crate) fn comment(text: &str) -> Report {
    let marker = "<!-- pipe: run 1 -->".to_owned();
    Report::Comment(CommentReport { number: 5, comment: Comment { body: format!("{marker}\n{text}"), marker } })
}

pub(crate) fn deployment() -> Report {
    Report::Deployment(DeploymentReport {
        external_id: "1/1/deploy".into(),
        environment: "prod & more".into(),
        description: "d".into(),
    })
}

pub(crate) fn deployment_status(state: DeploymentState) -> Report {
    Report::DeploymentStatus(DeploymentStatusReport {
        external_id: "1/1/deploy".into(),
        environment: "prod & more".into(),
        state,
        description: "d".into(),
        log_url: None,
        environment_url: None,
    })
}

/// What one run has to tell, in order.
pub(crate) fn story() -> Vec<Envelope> {
    let reports = [
        status(StatusState::Pending, "In progress"),
        comment("is in progress"),
        check("test", CheckStatus::Queued, 0),
        check("test", CheckStatus::InProgress, 0),
        check("test", CheckStatus::Completed, 120),
        deployment(),
        deployment_status(DeploymentState::InProgress),
        check("deploy", CheckStatus::Completed, 1),
        deployment_status(DeploymentState::Success),
        comment("succeeded"),
        status(StatusState::Success, "Successful in 3s"),
    ];
    reports.into_iter().map(|report| envelope("mona/shop", report)).collect()
}
