//! Scripts of a rollout, run in the job as `run:` does, and visits of green.
//!
//! Each has a name in the job by which another process finds it again: one that a killed process had begun is taken up where
//! it is, never run twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use engine::placement::{ExecEvent, ExecId, ExecOutcome, ExecRequest, JobHandle, Ladder};
use engine::step::script::Shell;
use indexmap::IndexMap;
use rollout::plan::{Deed, Hook, Plan};
use rollout::{Call, Stage};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::told::Told;
use crate::action::probe::{Asked, visit_for_hook};
use crate::rollout::{CallError, CallOrder, Hooks};

/// Where something that is deployed is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::action) struct Addresses {
    /// By users.
    pub(in crate::action) users: Option<String>,
    /// Green, by tests alone.
    pub(in crate::action) tests: Option<String>,
    /// What leads from the users' address to green, in the header `X-Pipe-Color`, where tests have none of their own.
    pub(in crate::action) colour: Option<&'static str>,
}

/// Whoever knows where a target is reached.
#[async_trait]
pub(in crate::action) trait Reach: Send + Sync {
    /// From this process, or from a container of a job.
    async fn addresses(&self, plan: &Plan, from_container: bool) -> Result<Addresses, CallError>;
}

/// Bytes of a script's output that are told if it fails.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// Scripts of a stage that have names of their own in the job; more are refused.
const SCRIPTS_MAX: usize = 16;

/// Runs scripts in a job.
pub(in crate::action) struct JobHooks {
    pub(super) job: Arc<dyn JobHandle>,
    /// Where green is.
    pub(super) reach: Arc<dyn Reach>,
    /// The step's variables.
    pub(super) env: IndexMap<String, String>,
    pub(super) has_bash: bool,
    /// The workspace as the job sees it.
    pub(super) cwd: String,
    /// Which step of the job it is.
    pub(super) step: u64,
    /// Where output goes.
    pub(super) told: mpsc::UnboundedSender<Told>,
}

impl std::fmt::Debug for JobHooks {
    /// Variables may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHooks").field("step", &self.step).finish_non_exhaustive()
    }
}

/// Ends a script whose run was dropped.
struct Running<'a> {
    job: &'a Arc<dyn JobHandle>,
    exec: Option<ExecId>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let (Some(exec), Ok(runtime)) = (self.exec, tokio::runtime::Handle::try_current()) {
            let job = Arc::clone(self.job);
            runtime.spawn(async move {
                if let Err(error) = job.cancel(exec, Ladder::default()).await {
                    tracing::debug!(%error, "a script could not be told to stop");
                }
            });
        }
    }
}

impl JobHooks {
    async fn one(&self, order: &CallOrder, stage: Stage, number: usize, script: &str) -> Result<(), CallError> {
        let failed = |error: engine::placement::PlacementError| CallError::transient(error.to_string());
        let shell = Shell::unnamed(self.has_bash);
        let temporary = self.env.get("RUNNER_TEMP").map_or("/tmp", String::as_str);
        let name = format!("pipe-{}-{}-{}-{number}.sh", stage.word(), order.subject.rollout, self.step);
        let path = format!("{temporary}/{name}");
        self.job.write_file(&path, Bytes::from(shell.script(script)), 0o755).await.map_err(failed)?;
        let mut request = ExecRequest::new(shell.argv(&path), self.cwd.as_str());
        let mut env = self.env.clone();
        env.extend(self.variables(order, stage).await?);
        request.env = env.into_iter().collect();
        let place = Stage::ALL.iter().position(|one| *one == stage).unwrap_or_default();
        let own = u64::try_from(1 + place * SCRIPTS_MAX + number).unwrap_or(1);
        request.id = Some(ExecId(own * ExecId::OF_ACTION + self.step));
        let mut exec = self.job.take_up(request, 0).await.map_err(failed)?;
        let mut running = Running { job: &self.job, exec: Some(exec.id) };
        let mut last = Vec::new();
        while let Some(event) = exec.next().await {
            match event {
                ExecEvent::Output { offset: _, bytes } => {
                    last.extend_from_slice(&bytes);
                    last.drain(..last.len().saturating_sub(OUTPUT_BYTES_MAX));
                    let _nobody_listens = self.told.send(Told::Output(bytes));
                }
                ExecEvent::Ended(outcome) => {
                    running.exec = None;
                    return judge(stage, &outcome, &String::from_utf8_lossy(&last));
                }
            }
        }
        running.exec = None;
        Err(CallError::transient(format!("the script of {} ended without an exit code", stage.word())))
    }

