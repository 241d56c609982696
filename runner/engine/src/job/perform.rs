//! One step, from evaluated keys to what it left behind.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;
use workflow::command::CommandSettings;
use workflow::run::{Conclusion, StepIndex};
use workflow::secret::Secret;
use workflow::template::Token;

use super::composite::LocalAction;
use super::containers::JobContainers;
use super::context::HashFiles;
use super::fetched::JobActions;
use super::files::{JobFiles, StepFiles, StepNumber};
use super::javascript::{JobNodes, ReadyPost};
use super::journal::{Entry, Journal};
use super::log::StepLog;
use super::log_file::LogPlace;
use super::matchers::JobMatchers;
use super::pre::PreParts;
use super::prepare::{Ready, ReadyKind};
use super::recording::{Again, Performed, Recording};
use super::{JobOrder, SharedMasker};
use crate::notice::Notices;
use crate::placement::{Exec, ExecEvent, ExecId, ExecOutcome, ExecRequest, JobHandle, Ladder, PlacementError};
use crate::serving::Served;
use crate::step::script::Shell;
use crate::step::{
    BuiltInAction, BuiltInActions, RepositoryFacts, RunFactsForAction, StepEnd, WorkspaceFacts, minutes,
};
use crate::telemetry::TraceIds;

/// How much output of a step the agent holds for a process that takes it up, where its log can go on from there.
const HELD_BYTES: u64 = 64 * 1024 * 1024;

/// The same where a line or a secret is not at its end: from there a log may lack a few bytes. Below what an agent holds at
/// all.
const HELD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where the number of an action's step stands in the name of its command; below it stands that of the job's step.
const INNER_SHIFT: u32 = 16;

/// Added to the name of a command whose program was not found, for the one that is tried in its place.
pub(super) const OTHER_PROGRAM: u64 = 1 << 31;

/// How many steps the actions of one step may run, and how many steps a job may have at which they do.
pub(super) const INNER_MAX: u32 = (1 << 15) - 1;

/// How long a step may be silent before what is held back for the sake of commands and masks is shown.
const IDLE: Duration = Duration::from_millis(100);

/// What all steps of a job use.
pub(super) struct StepTools {
    pub(super) handle: Arc<dyn JobHandle>,
    pub(super) files: JobFiles,
    pub(super) masker: Arc<SharedMasker>,
    pub(super) matchers: Arc<JobMatchers>,
    pub(super) notices: Notices,
    pub(super) hash_files: Box<HashFiles>,
    pub(super) log_place: LogPlace,
    pub(super) built_in: BuiltInActions,
    pub(super) workspace: WorkspaceFacts,
    pub(super) repository: RepositoryFacts,
    pub(super) run: RunFactsForAction,
    /// Values of the job's secrets, for actions that must refuse them.
    pub(super) secrets: Vec<Secret>,
    /// Variables of every step, without those of the workflow.
    pub(super) base_env: IndexMap<String, String>,
    /// The run's trace, where one is exported.
    pub(super) trace: Option<TraceIds>,
    /// `defaults.run` of job and workflow, the job's first.
    pub(super) defaults: Vec<Token>,
    /// The services of its steps.
    pub(super) served: Option<Arc<Served>>,
    /// PATH of the image or of this machine.
    pub(super) own_path: String,
    /// Whether there is a bash.
    pub(super) has_bash: bool,
    /// `ACTIONS_STEP_DEBUG`.
    pub(super) debug: bool,
    /// What another process would need.
    pub(super) journal: Journal,
    /// How often the place was gone on in.
    pub(super) round: u8,
    /// What actions in JavaScript are run by.
    pub(super) nodes: JobNodes,
    /// Actions of other repositories.
    pub(super) actions: JobActions,
    /// Containers of actions.
    pub(super) containers: JobContainers,
}

impl StepTools {
    pub(super) fn open_log(&self, step: StepIndex) -> StepLog {
        self.reopen_log(step, 0)
    }

