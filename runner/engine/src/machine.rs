//! A machine that runs workflows: store, placements, built-in actions and folders, put together once; and a run on it,
//! from what was asked to how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;
use workflow::event::{Event, GithubFacts, github_context};
use workflow::expression::Value;
use workflow::model::{JobId, Workflow};
use workflow::run::{Conclusion, Environments, JobRunKey, JobScope, Run, RunFacts, StepIndex};
use workflow::secret::Secret;
use workflow::template::evaluate;

use crate::actions::Actions;
use crate::clock::Clock;
use crate::dispatcher::{Control, Dispatch, Dispatcher};
use crate::folders::{Folders, RunFolders};
use crate::green;
use crate::groups::SharedGroups;
use crate::job::{EnvironmentSecrets, JobSettings, PlacedJobs, SecretStore, SharedMasker};
use crate::local::{Carrier, Continues, LocalRun, Standing, standing};
use crate::notice::{Notice, Notices};
use crate::placement::{LeftoverFilter, Limits, Placement, PlacementError, PullPolicy};
use crate::runner_label::RunnerLabels;
use crate::serving::JobServices;
use crate::slots::{Party, Slots};
use crate::step::{BuiltInActions, RepositoryFacts};
use crate::store::{NewRun, RunId, RunNumbers, SqliteStore, StoreError};

/// What runs are performed with.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where facts are kept.
    pub store: SqliteStore,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Containers, where an engine is reachable.
    pub docker: Option<Arc<dyn Placement>>,
    /// Why it is not.
    pub docker_problem: Option<String>,
    /// This machine.
    pub host: Arc<dyn Placement>,
    /// Built-in actions.
    pub built_in: BuiltInActions,
    /// Where things are kept.
    pub folders: Folders,
    /// How many jobs go on at once, over all runs.
    pub slots: Slots,
    /// Concurrency groups of all runs.
    pub groups: SharedGroups,
    /// What actions run with.
    pub actions: Actions,
    /// What serves actions of others, if anything does.
    pub services: Option<Arc<dyn JobServices>>,
    /// Places of jobs that failed; absent: none can be kept.
    pub standing: Option<Standing>,
}

/// A run that somebody asked for.
#[derive(Debug)]
pub struct RunRequest {
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// What happened.
    pub event: Arc<Event>,
    /// The `inputs` context, an object.
    pub inputs: Json,
    /// The `vars` context.
    pub vars: IndexMap<String, String>,
    /// The secrets.
    pub secrets: SecretStore,
    /// What jobs have in their environments.
    pub environment_secrets: Option<Arc<dyn EnvironmentSecrets>>,
    /// Environments with rules.
    pub environments: Arc<Environments>,
    /// Only these jobs; `None`: all.
    pub selected: Option<Vec<JobId>>,
    /// Only legs with these matrix values.
    pub legs: Vec<(String, String)>,
    /// Which labels are served by what.
    pub labels: RunnerLabels,
    /// What a job's container may use.
    pub limits: Limits,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Variables over those of the workflow.
    pub env: IndexMap<String, String>,
    /// The repository.
    pub repository: RepositoryFacts,
    /// Whether jobs work in the repository's own folder.
    pub bind: bool,
    /// Most bytes of one step's log that are stored; 1 GiB where absent.
    pub log_bytes_max: Option<u64>,
    /// Such as `https://github.com`.
    pub server_url: String,
    /// What it goes on from.
    pub continues: Continues,
    /// The workflow of the attempt that failed, where what has not run was mended since.
    pub before: Option<Arc<Workflow>>,
    /// What another process needs to go on with it, in the words of whoever asks; `None`: nobody will.
    pub asked: Option<Json>,
    /// The right to carry what it goes on from.
    pub carrier: Option<Carrier>,
    /// Whether places of jobs that fail are kept.
    pub keep: bool,
    /// The step that a kept place goes on from; absent: the one that failed.
    pub from: Vec<(JobRunKey, StepIndex)>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// Its numbers.
    pub numbers: RunNumbers,
    /// `run-name`, evaluated and masked; empty where there is none.
    pub title: String,
    /// Its final state.
    pub run: Run,
}

