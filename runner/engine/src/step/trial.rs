//! Running a built-in action by itself, without a workflow: for tests of actions, here and in other crates.
//!
//! Has no container unless one is given: an action that wants to act inside the job is told that there is none. Files that
//! it writes there are kept, so that a test can look at them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;
use workflow::secret::Secret;

use super::{
    ActionCall, ActionError, BuiltInAction, CompleteInputs, RepositoryFacts, RunFactsForAction, WorkspaceFacts,
};
use crate::job::{SharedMasker, StepLog};
use crate::kept::{Keeper, Kept, KeptRules};
use crate::placement::{Exec, ExecId, ExecRequest, JobFacts, JobHandle, Ladder, PlacementError};
use crate::store::RunId;

/// An action's surroundings.
#[derive(Debug)]
pub struct Trial {
    /// The workspace.
    pub workspace: WorkspaceFacts,
    /// The repository.
    pub repository: RepositoryFacts,
    /// The run.
    pub run: RunFactsForAction,
    /// Secrets of the job; they are hidden in the log.
    pub secrets: Vec<Secret>,
    /// The placed job; `None`: one in which nothing can be done.
    pub job: Option<Arc<dyn JobHandle>>,
    /// Variables of the step.
    pub env: IndexMap<String, String>,
    /// Whether a killed process had begun it.
    pub again: bool,
    /// Stops the action.
    pub cancel: CancellationToken,
    /// Folder of the log.
    pub logs: PathBuf,
}

/// What an action did.
#[derive(Debug)]
pub struct Tried {
    /// How it ended.
    pub result: Result<(), ActionError>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its log, masked.
    pub log: String,
    /// Variables that the steps behind it would get.
    pub exports: Vec<(String, String)>,
    /// Folders in which the steps behind it would find programs.
    pub paths: Vec<String>,
    /// What it wrote into the job, by its path there.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Where an action leaves things.
struct Left<'a> {
    outputs: &'a mut BTreeMap<String, String>,
    exports: &'a mut Vec<(String, String)>,
    paths: &'a mut Vec<String>,
}

impl Trial {
    /// Surroundings in folders: state and logs below `scratch`.
    #[must_use]
    pub fn new(repository: PathBuf, workspace: PathBuf, scratch: &std::path::Path) -> Self {
        Self {
            workspace: WorkspaceFacts {
                host: workspace,
                inside: "/home/runner/work/repository/repository".into(),
                shared: true,
            },
            repository: RepositoryFacts { folder: repository, name: "local/repository".into(), working_tree: true },
            run: RunFactsForAction {
                id: RunId(1),
                job: "job".into(),
                environment: None,
                actor: "somebody".into(),
                workflow: ".github/workflows/ci.yml".into(),
                git_ref: "refs/heads/main".into(),
                sha: String::new(),
                event: "push".into(),
                base_ref: String::new(),
                default_branch: "main".into(),
                fork: false,
                cache_mode: None,
                home: "/root".into(),
                claims: BTreeMap::new(),
                kept: Kept::new(&scratch.join("state"), KeptRules::default()),
                keeper: Keeper { repository: "o/r".into(), run: 1, attempt: 1, trusted: true },
                reports: None,
                state: scratch.join("state"),
            },
            secrets: Vec::new(),
            job: None,
            env: IndexMap::new(),
            again: false,
            cancel: CancellationToken::new(),
            logs: scratch.join("logs"),
        }
    }

    /// Runs an action with inputs as a workflow would write them.
    pub async fn run(&self, action: &dyn BuiltInAction, inputs: &[(&str, &str)]) -> Tried {
        let masker = Arc::new(SharedMasker::default());
        for secret in &self.secrets {
            let _too_short = masker.add(secret.expose());
        }
        let given = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (mut outputs, mut exports, mut paths) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut log = StepLog::alone(&self.logs, Arc::clone(&masker));
        let alone = Arc::new(NoJob::default());
        let job: Arc<dyn JobHandle> = Arc::clone(&alone) as Arc<dyn JobHandle>;
        let result = match CompleteInputs::of(action, given) {
            Ok(inputs) => {
                self.call(
                    action,
                    inputs,
                    &mut log,
                    &masker,
                    Left { outputs: &mut outputs, exports: &mut exports, paths: &mut paths },
                    &job,
                )
                .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            log.error(&error.to_string()).await;
        }
        log.finish().await;
        let log = std::fs::read_to_string(self.logs.join(StepLog::ALONE)).unwrap_or_default();
        let files = std::mem::take(&mut *alone.files.lock().unwrap_or_else(PoisonError::into_inner));
        Tried { result, outputs, log, exports, paths, files }
    }

    async fn call(
        &self,
        action: &dyn BuiltInAction,
        inputs: CompleteInputs,
        log: &mut StepLog,
        masker: &Arc<SharedMasker>,
        left: Left<'_>,
        job: &Arc<dyn JobHandle>,
    ) -> Result<(), ActionError> {
        let mut call = ActionCall {
            inputs: inputs.values.into_iter().collect::<IndexMap<_, _>>(),
            defaulted: inputs.defaulted,
            workspace: &self.workspace,
            repository: &self.repository,
            job: self.job.as_ref().unwrap_or(job),
            env: self.env.clone(),
            has_bash: true,
            log,
            masker,
            secrets: &self.secrets,
            outputs: left.outputs,
            exports: left.exports,
            paths: left.paths,
            state: &mut BTreeMap::new(),
            summary: &mut String::new(),
            step: 1,
            post: None,
            again: self.again,
            cancel: self.cancel.clone(),
            run: self.run.clone(),
        };
        action.run(&mut call).await
    }
}

#[derive(Debug, Default)]
struct NoJob {
    facts: JobFacts,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl NoJob {
    fn none<T>() -> Result<T, PlacementError> {
        Err(PlacementError::Agent { reason: "does not exist: the action runs by itself".to_owned() })
    }
}

#[async_trait]
impl JobHandle for NoJob {
    fn facts(&self) -> &JobFacts {
        &self.facts
    }

    async fn exec(&self, _request: ExecRequest) -> Result<Exec, PlacementError> {
        Self::none()
    }

    async fn take_up(&self, _request: ExecRequest, _from: u64) -> Result<Exec, PlacementError> {
        Self::none()
    }

    fn record(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    async fn cancel(&self, _exec: ExecId, _ladder: Ladder) -> Result<(), PlacementError> {
        Self::none()
    }

    async fn write_file(&self, path: &str, content: Bytes, _mode: u32) -> Result<(), PlacementError> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    async fn read_file(&self, _path: &str, _bytes_max: u64) -> Result<Option<Bytes>, PlacementError> {
        Self::none()
    }

    async fn remove_path(&self, _path: &str) -> Result<(), PlacementError> {
        Self::none()
    }

    async fn stop(&self) -> Result<(), PlacementError> {
        Ok(())
    }
}
