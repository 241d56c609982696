//! Actions of the repository (`uses: ./path`): read from the workspace as it is when the step begins. The steps of those
//! that are made of steps run one after the other within that step's task and log.
//!
//! The steps share the job's environment and PATH, but have ids, conditions, inputs and a status of their own. What a
//! process that takes the job up needs, the end of each and the file of the action, goes to the job's journal. Actions of
//! an image are refused. Follows
//! <https://docs.github.com/en/actions/sharing-automations/creating-actions/creating-a-composite-action> and, where that
//! is silent, GitHub's runner.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use workflow::action::{Action, ActionRuns, COMPOSITE_DEPTH_MAX};
use workflow::command::{Annotation, AnnotationLevel};
use workflow::expression::{Status, Value};
use workflow::model::Step;
use workflow::read::{ReadOptions, read_action};
use workflow::run::Conclusion;
use workflow::source::SourceFile;
use workflow::template::evaluate;

use super::context::{StepsContext, strings};
use super::facing::{ActionFacing, JobFacing};
use super::files::StepFiles;
use super::inner_steps::InnerSteps;
use super::javascript::ScriptCall;
use super::journal::Entry;
use super::log::StepLog;
use super::perform::{INNER_MAX, StepTask};
use super::recording::Performed;
use crate::step::{StepEnd, minutes};

/// Largest `action.yml`; those that exist have a few kilobytes.
const ACTION_BYTES_MAX: u64 = 1 << 20;

/// An action of the repository, about to be read.
pub(super) struct LocalAction {
    path: String,
    /// `with:`.
    given: IndexMap<String, String>,
    /// What its steps will see.
    job: JobFacing,
    timeout: Option<Duration>,
    user: ActionUser,
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
        path: &str,
        given: IndexMap<String, String>,
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
        };
        let mut job = JobFacing { steps: StepsContext::default(), action: Some(action), ..job.clone() };
        job.renew_env();
        Self { path: path.to_owned(), given, job, timeout, user }
    }
}