    /// Visits green as tests reach it, from this process and not from the job. Visited again after a crash it does no harm.
    async fn visit(&self, order: &CallOrder, stage: Stage, keys: &BTreeMap<String, String>) -> Result<(), CallError> {
        let reached = self.reach.addresses(&order.subject.plan, false).await?;
        let nowhere = |which: &str| {
            CallError::last(format!("the probe at {} has nowhere to go: the step has no {which}", stage.word()))
        };
        let users = || reached.users.clone().ok_or_else(|| nowhere("`url`"));
        let (url, colour) = match (reached.tests.clone(), reached.colour) {
            _ if stage == Stage::AfterAllowTraffic => (users()?, None),
            (Some(url), _) => (url, None),
            (None, Some(colour)) => (users()?, Some(colour)),
            (None, None) => return Err(nowhere("`test-url`")),
        };
        let asked = Asked { keys, url, colour, job: self.job.as_ref(), cwd: &self.cwd };
        let (told, done) = visit_for_hook(&asked).await;
        let _nobody_listens = self.told.send(Told::Output(Bytes::from(told)));
        done.map_err(|reason| CallError::last(format!("the probe at {} says: {reason}", stage.word())))
    }

    async fn variables(&self, order: &CallOrder, stage: Stage) -> Result<Vec<(String, String)>, CallError> {
        let subject = &order.subject;
        let reached = self.reach.addresses(&subject.plan, self.job.facts().container_id.is_some()).await?;
        let mut all = vec![
            ("PIPE_STAGE", stage.word().to_owned()),
            ("PIPE_ENVIRONMENT", subject.plan.environment.clone()),
            ("PIPE_SERVICE", subject.plan.service.clone()),
            ("PIPE_IMAGE", subject.green.image.clone()),
            ("PIPE_COLOR", "green".to_owned()),
            ("PIPE_REVISION", subject.green.id.to_string()),
            ("PIPE_DEPLOYMENT_ID", subject.rollout.to_string()),
        ];
        all.extend(reached.users.map(|url| ("PIPE_URL", url)));
        all.extend(reached.tests.map(|url| ("PIPE_TEST_URL", url)));
        Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

fn judge(stage: Stage, outcome: &ExecOutcome, last: &str) -> Result<(), CallError> {
    let how = match outcome {
        outcome if outcome.is_success() => return Ok(()),
        ExecOutcome::Exited { code, .. } => format!("ended with exit code {code}"),
        ExecOutcome::NotStarted { reason } => format!("could not be started: {reason}"),
        ExecOutcome::Lost { reason } => format!("is lost: {reason}"),
    };
    let lines = last.trim_end();
    let shown =
        if lines.is_empty() { "it wrote nothing".to_owned() } else { format!("the end of its output:\n{lines}") };
    Err(CallError::last(format!("the script of {} {how}; {shown}", stage.word())))
}

#[async_trait]
impl Hooks for JobHooks {
    async fn run(&self, order: &CallOrder, scripts: &[Hook]) -> Result<Value, CallError> {
        let Call::Hook { stage } = order.call else { return Ok(Value::Null) };
        if scripts.len() > SCRIPTS_MAX {
            return Err(CallError::last(format!(
                "{} has {} scripts; at most {SCRIPTS_MAX}",
                stage.word(),
                scripts.len()
            )));
        }
        for (number, hook) in scripts.iter().enumerate() {
            match &hook.deed {
                Deed::Script(script) => {
                    let _nobody_listens = self.told.send(Told::Begins(stage));
                    self.one(order, stage, number, script).await?;
                }
                Deed::Probe(keys) => {
                    let _nobody_listens = self.told.send(Told::Visits(stage));
                    self.visit(order, stage, keys).await?;
                }
            }
        }
        Ok(json!({ "scripts": scripts.len() }))
    }

    async fn look_up(&self, _order: &CallOrder) -> Result<Option<Value>, CallError> {
        // Run again, each script that was begun is taken up, and one that has ended says how.
        Ok(None)
    }
}