    fn reopen_log(&self, step: StepIndex, bytes: u64) -> StepLog {
        let place = LogPlace { step: Some(step), ..self.log_place.clone() };
        let settings = CommandSettings { debug: self.debug, ..CommandSettings::default() };
        StepLog::reopen(place, self.notices.clone(), Arc::clone(&self.masker), settings, bytes)
            .with_matchers(Arc::clone(&self.matchers))
    }
}

/// One step to perform.
pub(super) struct StepTask {
    pub(super) index: StepIndex,
    /// Which of the steps of its actions this one is; 0 for the job's own step.
    pub(super) inner: u32,
    /// How many steps of its actions were met.
    pub(super) inners: Arc<AtomicU32>,
    pub(super) order: Arc<JobOrder>,
    pub(super) tools: Arc<StepTools>,
    pub(super) cancel: CancellationToken,
    pub(super) name: String,
    /// Another process had begun it.
    pub(super) again: Option<Arc<Again>>,
    /// What it may know of `pre` parts.
    pub(super) pre: Arc<PreParts>,
}

impl StepTask {
    /// Runs it.
    ///
    /// Nothing of it happens before `recorded` says that its beginning is: what was done without a trace would be done
    /// again after a crash, and its output would be shown before itself.
    pub(super) async fn perform(self, ready: Ready, recording: Recording) -> Performed {
        let kept = self.again.as_ref().map_or(0, |again| again.kept());
        let mut log = self.tools.reopen_log(self.index, kept);
        log.allow(ready.commands);
        let prepared = self.prepare_files(ready).await;
        if !recording.wait().await {
            let message = "The run could not go on, so this step was not begun.".to_owned();
            return Performed::without_command(StepEnd::plain(Conclusion::Cancelled, Some(message)));
        }
        let Performed { mut end, exec } = self.carry_out(prepared, &mut log).await;
        log.finish().await;
        if let Some(markdown) = end.left.summary.take() {
            log.summary(&markdown).await;
        }
        Performed { end, exec }
    }