impl Machine {
    /// Performs a run to its end. `begun` is told the run's numbers and its title (`run-name`,
    /// secrets hidden, empty where there is none) as soon as there are any.
    ///
    /// # Errors
    /// The store or the folders cannot be used; jobs that had begun are stopped.
    pub async fn run(
        &self,
        mut request: RunRequest,
        notices: Notices,
        control: mpsc::UnboundedReceiver<Control>,
        begun: impl FnOnce(RunNumbers, &str) + Send,
    ) -> Result<Finished, StoreError> {
        let (numbers, carrier) = self.number(&mut request).await?;
        let masker = Arc::new(SharedMasker::default());
        for secret in request.secrets.names().filter_map(|name| request.secrets.get(name)) {
            // Whoever gave it has been told.
            let _too_short = masker.add(secret.expose());
        }
        let facts = Arc::new(facts(&request, numbers));
        let title = title(&Run::new(Arc::clone(&facts))).map(|title| masker.mask(&title)).unwrap_or_default();
        begun(numbers, &title);
        let folders = self.folders.make(numbers.id)?;
        let before = self.before(&request, &facts, numbers).await?;
        for fact in &before.history {
            notices.send(Notice::Recorded(Box::new(fact.clone()))).await;
        }
        let jobs = self.settings(request, numbers, &folders, (&masker, &notices));
        *jobs.left.lock().unwrap_or_else(PoisonError::into_inner) = before.left;
        let dispatcher = Dispatcher {
            log: Arc::new(self.store.clone()),
            clock: Arc::clone(&self.clock),
            jobs: Arc::new(PlacedJobs(Arc::clone(&jobs))),
            notices,
            masker: Arc::clone(&masker),
            slots: self.slots.clone(),
            groups: self.groups.clone(),
            party: Party::default(),
        };
        let whole = facts.selected.is_none() && facts.legs.is_empty();
        let (history, kept) = (before.history, before.kept);
        let dispatch = Dispatch { id: numbers.id, facts, history, kept, first: Vec::new() };
        let result = dispatcher.run(dispatch, control).await;
        if jobs.unfinished_starts.load(Ordering::Relaxed) {
            self.remove_parts(numbers.id).await;
        }
        if !standing(&self.folders.state).iter().any(|(run, _)| *run == numbers.id.to_string()) {
            folders.remove();
        }
        let run = result?;
        LocalRun::of(&self.folders, numbers.id).orders().remove();
        drop(carrier);
        self.settle_green(numbers.id, whole && run.conclusion() == Some(Conclusion::Success));
        Ok(Finished { numbers, title, run })
    }

    fn settings(
        &self,
        request: RunRequest,
        numbers: RunNumbers,
        folders: &RunFolders,
        (masker, notices): (&Arc<SharedMasker>, &Notices),
    ) -> Arc<JobSettings> {
        Arc::new(JobSettings {
            docker: self.docker.clone(),
            docker_problem: self.docker_problem.clone(),
            host: Arc::clone(&self.host),
            labels: request.labels,
            limits: request.limits,
            trust: None,
            built_in: self.built_in.clone(),
            secrets: request.secrets,
            environment_secrets: request.environment_secrets,
            masker: Arc::clone(masker),
            notices: notices.clone(),
            keeper: crate::kept::Keeper::new(request.repository.name.clone(), numbers, true),
            repository: request.repository,
            work: folders.work.clone(),
            run_directories: folders.run_directories.clone(),
            logs: folders.logs.clone(),
            reports: Some(self.store.reports()),
            tokens: None,
            actions: self.actions.clone(),
            services: self.services.clone(),
            trace: None,
            kept: crate::kept::Kept::of_local_runs(&self.folders.state, crate::kept::KeptRules::default())
                .uploading_to(folders.uploads.clone()),
            state: self.folders.state.clone(),
            journals: None,
            env: request.env,
            log_bytes_max: request.log_bytes_max,
            bind: request.bind,
            pull: request.pull,
            unfinished_starts: AtomicBool::new(false),
            standing: self.standing.clone().filter(|_| request.keep),
            left: Mutex::default(),
        })
    }

    /// What steps left to compare with counts for later runs only when all of this one succeeded.
    fn settle_green(&self, run: RunId, green: bool) {
        let state = &self.folders.state;
        let settled = if green { green::confirm(state, run).map(drop) } else { green::discard(state, run) };
        if let Err(error) = settled {
            tracing::warn!(%error, "the next run will take more for changed than has changed");
        }
    }

    /// Removes parts of jobs that were cancelled while they were being placed.
    async fn remove_parts(&self, run: RunId) {
        let Some(docker) = &self.docker else { return };
        if let Err(error) = docker.remove_leftovers(LeftoverFilter::Run(run.to_string())).await {
            tracing::error!(%error, "parts of a cancelled job are left");
        }
    }

