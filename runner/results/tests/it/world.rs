//! Jobs that are served on ports, and clients that run in place of their steps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use engine::issuer::{Issuer, SubjectForm, SubjectKey, Subjects};
use engine::kept::{CacheScopes, Keeper, Kept, KeptRules, RunOfCaches};
use engine::sealing::{MasterKey, MasterKeys, Vault};
use engine::serving::{Served, ServedJob};
use engine::step::{JobFolders, RepositoryFacts};
use engine::store::{RunId, RunNumbers};
use results::{Identity, Results, Way};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use workflow::model::Permissions;

/// The repository of a test.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) kept: Kept,
}

/// What a job is.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) run: u64,
    pub(crate) attempt: u32,
    pub(crate) job: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) event: &'static str,
    pub(crate) git_ref: &'static str,
    pub(crate) base_ref: &'static str,
    pub(crate) trusted: bool,
    pub(crate) fork: bool,
    pub(crate) environment: Option<&'static str>,
    pub(crate) permissions: Option<Permissions>,
    pub(crate) record: Option<String>,
    /// The port of the process before.
    pub(crate) port: u16,
    pub(crate) token: &'static str,
    pub(crate) sha: String,
    pub(crate) payload: Json,
    /// The repository, where there is one.
    pub(crate) folder: Option<PathBuf>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            run: 1,
            attempt: 1,
            job: "build",
            repository: "o/r",
            event: "push",
            git_ref: "refs/heads/main",
            base_ref: "",
            trusted: true,
            fork: false,
            environment: None,
            permissions: None,
            record: None,
            port: 0,
            token: "ghs_of_the_job",
            sha: "a".repeat(40),
            payload: Json::Null,
            folder: None,
        }
    }
}

/// A job with services.
pub(crate) struct Job {
    pub(crate) served: Served,
    pub(crate) port: u16,
    pub(crate) workspace: PathBuf,
    temp: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let kept = Kept::new(root.path(), KeptRules::default());
        Self { root, kept }
    }

    pub(crate) async fn job(&self, facts: Facts) -> Job {
        let listener = listener(facts.port).await;
        let port = listener.local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        let work = self.root.path().join(format!("work-{}-{}", facts.run, facts.job));
        let (workspace, temp) = (work.join("r/r"), work.join("_temp"));
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::create_dir_all(&temp).unwrap();
        let run = RunId(facts.run);
        let numbers = RunNumbers { id: run, number: facts.run, attempt: facts.attempt, first: run };
        let scopes = CacheScopes::of(RunOfCaches {
            event: facts.event,
            git_ref: facts.git_ref,
            base_ref: facts.base_ref,
            default_branch: "main",
            trusted: facts.trusted,
            fork: facts.fork,
            mode: None,
        });
        let served = ServedJob {
            socket: work.join("unused"),
            origin: origin.clone(),
            record: facts.record,
            run,
            job: facts.job.to_owned(),
            github: json!({
                "sha": facts.sha, "event_name": facts.event, "ref": facts.git_ref, "repository": facts.repository,
                "run_id": facts.run.to_string(), "workflow": "CI", "event": facts.payload,
                "workflow_ref": format!("{}/.github/workflows/ci.yml@{}", facts.repository, facts.git_ref),
            }),
            token: Some(facts.token.into()),
            environment: facts.environment.map(str::to_owned),
            permissions: facts.permissions,
            trusted: facts.trusted,
            repository: RepositoryFacts {
                folder: facts.folder.unwrap_or_else(|| workspace.clone()),
                name: facts.repository.to_owned(),
                working_tree: false,
            },
            kept: self.kept.clone(),
            keeper: Keeper::new(facts.repository.to_owned(), numbers, facts.trusted),
            scopes,
            places: JobFolders {
                workspace: workspace.display().to_string(),
                home: work.join("_home").display().to_string(),
            },
            masker: Arc::default(),
        };
        let served = results(self.root.path()).begin_on(served, Way::Port(listener)).unwrap();
        Job { served, port, workspace, temp }
    }
}

/// What serves the jobs of a world.
fn results(root: &Path) -> Results {
    let keys = MasterKeys::of(vec![MasterKey::from_bytes([7; 32])]).unwrap();
    // Others have GitHub's own form.
    let keys_of = ["repo", "environment"].map(|name| SubjectKey::parse(name).unwrap()).to_vec();
    let forms = [
        ("o/deployed", SubjectForm { keys: keys_of, ..SubjectForm::default() }),
        ("o/new", SubjectForm { immutable: true, ..SubjectForm::default() }),
        (
            "o/numbered",
            SubjectForm { immutable: true, owner_id: Some(1), repository_id: Some(2), ..SubjectForm::default() },
        ),
    ];
    let repositories = forms.map(|(name, form)| (name.to_owned(), form)).into();
    let subjects = Subjects { repositories, ..Subjects::default() };
    let issuer = Issuer::new(root, Arc::new(Vault::new(keys)), subjects);
    Results { identity: Some(Identity { issuer, name: None }), ..Results::default() }
}

/// A port of the process before is free once its tasks have ended.
async fn listener(port: u16) -> TcpListener {
    let bound = async {
        loop {
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), bound).await.unwrap()
}

/// What a client gave, or the error that it threw.
pub(crate) type Given = Result<Json, String>;

impl Job {
    pub(crate) fn token(&self) -> &str {
        &self.served.actions["ACTIONS_RUNTIME_TOKEN"]
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) -> String {
        let path = self.workspace.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// One call of a client in place of a step of the job.
    pub(crate) async fn drive(&self, verb: &str, arguments: Json) -> Given {
        let mut command = node();
        command.arg("drive.mjs").arg(verb).arg(arguments.to_string());
        command.envs(&self.served.actions).envs(&self.served.steps);
        command.env("GITHUB_WORKSPACE", &self.workspace).env("RUNNER_TEMP", &self.temp);
        command.env("GITHUB_SERVER_URL", "https://github.com").env("RUNNER_OS", "Linux");
        command.env("GITHUB_REPOSITORY", "o/r").env("GITHUB_API_URL", &self.served.github["api_url"]);
        let mut command = tokio::process::Command::from(command);
        // Paths that are not whole begin at the workspace, as for a step.
        command.kill_on_drop(true);
        let output = command.output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default();
        let given: Json = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        match given.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(given["value"].clone()),
        }
    }
}

/// Node in the folder of the clients, which are installed there.
fn node() -> Command {
    static READY: OnceLock<Mutex<()>> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    READY.get_or_init(|| {
        let status = Command::new(root.join("scripts/clients.sh")).status().unwrap();
        assert!(status.success(), "scripts/clients.sh could not install GitHub's packages; see above");
        Mutex::default()
    });
    let mut command = Command::new("node");
    command.current_dir(root.join("tests/clients"));
    command
}