impl StepTask {
    /// Runs an action of the repository. What is wrong is told in the log already.
    pub(super) fn local<'a>(
        &'a self,
        local: LocalAction,
        files: &'a StepFiles,
        log: &'a mut StepLog,
    ) -> Pin<Box<dyn Future<Output = Performed> + Send + 'a>> {
        Box::pin(async move {
            let failed =
                |message: String| Performed::without_command(StepEnd::plain(Conclusion::Failure, Some(message)));
            let (folder, action) = match self.read(&local, log).await {
                Ok(read) => read,
                Err(message) => {
                    log.error(&message).await;
                    return failed(message);
                }
            };
            let LocalAction { path, given, mut job, timeout, user } = local;
            let inputs = match self.inputs(&action, &path, given, &job, log).await {
                Ok(inputs) => inputs,
                Err(message) => {
                    log.error(&message).await;
                    return failed(message);
                }
            };
            let steps = match &action.runs {
                ActionRuns::Composite(steps) => steps,
                ActionRuns::Script(runs) => {
                    let own_env = job.action.map(|action| action.overlay).unwrap_or_default();
                    let (name, named) = (path, BTreeMap::new());
                    let call = ScriptCall { name, folder, inputs, own_env, named, user, timeout };
                    return self.javascript(runs, call, files, log).await;
                }
                ActionRuns::Container => return failed(refused(&path)),
            };
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

    async fn read(&self, local: &LocalAction, log: &mut StepLog) -> Result<(String, Action), String> {
        let depth = local.job.action.as_ref().map_or(0, |action| action.depth);
        if depth > COMPOSITE_DEPTH_MAX {
            return Err(format!("Composite action depth exceeded max depth {COMPOSITE_DEPTH_MAX}"));
        }
        let (folder, below) = folder(&self.tools.workspace.inside, &local.path);
        let known = self.again.as_ref().and_then(|again| again.actions.get(&self.inner).cloned());
        let (file, text) = match known {
            Some(known) => known,
            None => self.find(&local.path, &folder, &below).await?,
        };
        let reading = read_action(SourceFile::new(file.as_str(), text.as_str()), &ReadOptions::default());
        for error in &reading.errors {
            let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            let message = format!("{}{help}", error.github_text(&reading.sources));
            log.annotate(Annotation::new(AnnotationLevel::Error, message)).await;
        }
        let action = reading.action.ok_or_else(|| format!("Failed to load {file}"))?;
        match &action.runs {
            ActionRuns::Composite(_) | ActionRuns::Script(_) => Ok((folder, action)),
            ActionRuns::Container => Err(refused(&local.path)),
        }
    }

    /// The file of an action, and its name for messages.
    async fn find(&self, path: &str, folder: &str, below: &str) -> Result<(String, String), String> {
        let read = async |name: &str| {
            let file = format!("{folder}/{name}");
            let content = self.tools.handle.read_file(&file, ACTION_BYTES_MAX).await;
            content.map_err(|error| format!("{file}: {error}"))
        };
        for name in ["action.yml", "action.yaml"] {
            let Some(content) = read(name).await? else { continue };
            let text = String::from_utf8(content.to_vec()).map_err(|_| format!("{folder}/{name} is not UTF-8"))?;
            let file = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            let (step, inner) = (self.index, self.inner);
            self.tools.journal.write(|| Entry::Action { step, inner, file: file.clone(), text: text.clone() });
            return Ok((file, text));
        }
        if read("Dockerfile").await.is_ok_and(|file| file.is_some()) {
            return Err(refused(path));
        }
        Err(format!(
            "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '{folder}'. Did you forget to run \
             actions/checkout before running your local action?"
        ))
    }

    /// What is given, completed with the action's defaults; all that the action does not know comes along.
    async fn inputs(
        &self,
        action: &Action,
        path: &str,
        given: IndexMap<String, String>,
        job: &JobFacing,
        log: &mut StepLog,
    ) -> Result<IndexMap<String, String>, String> {
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        let (mut unexpected, mut warnings) = (Vec::new(), Vec::new());
        let mut inputs = IndexMap::new();
        for (name, value) in given {
            match action.inputs.iter().find(|(known, _)| is(known, &name)) {
                Some((_, input)) => {
                    if let Some(message) = &input.deprecation {
                        warnings.push(format!("Input '{name}' has been deprecated with message: {message}"));
                    }
                }
                None => unexpected.push(name.clone()),
            }
            inputs.insert(name, value);
        }
        if !unexpected.is_empty() {
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
        if !self.is_begun() {
            for warning in &warnings {
                log.warning(warning).await;
            }
        }
        Ok(inputs)
    }

    /// Whether another process had begun with its steps, so that the beginning of the log is there.
    fn is_begun(&self) -> bool {
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
        for (title, values) in [("with", inputs), ("env", env)] {
            if !values.is_empty() {
                lines.push_str(&format!("{title}:\n"));
                values.iter().for_each(|(name, value)| lines.push_str(&format!("  {name}: {value}\n")));
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

    /// The task of the next step of its action.
    ///
    /// # Errors
    /// There were too many.
    pub(super) fn next_inner(&self, step: &Step) -> Result<Self, String> {
        self.next_part(step.id.as_str())
    }

    /// The same by the id of a step.
    pub(super) fn next_part(&self, id: &str) -> Result<Self, String> {
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
            name: id.to_owned(),
            again: self.again.clone(),
        })
    }
}

fn refused(path: &str) -> String {
    format!(
        "`uses: {path}` cannot run yet: this version runs actions of steps and in JavaScript, not those of an image"
    )
}

/// The folder of an action as the job sees it, and relative to the workspace for messages.
fn folder(workspace: &str, path: &str) -> (String, String) {
    let mut folder = PathBuf::from(workspace);
    for component in Path::new(&path.replace('\\', "/")).components() {
        match component {
            Component::ParentDir => {
                folder.pop();
            }
            Component::Normal(name) => folder.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let below = folder.strip_prefix(workspace).unwrap_or(&folder).display().to_string();
    (folder.display().to_string(), below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        let check = |path: &str, expect: (&str, &str)| {
            assert_eq!(folder("/w/r/r", path), (expect.0.to_owned(), expect.1.to_owned()), "{path}");
        };
        check("./", ("/w/r/r", ""));
        check("./.github/actions/a/", ("/w/r/r/.github/actions/a", ".github/actions/a"));
        check(".\\a\\b", ("/w/r/r/a/b", "a/b"));
        check("./a/../b", ("/w/r/r/b", "b"));
        check("./../o", ("/w/r/o", "/w/r/o"));
    }
}