    /// Removes what killed processes of ours left behind, on the container engine and in our folders.
    ///
    /// # Errors
    /// The container engine refused; what is left is named.
    pub async fn remove_abandoned(&self) -> Result<(), PlacementError> {
        let abandoned = LeftoverFilter::AbandonedBut(standing(&self.folders.state));
        let host = self.host.remove_leftovers(abandoned.clone()).await;
        let docker = match &self.docker {
            Some(docker) => {
                let (abandoned, forsaken) =
                    tokio::join!(docker.remove_leftovers(abandoned), docker.remove_leftovers(LeftoverFilter::Forsaken));
                abandoned.and(forsaken).map(drop)
            }
            None => Ok(()),
        };
        let (folders, actions) = (self.folders.clone(), self.actions.clone());
        let blobs = crate::kept::Kept::new(&self.folders.state, crate::kept::KeptRules::default()).blobs;
        // Folders last: the processes that wrote to them are gone by now.
        let kept = tokio::task::spawn_blocking(move || {
            actions.remove_abandoned();
            blobs.remove_abandoned();
            folders.remove_abandoned()
        });
        let kept = kept.await.unwrap_or_default();
        for folder in kept {
            tracing::warn!(folder = %folder.display(), "this folder of a killed run cannot be removed");
        }
        host.map(drop).and(docker)
    }

    /// Removes everything that this process made on the container engine, quickly; for the second Ctrl-C.
    ///
    /// # Errors
    /// The container engine refused; what is left is named.
    pub async fn remove_own(&self) -> Result<(), PlacementError> {
        let host = self.host.remove_leftovers(LeftoverFilter::Own).await.map(drop);
        match &self.docker {
            Some(docker) => docker.remove_leftovers(LeftoverFilter::Own).await.map(drop).and(host),
            None => host,
        }
    }

    pub(crate) fn row(&self, request: &RunRequest) -> NewRun {
        NewRun {
            repository: request.repository.name.clone(),
            workflow: request.workflow.path.clone(),
            event: request.event.name.as_str().to_owned(),
            git_ref: request.event.git_ref.as_str().to_owned(),
            sha: request.event.sha.clone().unwrap_or_default(),
            started_at: self.clock.now().to_string(),
            actor: request.event.actor.login.clone(),
            ..NewRun::default()
        }
    }
}

/// What a run is started with.
pub(crate) struct StartedWith<'a> {
    pub(crate) workflow: Arc<Workflow>,
    pub(crate) event: &'a Event,
    pub(crate) inputs: &'a Json,
    pub(crate) vars: &'a IndexMap<String, String>,
    pub(crate) selected: Option<Vec<JobId>>,
    pub(crate) legs: Vec<(String, String)>,
    pub(crate) environments: Arc<Environments>,
    pub(crate) server_url: &'a str,
    pub(crate) token: Option<Secret>,
    /// Empty: the actor.
    pub(crate) triggering_actor: String,
    pub(crate) workflow_hash: String,
    pub(crate) held: Option<String>,
}

fn facts(request: &RunRequest, numbers: RunNumbers) -> RunFacts {
    let started = StartedWith {
        workflow: Arc::clone(&request.workflow),
        event: &request.event,
        inputs: &request.inputs,
        vars: &request.vars,
        selected: request.selected.clone(),
        legs: request.legs.clone(),
        environments: Arc::clone(&request.environments),
        server_url: &request.server_url,
        token: request.secrets.get("GITHUB_TOKEN").cloned(),
        triggering_actor: String::new(),
        workflow_hash: String::new(),
        held: None,
    };
    run_facts(started, numbers)
}

/// The contexts of a run.
pub(crate) fn run_facts(started: StartedWith<'_>, numbers: RunNumbers) -> RunFacts {
    let server = started.server_url.trim_end_matches('/').to_owned();
    let api = if server == "https://github.com" { "https://api.github.com".into() } else { format!("{server}/api/v3") };
    let graphql =
        if server == "https://github.com" { format!("{api}/graphql") } else { format!("{server}/api/graphql") };
    let github = GithubFacts {
        workflow: started.workflow.display_name().to_owned(),
        workflow_path: started.workflow.path.clone(),
        run_id: numbers.first.0,
        run_number: numbers.number,
        run_attempt: numbers.attempt,
        triggering_actor: started.triggering_actor,
        server_url: server,
        api_url: api,
        graphql_url: graphql,
        retention_days: 90,
        token: started.token,
        ..GithubFacts::default()
    };
    let object = |map: Map<String, Json>| Value::from_json(&Json::Object(map));
    let vars = started.vars.iter().map(|(name, value)| (name.clone(), Json::String(value.clone()))).collect();
    RunFacts {
        github: object(github_context(started.event, &github)),
        workflow: started.workflow,
        inputs: object(started.inputs.as_object().cloned().unwrap_or_default()),
        vars: object(vars),
        selected: started.selected,
        legs: started.legs,
        environments: started.environments,
        workflow_hash: started.workflow_hash,
        held: started.held,
    }
}

fn title(run: &Run) -> Option<String> {
    let token = run.facts.workflow.run_name.as_ref()?;
    Some(evaluate(token, &JobScope::of_run(run)).ok()?.to_display_string().to_string())
}

impl Finished {
    /// How it ended.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        self.run.conclusion().unwrap_or(Conclusion::Failure)
    }
}
