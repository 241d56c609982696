//! Performs a job run: contexts, placement, steps, outputs, clean-up. The clean-up always runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use workflow::command::CommandSettings;
use workflow::expression::{Object, Status, Value};
use workflow::run::{Conclusion, JobPath, JobRunKey, Run, RunEvent};
use workflow::secret::Secret;

use super::context::StepsContext;
use super::facing::{JobFacing, evaluate_strings};
use super::fetched::FetchedActions;
use super::journal::{Entry, Journal, Remembered};
use super::keep::LeftPlaces;
use super::log::StepLog;
use super::log_file::{LOG_BYTES_MAX, LogPlace};
use super::own_actions::OwnActions;
use super::own_token::with_token;
use super::place::Place;
use super::placed::Placed;
use super::steps::Stepper;
use super::{Begun, EnvironmentSecrets, JobControl, JobOrder, JobReport, JobRunner, SecretStore, SharedMasker};
use crate::actions::Actions;
use crate::kept::{Keeper, Kept};
use crate::local::Standing;
use crate::notice::Notices;
use crate::placement::{Limits, Placement, PullPolicy};
use crate::runner_label::RunnerLabels;
use crate::serving::JobServices;
use crate::step::{BuiltInActions, RepositoryFacts};
use crate::store::job_tokens::JobTokens;
use crate::store::reports::Reports;
use crate::telemetry::TraceIds;

/// What all job runs of a run share.
#[derive(Debug)]
pub struct JobSettings {
    /// Containers, where an engine is reachable.
    pub docker: Option<Arc<dyn Placement>>,
    /// Why it is not reachable, for the message of a job that needs it.
    pub docker_problem: Option<String>,
    /// This machine.
    pub host: Arc<dyn Placement>,
    /// Which labels are served by what.
    pub labels: RunnerLabels,
    /// What a job's container may use.
    pub limits: Limits,
    /// Whose containers that were made ahead jobs may use, see [`crate::placement::JobSpec::trust`].
    pub trust: Option<&'static str>,
    /// Built-in actions.
    pub built_in: BuiltInActions,
    /// The run's secrets.
    pub secrets: SecretStore,
    /// Gives a job with an environment what it has there; absent where environments have no secrets of their own.
    pub environment_secrets: Option<Arc<dyn EnvironmentSecrets>>,
    /// Hides them.
    pub masker: Arc<SharedMasker>,
    /// Who watches.
    pub notices: Notices,
    /// The repository that the run is for.
    pub repository: RepositoryFacts,
    /// Folder of workspaces.
    pub work: PathBuf,
    /// Folder of sockets and step files; its path must be short.
    pub run_directories: PathBuf,
    /// Folder of this run's logs.
    pub logs: PathBuf,
    /// Folder of what another process needs to take this run's jobs up; absent: nobody will.
    pub journals: Option<PathBuf>,
    /// Folder for what runs leave to later runs.
    pub state: PathBuf,
    /// Artifacts and caches.
    pub kept: Kept,
    /// What they are kept for.
    pub keeper: Keeper,
    /// Where results of tests are kept, if anywhere.
    pub reports: Option<Reports>,
    /// The run's trace, where one is exported.
    pub trace: Option<TraceIds>,
    /// Variables given on the command line, over those of the workflow.
    pub env: IndexMap<String, String>,
    /// Most bytes of one step's log that are stored.
    pub log_bytes_max: Option<u64>,
    /// Set when a job was cancelled while it was being placed, so that parts of it may stand.
    pub unfinished_starts: AtomicBool,
    /// Where the workspace is this very folder (`--bind`); otherwise each job has its own.
    pub bind: bool,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Where jobs get tokens of their own for the server's API, if anywhere.
    pub tokens: Option<JobTokens>,
    /// What actions run with.
    pub actions: Actions,
    /// What serves actions.
    pub services: Option<Arc<dyn JobServices>>,
    /// Where places of jobs that fail are kept; absent: they are removed.
    pub standing: Option<Standing>,
    /// Places in which jobs go on that another run left.
    pub left: Mutex<LeftPlaces>,
}

/// Job runs in containers or on this machine.
#[derive(Debug, Clone)]
pub struct PlacedJobs(pub Arc<JobSettings>);

/// What a job run works with from its beginning to its end.
pub(super) struct Parts<'a> {
    pub(super) order: &'a Arc<JobOrder>,
    pub(super) control: &'a mut mpsc::UnboundedReceiver<JobControl>,
    pub(super) reports: &'a mpsc::Sender<JobReport>,
    pub(super) log: &'a mut StepLog,
}

/// How a job run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobEnd {
    pub(super) conclusion: Conclusion,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) message: Option<String>,
    /// The message stands in the log already.
    pub(super) told: bool,
}

