//! Actions that are no part of this program: those of the repository (`uses: ./path`), read from the workspace as it is when
//! the step begins, and those of others. The steps of those that are made of steps run one after the other within that
//! step's task and log.
//!
//! The steps share the job's environment and PATH, but have ids, conditions, inputs and a status of their own. What a
//! process that takes the job up needs, the end of each and the file of the action, goes to the job's journal. Actions of
//! an image are refused. Follows
//! <https://docs.github.com/en/actions/sharing-automations/creating-actions/creating-a-composite-action> and, where that
//! is silent, GitHub's runner.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use workflow::action::{Action, ActionRuns};
use workflow::expression::{Status, Value};
use workflow::model::Step;
use workflow::run::Conclusion;
use workflow::template::evaluate;

use super::action_file::ActionPlace;
use super::context::{StepsContext, strings};
use super::facing::{ActionFacing, JobFacing};
use super::files::StepFiles;
use super::inner_steps::InnerSteps;
use super::javascript::ForeignCall;
use super::log::StepLog;
use super::perform::{INNER_MAX, StepTask};
use super::pre::path_below;
use super::prepare::name_of;
use super::recording::Performed;
use super::renewed;
use crate::step::{StepEnd, minutes};

/// An action about to be read.
pub(super) struct LocalAction {
    pub(super) place: ActionPlace,
    /// `with:`.
    given: Given,
    /// What its steps will see.
    pub(super) job: JobFacing,
    timeout: Option<Duration>,
    user: ActionUser,
}

/// `with:`.
pub(super) struct Given {
    pub(super) inputs: IndexMap<String, String>,
    /// Expressions of those that a post part evaluates once more.
    pub(super) renewed: BTreeMap<String, String>,
}

/// An action that was read, with all that it is called with.
pub(super) struct Opened {
    pub(super) action: Action,
    pub(super) call: ForeignCall,
    /// What its steps will see.
    pub(super) job: JobFacing,
}

/// The step that uses an action.
pub(super) struct ActionUser {
    pub(super) id: String,
    /// Variables of its processes.
    pub(super) env: IndexMap<String, String>,
    /// Those of them that the log shows.
    pub(super) shown: IndexMap<String, String>,
}

impl LocalAction {
    /// `job`: what the step sees that uses it, whose own `env:` is `own_env`.
    pub(super) fn new(
        place: ActionPlace,
        given: Given,
        job: &JobFacing,
        own_env: &IndexMap<String, String>,
        status: Status,
        timeout: Option<Duration>,
        user: ActionUser,
    ) -> Self {
        let outer = job.action.as_ref();
        let mut overlay = outer.map(|action| action.overlay.clone()).unwrap_or_default();
        overlay.extend(own_env.clone());
        let action = ActionFacing {
            inputs: Value::Null,
            job_status: outer.map_or(status, |action| action.job_status),
            shared_env: outer.map_or(&job.env, |action| &action.shared_env).clone(),
            overlay,
            depth: outer.map_or(0, |action| action.depth + 1),
            path: outer.map(|action| path_below(&action.path, &user.id)).unwrap_or_default(),
            local: match &place {
                ActionPlace::Workspace(path) => Some(path.clone()),
                ActionPlace::Repository { .. } | ActionPlace::Image(_) => outer.and_then(|action| action.local.clone()),
            },
        };
        let mut job = JobFacing { steps: StepsContext::default(), action: Some(action), ..job.clone() };
        job.renew_env();
        job.allow(own_env);
        for (name, value) in place.contexts() {
            job.github.insert(name, value);
        }
        Self { place, given, job, timeout, user }
    }
}

