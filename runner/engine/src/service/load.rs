//! From what is stored of a run to what carries it: the workflow read again from its sources, contexts, secrets, folders.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};
use workflow::diagnostic::Diagnostic;
use workflow::event::{GithubFacts, github_context};
use workflow::model::{JobId, Workflow};
use workflow::plan::{Plan, PlanFacts};
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::run::{Environments, Recorded, RunEvent, RunFacts};
use workflow::source::SourceFile;

use super::{Inner, PortError, RunSpec, Trust, journals};
use crate::actions::Actions;
use crate::folders::RunFolders;
use crate::groups::Newer;
use crate::job::{JobSettings, SecretStore, SharedMasker, named_secrets};
use crate::kept::Keeper;
use crate::machine::{StartedWith, run_facts};
use crate::notice::Notices;
use crate::runner_label::RunnerLabels;
use crate::slots::Party;
use crate::step::RepositoryFacts;
use crate::store::job_tokens::JobTokens;
use crate::store::reports::Reports;
use crate::store::{RunId, RunNumbers, RunStatus, StoreError};

/// A run that can be carried.
pub(super) struct Loaded {
    pub(super) facts: Arc<RunFacts>,
    pub(super) history: Vec<Recorded>,
    /// What is kept of the attempt before.
    pub(super) kept: Vec<RunEvent>,
    pub(super) jobs: JobSettings,
    pub(super) masker: Arc<SharedMasker>,
    pub(super) folders: RunFolders,
    pub(super) trust: Trust,
    pub(super) party: Party,
    /// Why it cannot go on after all.
    pub(super) problem: Option<String>,
}

/// Why one cannot.
pub(super) enum Obstacle {
    /// It is over, or does not exist.
    Over,
    /// What it was asked for makes no run; `last` is the number of its last fact.
    Unreadable { message: String, last: u64 },
}

/// Files of the commit and of other repositories, as they were stored.
struct Sources<'a>(&'a IndexMap<String, String>);

impl WorkflowFiles for Sources<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let Some(path) = reference.strip_prefix("./") else {
            // Of another repository; runs of an older program kept none.
            return self.0.get(reference).map(|text| Ok(SourceFile::new(reference, text.as_str())));
        };
        Some(match self.0.get(path) {
            Some(text) => Ok(SourceFile::new(path, text.as_str())),
            None => Err(format!("there is no file `{path}` at this commit")),
        })
    }
}

impl RunSpec {
    /// Reads its workflow again.
    pub(crate) fn workflow(&self) -> Result<Workflow, String> {
        let text = self.sources.get(&self.workflow).ok_or_else(|| format!("`{}` was not kept", self.workflow))?;
        let file = SourceFile::new(self.workflow.as_str(), text.as_str());
        let reading = read_workflow(file, &Sources(&self.sources), &ReadOptions::default());
        let errors: Vec<_> = reading.errors.iter().map(|error| error.github_text(&reading.sources)).collect();
        reading.workflow.filter(|_| errors.is_empty()).ok_or_else(|| errors.join("\n"))
    }

