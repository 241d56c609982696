//! The steps of a composite action, one after the other, each as its condition says.
//!
//! Their status is the action's own: `success()` asks whether a step of this action has failed, whatever became of the
//! job. A step that ended in another process is not run again: what it left is brought back from the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use workflow::expression::{Status, Value};
use workflow::model::Step;
use workflow::run::{Conclusion, StepResult};
use workflow::template::{Token, evaluate};

use super::context::status_word;
use super::facing::JobFacing;
use super::journal::{Entry, InnerEnd};
use super::log::StepLog;
use super::perform::StepTask;
use crate::step::{StepEnd, StepOutputs};

/// The steps of an action while they run.
pub(super) struct InnerSteps<'a> {
    task: &'a StepTask,
    job: JobFacing,
    result: Conclusion,
    message: Option<String>,
    exit_code: Option<i32>,
    left: StepOutputs,
    runner_lost: bool,
    deadline: Option<Instant>,
}

impl<'a> InnerSteps<'a> {
    pub(super) fn new(task: &'a StepTask, job: JobFacing, deadline: Option<Instant>) -> Self {
        Self {
            task,
            job,
            result: Conclusion::Success,
            message: None,
            exit_code: None,
            left: StepOutputs::default(),
            runner_lost: false,
            deadline,
        }
    }

    /// Runs them all.
    pub(super) async fn run(&mut self, steps: &[Step], log: &mut StepLog) {
        for step in steps {
            if self.runner_lost || self.is_late() {
                return;
            }
            let so_far = status_word(self.status(self.task.cancel.is_cancelled()));
            self.job.github.insert("action_status", Value::String(Arc::from(so_far)));
            let task = match self.task.next_inner(step, &self.job) {
                Ok(task) => task,
                Err(message) => return self.refuse(message, log).await,
            };
            let known = task.again.as_ref().and_then(|again| again.inner.get(&task.inner).cloned());
            let InnerEnd { end, conclusion, .. } = match known {
                Some(known) => {
                    // Numbers of its own actions' steps are taken as well.
                    task.inners.store(known.met, Ordering::Relaxed);
                    known
                }
                None => match self.step(&task, step, log).await {
                    Ok(ended) => ended,
                    Err(message) => return self.refuse(format!("`if`: {message}"), log).await,
                },
            };
            self.take(step, end, conclusion);
        }
    }

    /// A step whose condition cannot be evaluated ends the action.
    async fn refuse(&mut self, message: String, log: &mut StepLog) {
        log.error(&message).await;
        self.fail(message);
    }

    async fn step(&mut self, task: &StepTask, step: &Step, log: &mut StepLog) -> Result<InnerEnd, String> {
        let cancelled = self.task.cancel.is_cancelled();
        if !self.holds(step, self.status(cancelled))? {
            log.end_of_part().await;
            return Ok(self.ended(task, StepEnd::plain(Conclusion::Skipped, None), step, log));
        }
        task.meet(step, &self.job, log).await;
        let (end, exec) = match task.prepare(step, &self.job, self.status(cancelled)) {
            Ok(ready) => {
                log.allow(ready.commands);
                let prepared = task.prepare_files(ready).await;
                let survives = cancelled || self.holds(step, Status::Cancelled).unwrap_or(false);
                let (outer, deadline) = (self.task.cancel.clone(), self.deadline);
                let mut asked = cancelled;
                let mut running = Box::pin(task.carry_out(prepared, log));
                let performed = loop {
                    tokio::select! {
                        performed = &mut running => break performed,
                        () = outer.cancelled(), if !asked => {
                            asked = true;
                            if !survives {
                                task.cancel.cancel();
                            }
                        }
                        () = until(deadline), if !task.cancel.is_cancelled() => task.cancel.cancel(),
                    }
                };
                drop(running);
                (performed.end, performed.exec)
            }
            Err(message) => {
                log.error(&message).await;
                (StepEnd::plain(Conclusion::Failure, Some(message)), None)
            }
        };
        log.end_of_part().await;
        let ended = self.ended(task, end, step, log);
        // From now on the journal knows it.
        if let Some(exec) = exec {
            exec.acknowledge_end();
        }
        Ok(ended)
    }