#[async_trait]
impl JobRunner for PlacedJobs {
    async fn run(
        &self,
        order: JobOrder,
        begun: Option<Begun>,
        control: mpsc::UnboundedReceiver<JobControl>,
        reports: mpsc::Sender<JobReport>,
    ) {
        let key = order.key.clone();
        let end = self.perform(Arc::new(order), begun, control, &reports).await;
        let JobEnd { conclusion, outputs, message, told: _ } = end;
        let event = RunEvent::JobRunFinished { key, conclusion, outputs, message };
        let _gone = reports.send(JobReport::new([event])).await;
    }

    fn forget(&self, key: &JobRunKey) {
        if let Some(folder) = &self.0.journals {
            // Where there was none, there is none.
            let _gone = std::fs::remove_file(Journal::path(folder, key));
        }
    }

    fn expect(&self, run: &Run, job: &JobPath) {
        super::expecting::expect(&self.0, run, job);
    }
}

impl PlacedJobs {
    pub(super) fn log_place(&self, key: &JobRunKey) -> LogPlace {
        let bytes_max = self.0.log_bytes_max.unwrap_or(LOG_BYTES_MAX);
        LogPlace { key: key.clone(), step: None, folder: self.0.logs.clone(), bytes_max }
    }

    async fn perform(
        &self,
        mut order: Arc<JobOrder>,
        begun: Option<Begun>,
        mut control: mpsc::UnboundedReceiver<JobControl>,
        reports: &mpsc::Sender<JobReport>,
    ) -> JobEnd {
        let settings = &*self.0;
        let (notices, masker) = (settings.notices.clone(), Arc::clone(&settings.masker));
        let place = self.log_place(&order.key);
        // What was told of a place that did not come to be is told again.
        let has_place = begun.as_ref().is_some_and(|begun| self.has_had_a_place(&order.key, begun));
        let kept = if has_place { u64::MAX } else { 0 };
        let mut log = StepLog::reopen(place, notices, masker, CommandSettings::default(), kept);
        let own = self.of_environment(&mut order).await;
        let contexts = self.with_own_token(&order, own).await;
        let parts = Parts { order: &order, control: &mut control, reports, log: &mut log };
        let end = match contexts {
            Ok((job, secrets)) => match begun {
                None => self.placed(parts, job, secrets).await,
                Some(begun) => self.taken_up(parts, job, secrets, begun).await,
            },
            Err(message) => failed(message),
        };
        if let Some(message) = end.message.as_ref().filter(|_| !end.told) {
            log.error(message).await;
        }
        log.finish().await;
        JobEnd { message: end.message.map(|message| settings.masker.mask(&message)), ..end }
    }

    /// The secrets of the job's environment; its variables go into the order.
    async fn of_environment(&self, order: &mut Arc<JobOrder>) -> Result<Option<SecretStore>, String> {
        let Some(ports) = &self.0.environment_secrets else { return Ok(None) };
        let Some(environment) = order.environment.clone().transpose()? else { return Ok(None) };
        let (secrets, vars) = ports.secrets(order, &environment).await?;
        for secret in secrets.names().filter_map(|name| secrets.get(name)) {
            // Whoever set it was told.
            let _too_short = self.0.masker.add(secret.expose());
        }
        Arc::make_mut(order).set_vars(&vars);
        Ok(Some(secrets))
    }

    /// Secrets and environment, before there is a place.
    pub(super) fn contexts(
        &self,
        order: &JobOrder,
        own: Option<&SecretStore>,
        tokens: [(&str, Option<Secret>); 2],
    ) -> Result<(JobFacing, Value), String> {
        let mut secrets = own.unwrap_or(&self.0.secrets).context(order)?;
        for (name, token) in &tokens {
            secrets = with_token(secrets, name, token.as_ref());
        }
        let mut job = JobFacing {
            github: order.contexts.github.as_object().cloned().unwrap_or_default(),
            secrets: secrets.clone(),
            job: Object::default(),
            runner: Value::Null,
            env: IndexMap::new(),
            commands: CommandSettings::default(),
            path: Vec::new(),
            steps: StepsContext::default(),
            action: None,
        };
        // There for every step; those of actions fill them.
        job.github.insert("action_repository", Value::Null);
        job.github.insert("action_ref", Value::Null);
        if job.github.get("token").is_none() {
            let [_, (_, token)] = &tokens;
            let token = token.as_ref().map_or("", Secret::expose);
            job.github.insert("token", Value::String(Arc::from(token)));
        }
        self.workflow_facts(order, &job.github).add_to(&mut job.job, &mut job.github);
        job.github.insert("job", Value::String(Arc::from(order.job.id.value.as_str())));
        for token in [&order.workflow_env, &order.steps_job().env].into_iter().flatten() {
            let scope = job.scope(order, &job.env, Status::Success, None, None);
            let env = evaluate_strings(Some(token), &scope).map_err(|error| format!("`env`: {error}"))?;
            job.env.extend(env);
        }
        job.env.extend(self.0.env.clone());
        let env = job.env.clone();
        job.allow(&env);
        Ok((job, secrets))
    }

