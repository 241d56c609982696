//! The keys of one step, evaluated: everything that must be known before it runs.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use workflow::command::CommandSettings;
use workflow::expression::{Status, Value};
use workflow::model::{Step, StepKind, Uses};
use workflow::template::{Token, evaluate};

use super::action_file::ActionPlace;
use super::composite::{ActionUser, Given, LocalAction};
use super::context::StepScope;
use super::environment;
use super::facing::{JobFacing, evaluate_strings};
use super::fetched::Form;
use super::javascript::ReadyPost;
use super::log::StepLog;
use super::perform::StepTask;
use super::renewed;
use crate::step::BuiltInAction;
use crate::step::script::Shell;

/// No job goes on for longer, whatever its steps say.
const TIMEOUT_MAX: Duration = Duration::from_secs(35 * 24 * 60 * 60);

/// A step with everything evaluated.
pub(super) struct Ready {
    /// The `env` context of the step, for the log: what workflow, job and step say, and what earlier steps left, as
    /// <https://github.com/actions/runner/blob/main/src/Runner.Worker/ActionRunner.cs> gives it to its handlers.
    pub(super) shown_env: IndexMap<String, String>,
    pub(super) env: IndexMap<String, String>,
    pub(super) timeout: Option<Duration>,
    /// What it may print.
    pub(super) commands: CommandSettings,
    pub(super) kind: ReadyKind,
}

impl Ready {
    /// What actions do at the end of the job.
    pub(super) fn posts(posts: Vec<ReadyPost>) -> Self {
        let (shown_env, env, commands) = (IndexMap::new(), IndexMap::new(), CommandSettings::default());
        Self { shown_env, env, timeout: None, commands, kind: ReadyKind::Posts(posts) }
    }
}

/// What a step does.
pub(super) enum ReadyKind {
    Script {
        text: String,
        shell: Option<Shell>,
        cwd: String,
    },
    BuiltIn {
        action: Arc<dyn BuiltInAction>,
        inputs: IndexMap<String, String>,
    },
    Local(Box<LocalAction>),
    /// The `pre` part of the same.
    Pre(Box<LocalAction>),
    Posts(Vec<ReadyPost>),
}