impl StepTask {
    /// Runs an action. What is wrong is told in the log already.
    pub(super) fn local<'a>(
        &'a self,
        local: LocalAction,
        files: &'a StepFiles,
        log: &'a mut StepLog,
    ) -> Pin<Box<dyn Future<Output = Performed> + Send + 'a>> {
        Box::pin(async move {
            let failed =
                |message: String| Performed::without_command(StepEnd::plain(Conclusion::Failure, Some(message)));
            let Opened { action, call, mut job } = match self.open(local, true, log).await {
                Ok(opened) => opened,
                Err(message) => {
                    log.error(&message).await;
                    return failed(message);
                }
            };
            let steps = match &action.runs {
                ActionRuns::Script(runs) => return self.javascript(runs, call, files, log).await,
                ActionRuns::Container(runs) => return self.container(runs, call, job, log).await,
                ActionRuns::Composite(steps) => steps,
            };
            let ForeignCall { place, folder, inputs, timeout, .. } = call;
            let path = place.text();
            job.github.insert("action_path", Value::String(Arc::from(folder.as_str())));
            if !self.is_begun() {
                self.action_header(&path, &inputs, &job.env, log).await;
            }
            if let Some(facing) = &mut job.action {
                facing.inputs = strings(inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            }
            let mut inner = InnerSteps::new(self, job, timeout.map(|limit| tokio::time::Instant::now() + limit));
            inner.run(steps, log).await;
            if inner.is_late() {
                let minutes = minutes(timeout.unwrap_or_default());
                let message = format!("The action '{}' has timed out after {minutes} minutes.", self.name);
                log.error(&message).await;
                inner.fail(message);
            }
            self.outputs(&action, &mut inner, log).await;
            Performed::without_command(inner.end())
        })
    }

    /// Reads an action, and completes what it is given. `told`: whether the log is told of inputs that are not in order.
    ///
    /// # Errors
    /// It cannot be run; a sentence for the step's log.
    pub(super) async fn open(&self, local: LocalAction, told: bool, log: &mut StepLog) -> Result<Opened, String> {
        let (folder, action) = self.read(&local, log).await?;
        let LocalAction { place, given, job, timeout, user } = local;
        let Given { inputs, mut renewed } = given;
        renewed.extend(renewed::of_defaults(&action, &inputs));
        let (inputs, warnings) = self.inputs(&action, &place.text(), inputs, &job)?;
        for warning in warnings.iter().filter(|_| told && !self.is_begun()) {
            log.warning(warning).await;
        }
        let facing = job.action.as_ref();
        let own_env = facing.map(|action| action.overlay.clone()).unwrap_or_default();
        let path = facing.map(|action| action.path.clone()).unwrap_or_default();
        let local = facing.and_then(|action| action.local.clone());
        let call = ForeignCall { place, folder, inputs, renewed, own_env, user, timeout, path, local };
        Ok(Opened { action, call, job })
    }

    /// What is given, completed with the action's defaults; all that the action does not know comes along. Also what is to be
    /// warned of.
    fn inputs(
        &self,
        action: &Action,
        path: &str,
        given: IndexMap<String, String>,
        job: &JobFacing,
    ) -> Result<(IndexMap<String, String>, Vec<String>), String> {
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        let is_of_container = matches!(action.runs, ActionRuns::Container(_));
        let (mut unexpected, mut warnings) = (Vec::new(), Vec::new());
        let mut inputs = IndexMap::new();
        for (name, value) in given {
            match action.inputs.iter().find(|(known, _)| is(known, &name)) {
                Some((_, input)) => {
                    if let Some(message) = &input.deprecation {
                        warnings.push(format!("Input '{name}' has been deprecated with message: {message}"));
                    }
                }
                None if is_of_container && ["args", "entrypoint"].iter().any(|own| is(own, &name)) => {}
                None => unexpected.push(name.clone()),
            }
            inputs.insert(name, value);
        }
        // An image takes whatever it is given.
        if !unexpected.is_empty() && (action.is_described || !is_of_container) {
            let valid: Vec<_> = action.inputs.keys().map(String::as_str).collect();
            let near = |name: &String| workflow::diagnostic::suggest(name, valid.iter().copied());
            let near: Vec<_> = unexpected.iter().filter_map(near).collect();
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean '{}'?", near.join("', '")) };
            let (unexpected, valid) = (unexpected.join("', '"), valid.join("', '"));
            warnings.push(format!("Unexpected input(s) '{unexpected}', valid inputs are ['{valid}']{hint}"));
        }
        for (name, input) in &action.inputs {
            if inputs.keys().any(|given| is(given, name)) {
                continue;
            }
            let value = match &input.default {
                Some(default) => {
                    let scope = job.scope(&self.order, &job.env, Status::Success, None, Some(&*self.tools.hash_files));
                    let value = evaluate(default, &scope);
                    value.map_err(|error| format!("the default of the input `{name}`: {}", error.message))?
                }
                None => {
                    if input.required {
                        // GitHub goes on without a word.
                        warnings.push(format!("{path} needs the input `{name}`, which is not given: it is empty"));
                    }
                    Value::String(Arc::from(""))
                }
            };
            inputs.insert(name.clone(), value.to_display_string().to_string());
        }
        Ok((inputs, warnings))
    }

    /// Whether another process had begun with its steps, so that the beginning of the log is there.
    pub(super) fn is_begun(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.is_begun(self.inner))
    }

    /// How an action begins in the log.
    pub(super) async fn action_header(
        &self,
        path: &str,
        inputs: &IndexMap<String, String>,
        env: &IndexMap<String, String>,
        log: &mut StepLog,
    ) {
        let mut lines = format!("##[group]Run {path}\n");
        for (title, values, shows_empty) in [("with", inputs, false), ("env", env, true)] {
            if !values.is_empty() {
                lines.push_str(&format!("{title}:\n"));
                let shown = values.iter().filter(|(_, value)| shows_empty || !value.is_empty());
                shown.for_each(|(name, value)| lines.push_str(&format!("  {name}: {value}\n")));
            }
        }
        log.line(&format!("{lines}##[endgroup]")).await;
    }

    /// Evaluates the action's `outputs:`, whatever became of its steps.
    async fn outputs(&self, action: &Action, inner: &mut InnerSteps<'_>, log: &mut StepLog) {
        for (name, token) in &action.outputs {
            match inner.evaluate(token) {
                Ok(value) => inner.output(name, &value),
                Err(error) => {
                    let message = format!("the output `{name}`: {error}");
                    log.error(&message).await;
                    inner.fail(message);
                }
            }
        }
    }

    /// The task of the next step of its action, which sees `job`.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn next_inner(&self, step: &Step, job: &JobFacing) -> Result<Self, String> {
        let mut task = self.next_part()?;
        // Its name is told where its time runs out only.
        if step.timeout_minutes.is_some() {
            let hash_files = &*self.tools.hash_files;
            let env = job.env_of(&self.order, step, Status::Success, hash_files);
            task.name = name_of(step, &job.scope(&self.order, &env, Status::Success, Some(step), Some(hash_files)));
        }
        Ok(task)
    }

    /// The task of a part of what this step uses.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn next_part(&self) -> Result<Self, String> {
        let inner = self.inners.fetch_add(1, Ordering::Relaxed) + 1;
        if inner > INNER_MAX || self.index.0 >= INNER_MAX {
            return Err(format!("the actions of one step may run {INNER_MAX} steps at most"));
        }
        Ok(Self {
            index: self.index,
            inner,
            inners: Arc::clone(&self.inners),
            order: Arc::clone(&self.order),
            tools: Arc::clone(&self.tools),
            cancel: tokio_util::sync::CancellationToken::new(),
            name: self.name.clone(),
            again: self.again.clone(),
            pre: Arc::clone(&self.pre),
        })
    }
}