    /// Remembers the end of a step.
    fn ended(&self, task: &StepTask, end: StepEnd, step: &Step, log: &mut StepLog) -> InnerEnd {
        let conclusion = match (end.outcome, &step.continue_on_error) {
            (Conclusion::Failure, Some(token))
                if self.evaluate_for(step, token).is_ok_and(|value| value.is_truthy()) =>
            {
                Conclusion::Success
            }
            (outcome, _) => outcome,
        };
        let (number, log) = (task.number(), log.stored_bytes());
        let met = task.inners.load(Ordering::Relaxed);
        if !end.runner_lost {
            task.tools.journal.write(|| Entry::Inner {
                step: number.step,
                inner: number.inner,
                end: Box::new(end.clone()),
                conclusion,
                log,
                met,
            });
        }
        InnerEnd { end, conclusion, log, met }
    }

    /// What a step left counts for those behind it, and for the job when the action has ended.
    fn take(&mut self, step: &Step, end: StepEnd, conclusion: Conclusion) {
        let StepEnd { outcome, exit_code, message, left, usage: _, runner_lost } = end;
        self.runner_lost |= runner_lost;
        let result = StepResult { outcome, conclusion, outputs: BTreeMap::new(), exit_code, message: None };
        if step.id_written {
            self.job.steps.add(step.id.as_str(), &left.outputs, &result);
        }
        if matches!(conclusion, Conclusion::Failure | Conclusion::Cancelled) {
            self.result = self.result.merge(conclusion);
            self.message = message.or(self.message.take());
            self.exit_code = exit_code;
        }
        if let Some(action) = &mut self.job.action {
            action.shared_env.extend(left.env.iter().cloned());
        }
        for path in &left.path {
            self.job.path.retain(|other| other != path);
            self.job.path.push(path.clone());
        }
        self.job.renew_env();
        if let Some(summary) = left.summary {
            let all = self.left.summary.get_or_insert_default();
            if !all.is_empty() && !all.ends_with('\n') {
                all.push('\n');
            }
            all.push_str(&summary);
        }
        self.left.env.extend(left.env);
        self.left.path.extend(left.path);
        self.left.posts.extend(left.posts);
    }

    fn status(&self, cancelled: bool) -> Status {
        match self.result {
            _ if cancelled => Status::Cancelled,
            Conclusion::Failure => Status::Failure,
            Conclusion::Cancelled => Status::Cancelled,
            Conclusion::Success | Conclusion::Skipped => Status::Success,
        }
    }

    fn holds(&self, step: &Step, status: Status) -> Result<bool, String> {
        let (order, hash_files) = (&self.task.order, &*self.task.tools.hash_files);
        let env = self.job.env_of(order, step, status, hash_files);
        let scope = self.job.scope(order, &env, status, Some(step), Some(hash_files));
        step.condition.evaluate(&scope).map(|value| value.is_truthy()).map_err(|error| error.message)
    }

    fn evaluate_for(&self, step: &Step, token: &Token) -> Result<Value, String> {
        let (order, hash_files) = (&self.task.order, &*self.task.tools.hash_files);
        let status = self.status(false);
        let env = self.job.env_of(order, step, status, hash_files);
        let scope = self.job.scope(order, &env, status, Some(step), Some(hash_files));
        evaluate(token, &scope).map_err(|error| error.message)
    }

    /// Evaluates what stands in the action beside its steps.
    pub(super) fn evaluate(&self, token: &Token) -> Result<String, String> {
        let (order, hash_files) = (&self.task.order, &*self.task.tools.hash_files);
        let scope = self.job.scope(order, &self.job.env, self.status(false), None, Some(hash_files));
        let value = evaluate(token, &scope).map_err(|error| error.message)?;
        Ok(value.to_display_string().to_string())
    }

    /// An output of the action.
    pub(super) fn output(&mut self, name: &str, value: &str) {
        self.left.outputs.insert(name.to_owned(), value.to_owned());
    }

    /// The action has failed for a reason that is none of its steps'.
    pub(super) fn fail(&mut self, message: String) {
        self.result = Conclusion::Failure;
        self.message = Some(message);
    }

    /// Whether its time is over.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The end of the step that uses the action.
    pub(super) fn end(self) -> StepEnd {
        StepEnd {
            outcome: self.result,
            exit_code: self.exit_code,
            message: self.message.filter(|_| self.result != Conclusion::Success),
            left: self.left,
            usage: None,
            runner_lost: self.runner_lost,
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