impl StepTask {
    /// Evaluates the keys of a step.
    pub(super) fn prepare(&self, step: &Step, job: &JobFacing, status: Status) -> Result<Ready, String> {
        let tools = &*self.tools;
        let mut base = job.scope(&self.order, &job.env, status, Some(step), Some(&*tools.hash_files));
        base.github = self.github(base.github);
        let own_env = evaluate_strings(step.env.as_ref(), &base).map_err(|error| format!("`env`: {error}"))?;
        let mut context_env = job.env.clone();
        context_env.extend(own_env.clone());
        let commands = job.commands_of(&own_env, &context_env);
        let mut scope = job.scope(&self.order, &context_env, status, Some(step), Some(&*tools.hash_files));
        scope.github = base.github;
        let timeout = timeout(step.timeout_minutes.as_ref(), &scope)?;
        let kind = match &step.kind {
            StepKind::Run { script, shell, working_directory } => {
                // `defaults:` are for the job's own steps.
                let default = |key| if job.action.is_some() { None } else { self.default(key) };
                let shell = text(shell.as_ref().or_else(|| default("shell")), &scope, "shell")?;
                let directory = working_directory.as_ref().or_else(|| default("working-directory"));
                let cwd = text(directory, &scope, "working-directory")?;
                ReadyKind::Script {
                    text: text(Some(script), &scope, "run")?.unwrap_or_default(),
                    shell: shell.map(|shell| Shell::named(&shell)).transpose().map_err(|error| error.to_string())?,
                    cwd: self.directory(cwd.as_deref()),
                }
            }
            StepKind::Uses { uses, with } => {
                let inputs = evaluate_strings(with.as_ref(), &scope).map_err(|error| format!("`with`: {error}"))?;
                let uses = self.tools.actions.resolved(&uses.value, job);
                if let Some(place) = self.place_of(&uses) {
                    let env = self.environment(job, &context_env, step.id.as_str());
                    let user = ActionUser { id: step.id.as_str().to_owned(), env, shown: context_env };
                    let given = Given { inputs, renewed: renewed::of_step(with.as_ref(), job.action.is_some()) };
                    let local = LocalAction::new(place, given, job, &own_env, status, timeout, user);
                    let kind = ReadyKind::Local(Box::new(local));
                    return Ok(Ready { env: IndexMap::new(), shown_env: IndexMap::new(), timeout, commands, kind });
                }
                ReadyKind::BuiltIn { action: self.action(&uses)?, inputs }
            }
            StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) | StepKind::Parallel(_) => {
                return Err("this step has nothing to run".into());
            }
        };
        let env = self.environment(job, &context_env, step.id.as_str());
        Ok(Ready { env, shown_env: context_env, timeout, commands, kind })
    }

    /// Asks for the action that a step of another action uses, see [`super::fetched::JobActions::meet`].
    pub(super) async fn meet(&self, step: &Step, job: &JobFacing, log: &mut StepLog) {
        if let StepKind::Uses { uses, .. } = &step.kind {
            let used = self.tools.actions.resolved(&uses.value, job);
            self.tools.actions.meet(&self.tools.built_in, &used, log).await;
        }
    }

    /// `github` with the paths of the step's files.
    fn github(&self, github: Value) -> Value {
        let mut github = github.as_object().cloned().unwrap_or_default();
        for (_, name, path) in self.tools.files.of(self.number()).variables() {
            github.insert(name, Value::String(Arc::from(path)));
        }
        Value::Object(Arc::new(github))
    }

    fn default(&self, key: &str) -> Option<&Token> {
        self.tools.defaults.iter().find_map(|defaults| defaults.get("run").and_then(|run| run.get(key)))
    }

    fn directory(&self, given: Option<&str>) -> String {
        let workspace = &self.tools.workspace.inside;
        match given {
            None | Some("" | ".") => workspace.clone(),
            Some(path) if path.starts_with('/') => path.to_owned(),
            Some(path) => format!("{workspace}/{}", path.trim_start_matches("./")),
        }
    }

    /// Where an action is that is no part of this program.
    fn place_of(&self, uses: &Uses) -> Option<ActionPlace> {
        match uses {
            Uses::Local { path } if path.starts_with('.') => Some(ActionPlace::Workspace(path.clone())),
            Uses::Repository { repository, path, reference } => {
                let form = self.tools.actions.form(&self.tools.built_in, repository, path, reference)?;
                match form {
                    Form::BuiltIn => None,
                    Form::Repository => Some(ActionPlace::Repository {
                        repository: repository.clone(),
                        path: path.clone(),
                        reference: reference.clone(),
                    }),
                }
            }
            Uses::Docker { image } => Some(ActionPlace::Image(image.clone())),
            Uses::Local { .. } | Uses::BuiltIn { .. } => None,
        }
    }

    fn action(&self, uses: &Uses) -> Result<Arc<dyn BuiltInAction>, String> {
        let known = &self.tools.built_in;
        let name = match uses {
            Uses::BuiltIn { name, .. } => format!("pipe/{name}"),
            Uses::Repository { repository, path, .. } if path.is_empty() => repository.clone(),
            Uses::Repository { repository, path, .. } => format!("{repository}/{path}"),
            Uses::Local { path } => path.clone(),
            Uses::Docker { image } => format!("docker://{image}"),
        };
        known.get(&name).cloned().ok_or_else(|| {
            let near = workflow::diagnostic::suggest(&name, known.names());
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let list = known.names().collect::<Vec<_>>().join(", ");
            format!(
                "`uses: {}` cannot run yet: this version runs built-in actions ({list}) and composite actions of the \
                 repository (`./path`) only{hint}",
                uses.text()
            )
        })
    }

    pub(super) fn environment(
        &self,
        job: &JobFacing,
        context_env: &IndexMap<String, String>,
        id: &str,
    ) -> IndexMap<String, String> {
        let tools = &*self.tools;
        let mut env = context_env.clone();
        for (name, value) in &tools.base_env {
            // A workflow may set CI or HOME; what starts with GITHUB_ and RUNNER_ is ours.
            if name.starts_with("GITHUB_") || name.starts_with("RUNNER_") || !env.contains_key(name) {
                env.insert(name.clone(), value.clone());
            }
        }
        env.extend(tools.served.iter().flat_map(|served| served.steps.clone()));
        env.insert("GITHUB_ACTION".into(), id.to_owned());
        // What a step traces joins the trace of the run, unless the workflow says otherwise.
        // See <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>.
        if let Some(trace) = tools.trace.as_ref().filter(|_| !env.contains_key("TRACEPARENT")) {
            env.insert("TRACEPARENT".into(), trace.traceparent(Some(&self.order.key), Some(self.index)));
        }
        if let Some(path) = job.github.get("action_path").filter(|_| job.action.is_some()) {
            env.insert("GITHUB_ACTION_PATH".into(), path.to_display_string().to_string());
        }
        let own = context_env.get("PATH").map_or(tools.own_path.as_str(), String::as_str);
        let sudo = tools.handle.facts().sudo_directory.as_deref();
        env.insert("PATH".into(), environment::path(&job.path, own, sudo));
        env
    }
}