    /// A job that nobody has begun.
    pub(super) async fn placed(&self, parts: Parts<'_>, mut job: JobFacing, secrets: Value) -> JobEnd {
        let Parts { order, control, reports, log } = parts;
        let place = match Place::of(&self.0, order, &job) {
            Ok(place) => place,
            Err(message) => return failed(message),
        };
        let cancelled = || {
            let message = Some("The job was cancelled while it was being placed.".into());
            JobEnd { conclusion: Conclusion::Cancelled, outputs: BTreeMap::new(), message, told: false }
        };
        let own = OwnActions::of(&self.0, &self.workflow_facts(order, &job.github));
        let fetched = tokio::select! {
            fetched = FetchedActions::of(&own, &self.0.built_in, &order.steps_job().steps, log) => fetched,
            () = JobControl::stopped(control) => return cancelled(),
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(message) => return failed(message),
        };
        let placed = tokio::select! {
            placed = place.start(&self.0, order, log) => placed,
            () = JobControl::stopped(control) => {
                self.0.unfinished_starts.store(true, Ordering::Relaxed);
                return cancelled();
            }
        };
        let mut placed = match placed {
            Ok(placed) => placed,
            Err(message) => return failed(message),
        };
        placed.record.pres = fetched.pres(&own, &self.0.built_in, &order.steps_job().steps);
        if let Err(message) = fetched.place(&mut placed.record, &*placed.handle).await {
            let left = placed.stop().await.err().map(|problem| format!("; {problem}")).unwrap_or_default();
            return failed(message + &left);
        }
        self.serve(order, &mut job, &mut placed, log).await;
        self.forget(&order.key);
        let journal = self.journal(&order.key);
        journal.write(|| Entry::Placed(Box::new(placed.record.clone())));
        let _gone = reports.send(JobReport::new([placed.record.placed(&order.key)])).await;
        self.stepped(Parts { order, control, reports, log }, (job, secrets), placed, journal, None).await
    }

    /// The steps of a placed job, and its end.
    pub(super) async fn stepped(
        &self,
        parts: Parts<'_>,
        (mut job, secrets): (JobFacing, Value),
        placed: Placed,
        journal: Journal,
        begun: Option<(Begun, Remembered)>,
    ) -> JobEnd {
        let Parts { order, control, reports, log } = parts;
        let tools = Arc::new(self.tools(order, &mut job, &secrets, &placed, journal));
        let mut stepper = Stepper::new(Arc::clone(order), (tools, placed.record.pres.clone()), reports.clone(), job);
        let is_new = begun.is_none();
        if let Some((begun, remembered)) = begun {
            stepper.recall(&begun, remembered).await;
        }
        // On GitHub services are started by a step of the job: when it fails, steps that run after a failure run.
        let problem = placed.handle.facts().services_problem.clone();
        if let Some(problem) = &problem {
            if is_new {
                log.error(problem).await;
            }
            stepper.set_up_failed();
        }
        let conclusion = stepper.run(control).await;
        let told = problem.is_some();
        let mut end = JobEnd { conclusion, outputs: BTreeMap::new(), message: problem, told };
        if !stepper.is_killed() {
            self.outputs(&stepper, &mut end, log).await;
        }
        if let Some(standing) = self.keeps(&end).filter(|_| !stepper.is_killed()) {
            self.leave(standing, order, stepper, placed, log).await;
            return end;
        }
        stepper.tools.journal.write(|| Entry::Over(Box::new(end.clone())));
        stepper.tools.files.settle().await;
        drop(stepper);
        if let Err(problem) = placed.stop().await {
            log.error(&problem).await;
        }
        end
    }

    pub(super) fn journal(&self, key: &JobRunKey) -> Journal {
        if self.0.standing.is_some() {
            return Journal::in_memory(String::new());
        }
        let Some(folder) = &self.0.journals else { return Journal::default() };
        Journal::open(&Journal::path(folder, key)).unwrap_or_else(|error| {
            tracing::warn!(%error, "should this process be killed, this job cannot be taken up where it is");
            Journal::default()
        })
    }
}

pub(super) fn failed(message: String) -> JobEnd {
    JobEnd { conclusion: Conclusion::Failure, outputs: BTreeMap::new(), message: Some(message), told: false }
}