    /// Does what was prepared, and takes what it left behind.
    pub(super) async fn carry_out(
        &self,
        prepared: Result<(StepFiles, Work), PlacementError>,
        log: &mut StepLog,
    ) -> Performed {
        let (files, work) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                log.error(&error.to_string()).await;
                return Performed::without_command(StepEnd::plain(Conclusion::Failure, Some(error.to_string())));
            }
        };
        let Performed { mut end, exec } = match work {
            Work::Script(script) => self.script(*script, log).await,
            Work::BuiltIn(built_in) => Performed::without_command(self.built_in(*built_in, log).await),
            // What ran of it has told what became of it.
            Work::Local(local) => return Box::pin(self.local(*local, &files, log)).await,
            Work::Pre(local) => return Performed::without_command(self.pre(*local, log).await),
            Work::Posts(posts) => return Performed::without_command(self.posts(posts, log).await),
        };
        self.settle(&files, log, &mut end).await;
        if let Some(message) = end.message.as_ref().filter(|_| end.outcome != Conclusion::Success) {
            log.error(message).await;
        }
        Performed { end, exec }
    }

    /// Takes what a step that has ended left behind.
    pub(super) async fn settle(&self, files: &StepFiles, log: &mut StepLog, end: &mut StepEnd) {
        self.settle_in(&self.tools.files, files, log, end).await;
    }

    /// The same where its files lie among `all` of another container.
    pub(super) async fn settle_in(&self, all: &JobFiles, files: &StepFiles, log: &mut StepLog, end: &mut StepEnd) {
        log.end_of_output().await;
        self.take_effects(log, end).await;
        self.take_files((all, files), log, end).await;
        log.tell_problems(end.outcome == Conclusion::Failure).await;
    }

    pub(super) const fn number(&self) -> StepNumber {
        StepNumber { step: self.index, inner: self.inner }
    }

    /// The name of its command, under which another process finds it.
    pub(super) fn exec_id(&self) -> u64 {
        let round = u64::from(self.tools.round) * ExecId::OF_ROUND;
        round | u64::from(self.inner) << INNER_SHIFT | (u64::from(self.index.0) + 1)
    }

    /// Writes the files of the step and its script.
    pub(super) async fn prepare_files(&self, ready: Ready) -> Result<(StepFiles, Work), PlacementError> {
        let files = match &self.again {
            None => self.tools.files.prepare(self.number()).await?,
            Some(_) => self.tools.files.prepare_again(self.number()).await?,
        };
        let Ready { kind, mut env, timeout, shown_env: shown, commands: _ } = ready;
        let work = match kind {
            ReadyKind::BuiltIn { action, inputs } => {
                env.extend(files.variables().map(|(variable, _, path)| (variable.to_owned(), path)));
                Work::BuiltIn(Box::new(BuiltIn { action, inputs, env, shown, timeout }))
            }
            ReadyKind::Local(local) => Work::Local(local),
            ReadyKind::Pre(local) => Work::Pre(local),
            ReadyKind::Posts(posts) => Work::Posts(posts),
            ReadyKind::Script { text, shell, cwd } => {
                let shell = shell.unwrap_or_else(|| Shell::unnamed(self.tools.has_bash));
                let content = Bytes::from(shell.script(&text));
                let path = self.tools.files.write(&files, "script", shell.extension, content, 0o755).await?;
                for (variable, _, path) in files.variables() {
                    env.insert(variable.to_owned(), path);
                }
                let mut request = ExecRequest::new(shell.argv(&path), cwd);
                request.id = Some(ExecId(self.exec_id()));
                request.env = env.into_iter().collect();
                request.timeout = timeout;
                Work::Script(Box::new(Script { text, shell, shown, request }))
            }
        };
        Ok((files, work))
    }

    async fn script(&self, script: Script, log: &mut StepLog) -> Performed {
        if self.stored().is_none() {
            self.header(&script.text, &script.shell, &script.shown, log).await;
        }
        log.matching.cwd = Some(script.request.cwd.clone());
        let timeout = script.request.timeout;
        let other = script.shell.other_argv(&script.request.argv).map(|argv| ExecRequest {
            id: Some(ExecId(OTHER_PROGRAM + self.exec_id())),
            argv,
            ..script.request.clone()
        });
        let (mut outcome, mut exec) = self.execute(script.request, log).await;
        if let (ExecOutcome::NotStarted { .. }, Some(other)) = (&outcome, other) {
            let (second, second_exec) = self.execute(other, log).await;
            if !matches!(second, ExecOutcome::NotStarted { .. }) {
                (outcome, exec) = (second, second_exec);
            }
        }
        Performed { end: self.end_of(&outcome, timeout), exec }
    }

    /// What the end of its process means for the step.
    pub(super) fn end_of(&self, outcome: &ExecOutcome, timeout: Option<Duration>) -> StepEnd {
        let mut end = StepEnd::of(outcome, timeout);
        if let ExecOutcome::Exited { timed_out: true, .. } = outcome {
            let minutes = minutes(timeout.unwrap_or_default());
            end.message = Some(format!("The action '{}' has timed out after {minutes} minutes.", self.name));
        }
        end
    }

    /// A place in the output of this very step that another process had stored, and the size of the log there.
    pub(super) fn stored(&self) -> Option<(u64, u64)> {
        let (inner, output, log) = self.again.as_ref()?.stored?;
        (inner == self.inner).then_some((output, log))
    }

    async fn header(&self, text: &str, shell: &Shell, env: &IndexMap<String, String>, log: &mut StepLog) {
        // Hidden before it is coloured line by line: of a secret of several lines the shortest ones count only together.
        let text = self.tools.masker.mask(text);
        let mut lines = format!("##[group]Run {}\n", text.trim_start().lines().next().unwrap_or_default());
        for line in text.lines() {
            lines.push_str(&format!("\x1b[36;1m{line}\x1b[0m\n"));
        }
        lines.push_str(&format!("shell: {}\n", shell.template));
        if !env.is_empty() {
            lines.push_str("env:\n");
            for (name, value) in env {
                lines.push_str(&format!("  {name}: {value}\n"));
            }
        }
        lines.push_str("##[endgroup]");
        log.line(&lines).await;
    }

    pub(super) async fn execute(&self, request: ExecRequest, log: &mut StepLog) -> (ExecOutcome, Option<Exec>) {
        self.execute_in(&self.tools.handle, request, log).await
    }

    /// The same in the job's container or one beside it.
    pub(super) async fn execute_in(
        &self,
        handle: &Arc<dyn JobHandle>,
        request: ExecRequest,
        log: &mut StepLog,
    ) -> (ExecOutcome, Option<Exec>) {
        let started = match &self.again {
            None => handle.exec(request).await,
            Some(_) => handle.take_up(request, self.stored().map_or(0, |(output, _)| output)).await,
        };
        let mut exec = match started {
            Ok(exec) => exec,
            Err(error) => return (ExecOutcome::Lost { reason: error.to_string() }, None),
        };
        if self.tools.journal.is_kept() {
            exec.hold();
        }
        self.tools.files.make_ahead(self.number());
        let mut asked = false;
        let mut quiet = true;
        loop {
            tokio::select! {
                event = exec.next() => match event {
                    Some(ExecEvent::Output { bytes, .. }) => {
                        quiet = false;
                        log.output(&bytes).await;
                        self.let_go(&mut exec, log);
                    }
                    Some(ExecEvent::Ended(outcome)) => return (outcome, Some(exec)),
                    None => {
                        let reason = "its output ended without an exit code".into();
                        return (ExecOutcome::Lost { reason }, None);
                    }
                },
                () = self.cancel.cancelled(), if !asked => {
                    asked = true;
                    cancel_exec(&**handle, exec.id).await;
                }
                () = tokio::time::sleep(IDLE), if !quiet => {
                    quiet = true;
                    log.idle().await;
                }
            }
        }
    }

    /// Lets the agent forget output that another process would not need. A process that takes the step up makes its log
    /// anew from the first byte that is held, so that it is the same to the byte.
    fn let_go(&self, exec: &mut Exec, log: &mut StepLog) {
        let held = exec.unacknowledged();
        if !self.tools.journal.is_kept() || held < HELD_BYTES || !(log.is_settled() || held >= HELD_BYTES_MAX) {
            return;
        }
        let (StepNumber { step, inner }, output, log) = (self.number(), exec.taken(), log.stored_bytes());
        self.tools.journal.write(|| Entry::Stored { step, inner, output, log });
        exec.acknowledge_output();
    }
}

/// A step whose files are written.
pub(super) enum Work {
    Script(Box<Script>),
    BuiltIn(Box<BuiltIn>),
    Local(Box<LocalAction>),
    Pre(Box<LocalAction>),
    Posts(Vec<ReadyPost>),
}

/// A built-in action with all that it is called with.
pub(super) struct BuiltIn {
    pub(super) action: Arc<dyn BuiltInAction>,
    pub(super) inputs: IndexMap<String, String>,
    pub(super) env: IndexMap<String, String>,
    /// What the log shows of its variables.
    pub(super) shown: IndexMap<String, String>,
    pub(super) timeout: Option<Duration>,
}

/// A script with all that its process needs.
pub(super) struct Script {
    text: String,
    shell: Shell,
    shown: IndexMap<String, String>,
    request: ExecRequest,
}

async fn cancel_exec(handle: &dyn JobHandle, exec: ExecId) {
    if let Err(error) = handle.cancel(exec, Ladder::default()).await {
        // The agent is gone; that the step is lost arrives as its outcome.
        tracing::debug!(%error, "the step could not be told to stop");
    }
}
