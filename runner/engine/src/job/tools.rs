//! What the steps of a placed job work with.

use std::sync::Arc;

use workflow::expression::{Object, Value};
use workflow::secret::Secret;

use super::JobOrder;
use super::containers::JobContainers;
use super::context::job_context;
use super::environment::{self, RunnerFacts};
use super::facing::JobFacing;
use super::fetched::JobActions;
use super::files::JobFiles;
use super::javascript::JobNodes;
use super::journal::Journal;
use super::matchers::JobMatchers;
use super::own_actions::OwnActions;
use super::perform::StepTools;
use super::placed::Placed;
use super::run::PlacedJobs;

impl PlacedJobs {
    pub(super) fn tools(
        &self,
        order: &Arc<JobOrder>,
        job: &mut JobFacing,
        secrets: &Value,
        placed: &Placed,
        journal: Journal,
    ) -> StepTools {
        let (handle, served, placed) = (&placed.handle, &placed.served, &placed.record);
        let settings = &*self.0;
        let debug = settings.secrets.get("ACTIONS_STEP_DEBUG").is_some_and(|secret| secret.expose() == "true")
            || order.contexts.vars.get("ACTIONS_STEP_DEBUG").is_some_and(|value| &*value.to_display_string() == "true");
        let runner = RunnerFacts::here("pipe".into(), debug);
        job.job = job_context(Some(handle.facts()));
        let standing = self.workflow_facts(order, &job.github);
        standing.add_to(&mut job.job, &mut job.github);
        job.runner = runner.context(&placed.paths);
        job.github.insert("workspace", Value::String(Arc::from(placed.paths.workspace.as_str())));
        job.github.insert("event_path", Value::String(Arc::from(placed.paths.event.as_str())));
        let github = Value::Object(Arc::new(job.github.clone()));
        let base_env = environment::defaults(&github, &placed.paths, &runner);
        let workspace = placed.workspace.clone();
        let hashed = (workspace.host.clone(), workspace.inside.clone());
        StepTools {
            round: placed.again.as_ref().map_or(0, |again| again.round),
            handle: Arc::clone(handle),
            files: JobFiles::new(placed.run_directory.clone(), Arc::clone(handle)),
            masker: Arc::clone(&settings.masker),
            matchers: Arc::new(JobMatchers::new(Arc::clone(handle), placed.workspace.clone())),
            notices: settings.notices.clone(),
            hash_files: Box::new(move |patterns| crate::hash_files::hash_files(&hashed.0, &hashed.1, patterns)),
            log_place: self.log_place(&order.key),
            built_in: settings.built_in.clone(),
            workspace,
            repository: settings.repository.clone(),
            run: self.run_facts(order, placed, &github),
            secrets: secrets
                .as_object()
                .into_iter()
                .flat_map(Object::values)
                .map(|value| Secret::from(&*value.to_display_string()))
                .filter(|value| !value.is_empty())
                .collect(),
            base_env,
            trace: settings.trace.clone(),
            defaults: order.steps_job().defaults.iter().cloned().chain(order.workflow_defaults.clone()).collect(),
            served: served.clone(),
            own_path: placed.own_path.clone(),
            has_bash: placed.has_bash,
            debug,
            journal,
            nodes: JobNodes::of(&settings.actions, handle, placed.on_host),
            actions: JobActions::of(OwnActions::of(settings, &standing), placed),
            containers: JobContainers::of(&self.0, order, placed),
        }
    }
}