    /// A digest of the texts that the run is made of.
    fn workflow_hash(&self) -> String {
        let mut paths: Vec<_> = self.sources.keys().collect();
        paths.sort_unstable();
        let mut digest = Sha256::new();
        for path in paths {
            for text in [path, &self.sources[path]] {
                digest.update(text.len().to_le_bytes());
                digest.update(text);
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its jobs and what they need, to be looked at: what only the server knows, such as variables, is not there.
    ///
    /// # Errors
    /// The workflow cannot be read or planned; GitHub's texts, one a line.
    pub fn plan(&self) -> Result<Plan, String> {
        let workflow = self.workflow()?;
        let github = GithubFacts {
            workflow: workflow.display_name().to_owned(),
            workflow_path: workflow.path.clone(),
            ..GithubFacts::default()
        };
        let facts = PlanFacts {
            event: Arc::new(self.event.clone()),
            inputs: self.inputs.as_object().cloned().unwrap_or_default(),
            github: github_context(&self.event, &github),
            vars: self.vars.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        };
        let failed =
            |found: Vec<Diagnostic>| found.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("\n");
        Plan::new(&workflow, &facts).map_err(failed)
    }

    pub(super) fn party(&self) -> Party {
        let repository = format!("{} {}", self.forge.as_str(), self.repository.to_lowercase());
        Party { repository: repository.into(), priority: self.priority }
    }
}

/// What a run was started with; secrets but the token are no part of it.
pub(super) fn facts(inner: &Inner, spec: &RunSpec, numbers: RunNumbers, given: Given) -> Arc<RunFacts> {
    let Given { workflow, secrets, vars, environments } = given;
    let selected = spec.selected.as_ref();
    let started = StartedWith {
        workflow,
        event: &spec.event,
        inputs: &spec.inputs,
        vars: &vars,
        selected: selected.map(|ids| ids.iter().map(|id| JobId::new(id.as_str())).collect()),
        legs: spec.legs.clone(),
        environments,
        server_url: &inner.parts.server_url,
        token: secrets.get("GITHUB_TOKEN").cloned(),
        triggering_actor: spec.requested_by.clone(),
        workflow_hash: spec.workflow_hash(),
        held: spec.held.clone(),
    };
    Arc::new(run_facts(started, numbers))
}

/// What ports gave for a run.
pub(super) struct Given<'a> {
    pub(super) workflow: Arc<Workflow>,
    pub(super) secrets: &'a SecretStore,
    pub(super) vars: IndexMap<String, String>,
    pub(super) environments: Arc<Environments>,
}

/// Secrets and variables of a run.
pub(super) async fn values(
    inner: &Inner,
    spec: &RunSpec,
    workflow: &Workflow,
) -> Result<(SecretStore, IndexMap<String, String>), PortError> {
    let names = named_secrets(workflow);
    let secrets = inner.parts.secrets.secrets(spec, None, names.as_deref()).await?;
    let mut vars = inner.parts.secrets.vars(spec, None).await?;
    vars.extend(spec.vars.clone());
    Ok((secrets, vars))
}

/// Loads a run.
pub(super) async fn load(
    inner: &Arc<Inner>,
    run: RunId,
    notices: &Notices,
) -> Result<Result<Loaded, Obstacle>, StoreError> {
    let row = inner.store.run_row(run).await?.filter(|row| row.status != RunStatus::Completed);
    let (Some(row), Some(spec)) = (row, inner.store.spec(run).await?) else { return Ok(Err(Obstacle::Over)) };
    let history = inner.log.read(run).await?;
    let workflow = match spec.workflow() {
        Ok(workflow) => Arc::new(workflow),
        Err(message) => {
            let last = history.last().map_or(0, |fact| fact.seq);
            return Ok(Err(Obstacle::Unreadable { message, last }));
        }
    };
    let mut problem = None;
    let values = values(inner, &spec, &workflow).await;
    let (secrets, vars) = values.unwrap_or_else(|PortError(message)| {
        problem = Some(message);
        (SecretStore::default(), IndexMap::new())
    });
    let repository = inner.parts.repositories.repository(&spec).await.unwrap_or_else(|PortError(message)| {
        problem.get_or_insert(message);
        RepositoryFacts { folder: Path::new("/dev/null").into(), name: spec.repository.clone(), working_tree: false }
    });
    let environments = super::authors::environments(inner, (run, &spec), &repository).await?;
    let given = Given { workflow, secrets: &secrets, vars, environments };
    let facts = facts(inner, &spec, row.numbers, given);
    let folders = inner.parts.folders.make_lasting(run)?;
    if history.is_empty()
        && let Some(before) = spec.rerun_of
        && let Err(error) = link_logs(&inner.parts.folders.logs(before), &folders.logs, &spec.kept)
    {
        tracing::warn!(%run, %error, "logs of the attempt before are only there");
    }
    let masker = Arc::new(masker(inner, run, &secrets)?);
    let party = spec.party();
    let (kept, trust) = (spec.kept.clone(), spec.trust);
    let asked = if spec.newer.is_empty() { Vec::new() } else { inner.store.groups_asked(spec.newer.clone()).await? };
    inner.groups.came_late(run, Newer { runs: spec.newer.clone(), asked });
    let jobs = settings(inner, (spec, row.numbers), (secrets, repository), &folders, (&masker, notices));
    Ok(Ok(Loaded { facts, history, kept, jobs, masker, folders, trust, party, problem }))
}

fn masker(inner: &Inner, run: RunId, secrets: &SecretStore) -> Result<SharedMasker, StoreError> {
    let mut masker = SharedMasker::default();
    for secret in secrets.names().filter_map(|name| secrets.get(name)) {
        // Whoever set it was told.
        let _too_short = masker.add(secret.expose());
    }
    let folder = journals(&inner.parts.folders, run);
    let failed = |error: std::io::Error| StoreError::File {
        action: "write",
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    masker.keep_found(&folder.join("found")).map_err(failed)?;
    Ok(masker)
}

fn settings(
    inner: &Arc<Inner>,
    (spec, numbers): (RunSpec, RunNumbers),
    (secrets, repository): (SecretStore, RepositoryFacts),
    folders: &RunFolders,
    (masker, notices): (&Arc<SharedMasker>, &Notices),
) -> JobSettings {
    let parts = &inner.parts;
    let state = state(&parts.folders.state, &spec);
    let repository_name = format!("{} {}", spec.forge.as_str(), spec.repository.to_lowercase());
    let tokens = (spec.trust == Trust::Trusted).then(|| JobTokens::on(parts.database.clone()));
    let trace = parts.traces.as_ref().map(|traces| traces.ids(&spec.repository, numbers.id.0));
    let actions = actions(&parts.actions, spec.trust);
    let keeper = Keeper::new(repository_name, numbers, spec.trust == Trust::Trusted);
    JobSettings {
        docker: parts.docker.clone(),
        docker_problem: parts.docker_problem.clone(),
        host: Arc::clone(&parts.host),
        labels: labels(&parts.labels, spec.trust),
        limits: parts.limits,
        trust: Some(spec.trust.as_str()),
        built_in: parts.built_in.clone(),
        secrets,
        environment_secrets: Some(Arc::new(super::ports::OfEnvironments { ports: Arc::clone(&parts.secrets), spec })),
        masker: Arc::clone(masker),
        notices: notices.clone(),
        repository,
        work: folders.work.clone(),
        run_directories: folders.run_directories.clone(),
        logs: folders.logs.clone(),
        journals: Some(folders.journals.clone()),
        state,
        kept: parts.kept(),
        keeper,
        reports: Some(Reports::on(parts.database.clone())),
        trace,
        env: IndexMap::new(),
        log_bytes_max: parts.log_bytes_max,
        unfinished_starts: AtomicBool::new(false),
        bind: false,
        standing: None,
        left: std::sync::Mutex::default(),
        pull: parts.pull,
        tokens,
        actions,
        services: parts.services.clone(),
    }
}

/// What opens private repositories is not for code that anybody may have written.
fn actions(actions: &Actions, trust: Trust) -> Actions {
    match trust {
        Trust::Trusted => actions.clone(),
        Trust::Fork => actions.clone().for_forks(),
    }
}

/// Code that anybody may have written never runs on this machine itself.
fn labels(labels: &RunnerLabels, trust: Trust) -> RunnerLabels {
    match trust {
        Trust::Trusted => labels.clone(),
        Trust::Fork => labels.clone().without_host(),
    }
}

/// What runs of a repository leave to later ones; those of forks have their own.
fn state(state: &Path, spec: &RunSpec) -> std::path::PathBuf {
    let mut digest = Sha256::new();
    digest.update(format!("{} {}", spec.forge.as_str(), spec.repository.to_lowercase()));
    let name: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    state.join("left").join(format!("{name}-{}", spec.trust.as_str()))
}

/// Logs of jobs that are not run again are those of the attempt before.
pub(crate) fn link_logs(before: &Path, now: &Path, kept: &[RunEvent]) -> std::io::Result<()> {
    let jobs: BTreeSet<String> =
        kept.iter().filter_map(RunEvent::job_run).map(|key| key.to_string().replace('/', ".")).collect();
    for job in &jobs {
        let Ok(entries) = std::fs::read_dir(before.join(job)) else { continue };
        std::fs::create_dir_all(now.join(job))?;
        for entry in entries.flatten() {
            match std::fs::hard_link(entry.path(), now.join(job).join(entry.file_name())) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}