/// What a step is called.
pub(super) fn name_of(step: &Step, scope: &StepScope<'_>) -> String {
    let written = step.name.as_ref().and_then(|name| evaluate(name, scope).ok());
    written.map_or_else(|| default_name(step, scope), |name| name.to_display_string().to_string())
}

/// What a step without a name is called: `Run` and the first line of what it does.
fn default_name(step: &Step, scope: &StepScope<'_>) -> String {
    match &step.kind {
        StepKind::Run { script, .. } => {
            let text = evaluate(script, scope).map(|text| text.to_display_string()).unwrap_or_default();
            format!("Run {}", text.trim_start().lines().next().unwrap_or_default())
        }
        StepKind::Uses { uses, .. } => format!("Run {}", uses.value.text()),
        StepKind::Wait(_) => "Wait".into(),
        StepKind::WaitAll => "Wait for all".into(),
        StepKind::Cancel(_) => "Cancel".into(),
        StepKind::Parallel(_) => "Parallel".into(),
    }
}

fn text(token: Option<&Token>, scope: &StepScope<'_>, what: &str) -> Result<Option<String>, String> {
    let Some(token) = token else { return Ok(None) };
    let value = evaluate(token, scope).map_err(|error| format!("`{what}`: {}", error.message))?;
    Ok(Some(value.to_display_string().to_string()).filter(|text| !text.is_empty()))
}

fn timeout(token: Option<&Token>, scope: &StepScope<'_>) -> Result<Option<Duration>, String> {
    let Some(token) = token else { return Ok(None) };
    let value: Value = evaluate(token, scope).map_err(|error| format!("`timeout-minutes`: {}", error.message))?;
    within(value.to_number())
        .ok_or_else(|| format!("`timeout-minutes` must be a number above 0, not `{}`", value.to_display_string()))
}

/// How long a number of minutes is, if it is one; 0 is no limit.
fn within(minutes: f64) -> Option<Option<Duration>> {
    if minutes == 0.0 {
        return Some(None);
    }
    let limit = minutes.is_finite().then_some(minutes * 60.0)?.min(TIMEOUT_MAX.as_secs_f64());
    Duration::try_from_secs_f64(limit).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y09: a limit is added to the time of day, where a larger one would be no time.
    #[test]
    fn y09_any_number_of_minutes_has_an_end() {
        let seconds = |minutes| within(minutes).map(|limit| limit.map(|limit| limit.as_secs()));
        for (minutes, expected) in [
            (1.5, Some(Some(90))),
            (0.0, Some(None)),
            (-0.0, Some(None)),
            (1e-300, Some(Some(0))),
            (2e17, Some(Some(TIMEOUT_MAX.as_secs()))),
            (1e308, Some(Some(TIMEOUT_MAX.as_secs()))),
            (-1.0, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
            (f64::NAN, None),
        ] {
            assert_eq!(seconds(minutes), expected, "{minutes}");
        }
    }
}
