//! `pre:` parts of actions: steps of their own before the first step of the file, in its order, as GitHub runs them.
//!
//! Which there are is known once the actions are fetched, and stands in the job's record from then on, since the numbers
//! of all steps go by it. An action of steps has one where an action that it uses has one; those of the repository itself
//! (`./path`) have none, since they are not there when a job begins. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runspre> and, where that is silent,
//! GitHub's runner: what `pre:` saves is there for `main:` and `post:`, and an action whose `pre:` ran has its `post:`,
//! also where its step was skipped.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use workflow::action::{Action, ActionRuns, COMPOSITE_DEPTH_MAX, part_condition};
use workflow::expression::{Status, Value};
use workflow::model::{Step, StepKind, Uses};
use workflow::run::steps::{FlatStep, flatten, with_pre};
use workflow::run::{Conclusion, StepIndex};
use workflow::template::evaluate;

use super::composite::{LocalAction, Opened};
use super::context::strings;
use super::facing::JobFacing;
use super::fetched::{FetchedActions, is_built_in};
use super::log::StepLog;
use super::own_actions::OwnActions;
use super::perform::StepTask;
use super::prepare::{Ready, ReadyKind};
use super::steps::Stepper;
use crate::actions::uses::{of_self, runs_in_folder};
use crate::step::{BuiltInActions, PostAction, StepEnd, StepOutputs};

/// The condition of what is made of parts that have their own, and of a part that has none.
const ALWAYS: &str = "always()";

/// The `pre` part of a step of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreStep {
    /// Whose: its index among the steps of the file.
    pub(super) of: StepIndex,
    /// `pre-if:`.
    pub(super) condition: String,
    /// Whose parts run: the action's own (empty), or those of steps of its actions, as ids from the outside in (`a/b`).
    pub(super) paths: Vec<String>,
}

/// What is known of `pre` parts by a step that has one.
#[derive(Debug, Default)]
pub(super) struct PreParts {
    /// What they saved, by their paths.
    pub(super) saved: BTreeMap<String, BTreeMap<String, String>>,
    /// Which of them run in this step.
    pub(super) paths: Vec<String>,
}

/// The steps of a job in running order.
pub(super) fn in_order(steps: &[Step], pres: &[PreStep]) -> Vec<FlatStep> {
    let of: Vec<_> = pres.iter().map(|pre| pre.of).collect();
    with_pre(flatten(steps), &of)
}

/// The path of what a step uses.
pub(super) fn path_below(outer: &str, id: &str) -> String {
    if outer.is_empty() { id.to_owned() } else { format!("{outer}/{id}") }
}

impl FetchedActions {
    /// The `pre` parts of what these steps use.
    pub(super) fn pres(&self, own: &OwnActions, known: &BuiltInActions, steps: &[Step]) -> Vec<PreStep> {
        let find = Find { fetched: self, own, known };
        let flat = flatten(steps);
        let found = flat.iter().zip(0..).filter_map(|(flat, of)| {
            let StepKind::Uses { uses, .. } = &flat.find(steps)?.kind else { return None };
            let used = of_self(uses.value.clone(), Some(&own.whose));
            let (mut paths, mut condition) = (Vec::new(), ALWAYS.to_owned());
            find.below(&used, "", 0, (&mut paths, &mut condition));
            (!paths.is_empty()).then_some(PreStep { of: StepIndex(of), condition, paths })
        });
        found.collect()
    }
}

/// Looks for `pre` parts.
struct Find<'a> {
    fetched: &'a FetchedActions,
    own: &'a OwnActions,
    known: &'a BuiltInActions,
}

impl Find<'_> {
    fn below(&self, used: &Uses, path: &str, depth: usize, found: (&mut Vec<String>, &mut String)) {
        let Uses::Repository { repository, path: folder, reference } = used else { return };
        if depth > COMPOSITE_DEPTH_MAX || is_built_in(self.known, &self.own.actions, repository, folder) {
            return;
        }
        let Some(root) = self.fetched.folder(repository, reference) else { return };
        let (paths, condition) = found;
        let pre = match runs_in_folder(root, folder) {
            Some(ActionRuns::Script(runs)) => runs.pre,
            Some(ActionRuns::Container(runs)) => runs.pre,
            Some(ActionRuns::Composite(steps)) => {
                let name = (repository.clone(), reference.clone());
                for step in &steps {
                    let StepKind::Uses { uses, .. } = &step.kind else { continue };
                    let used = of_self(uses.value.clone(), Some(&name));
                    // Each of them has its own condition, judged when its turn comes.
                    let mut own_condition = String::new();
                    self.below(&used, &path_below(path, step.id.as_str()), depth + 1, (paths, &mut own_condition));
                }
                None
            }
            None => None,
        };
        if let Some((_, own)) = pre {
            paths.push(path.to_owned());
            own.text().clone_into(condition);
        }
    }
}

impl Stepper {
    /// The step of the file that a step is a part of; itself where it is none.
    pub(super) fn owner(&self, index: StepIndex) -> StepIndex {
        match self.pre_of(index) {
            Some(pre) => StepIndex(pre.of.0 + u32::try_from(self.pres.len()).unwrap_or(u32::MAX)),
            None => index,
        }
    }

    fn pre_of(&self, index: StepIndex) -> Option<&PreStep> {
        self.pres.get(index.0 as usize)
    }

    /// What a step may know of `pre` parts.
    pub(super) fn pre_parts(&self, index: StepIndex) -> Arc<PreParts> {
        let paths = self.pre_of(index).map(|pre| pre.paths.clone()).unwrap_or_default();
        Arc::new(PreParts { saved: self.saved.get(&index).cloned().unwrap_or_default(), paths })
    }

    /// What `pre` parts saved is there for the step that they are of.
    pub(super) fn keep_saved(&mut self, index: StepIndex, left: &mut StepOutputs) {
        if !left.saved.is_empty() {
            let owner = self.owner(index);
            self.saved.entry(owner).or_default().append(&mut left.saved);
        }
    }
}

/// Whether the `pre` part of a step runs.
///
/// # Errors
/// Its condition cannot be evaluated.
pub(super) fn is_wanted(pre: &PreStep, scope: &super::context::StepScope<'_>) -> Result<bool, String> {
    let condition = part_condition(&pre.condition).map_err(|error| format!("`pre-if`: {error}"))?;
    let value = condition.evaluate(scope).map_err(|error| format!("`pre-if`: {}", error.message))?;
    Ok(value.is_truthy())
}

impl StepTask {
    /// The keys of a step, for the `pre` part of what it uses.
    pub(super) fn prepare_pre(&self, step: &Step, job: &JobFacing, status: Status) -> Result<Ready, String> {
        let ready = self.prepare(step, job, status)?;
        match ready.kind {
            ReadyKind::Local(local) => Ok(Ready { kind: ReadyKind::Pre(local), ..ready }),
            ReadyKind::Script { .. } | ReadyKind::BuiltIn { .. } | ReadyKind::Pre(_) | ReadyKind::Posts(_) => {
                Err("what this step uses has no `pre:` any more".to_owned())
            }
        }
    }

    /// The `pre` parts of what a step uses. What is wrong is told in the log already.
    pub(super) fn pre<'a>(
        &'a self,
        local: LocalAction,
        log: &'a mut StepLog,
    ) -> Pin<Box<dyn Future<Output = StepEnd> + Send + 'a>> {
        Box::pin(async move {
            let Opened { action, call, job } = match self.open(local, false, log).await {
                Ok(opened) => opened,
                Err(message) => {
                    log.error(&message).await;
                    return StepEnd::plain(Conclusion::Failure, Some(message));
                }
            };
            let Action { runs, .. } = &action;
            match self.is_inner_pre_wanted(runs, &job) {
                Ok(true) => {}
                Ok(false) => return StepEnd::plain(Conclusion::Skipped, None),
                Err(message) => {
                    log.error(&message).await;
                    return StepEnd::plain(Conclusion::Failure, Some(message));
                }
            }
            if !self.is_begun() {
                let shown = if let ActionRuns::Composite(_) = runs { &job.env } else { &call.user.shown };
                self.action_header(&call.place.text(), &call.inputs, shown, log).await;
            }
            match runs {
                ActionRuns::Script(runs) => self.pre_script(runs, call, log).await,
                ActionRuns::Container(runs) => self.pre_container(runs, call, job, log).await,
                ActionRuns::Composite(steps) => {
                    let mut job = job;
                    job.github.insert("action_path", Value::String(Arc::from(call.folder.as_str())));
                    if let Some(facing) = &mut job.action {
                        let inputs = call.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                        facing.inputs = strings(inputs);
                    }
                    self.pre_of_steps(steps, (job, &call.path), log).await
                }
            }
        })
    }

    /// Those of an action's steps, each as its condition says.
    async fn pre_of_steps(&self, steps: &[Step], (mut job, path): (JobFacing, &str), log: &mut StepLog) -> StepEnd {
        let mut end = StepEnd::plain(Conclusion::Success, None);
        for step in steps {
            let below = path_below(path, step.id.as_str());
            let is_of = |planned: &String| *planned == below || planned.starts_with(&format!("{below}/"));
            if end.runner_lost || !self.pre.paths.iter().any(is_of) {
                continue;
            }
            let one = match self.pre_of_step(step, &job, end.outcome, log).await {
                Ok(one) => one,
                Err(message) => {
                    log.error(&message).await;
                    StepEnd::plain(Conclusion::Failure, Some(message))
                }
            };
            let StepEnd { outcome, message, left, runner_lost, .. } = one;
            end.runner_lost |= runner_lost;
            if outcome != Conclusion::Failure || !self.may_fail(step, &job) {
                end.outcome = end.outcome.merge(outcome);
                end.message = message.or(end.message.take());
            }
            if let Some(action) = &mut job.action {
                action.shared_env.extend(left.env.iter().cloned());
            }
            job.path.extend(left.path.iter().cloned());
            job.renew_env();
            end.left.env.extend(left.env);
            end.left.path.extend(left.path);
            end.left.saved.extend(left.saved);
            end.left.posts.extend(left.posts);
        }
        end
    }

    /// `continue-on-error:` of a step is also that of its `pre` part.
    fn may_fail(&self, step: &Step, job: &JobFacing) -> bool {
        let Some(token) = &step.continue_on_error else { return false };
        let (order, hash_files) = (&self.order, &*self.tools.hash_files);
        let env = job.env_of(order, step, Status::Failure, hash_files);
        let scope = job.scope(order, &env, Status::Failure, Some(step), Some(hash_files));
        evaluate(token, &scope).is_ok_and(|value| value.is_truthy())
    }

    async fn pre_of_step(
        &self,
        step: &Step,
        job: &JobFacing,
        so_far: Conclusion,
        log: &mut StepLog,
    ) -> Result<StepEnd, String> {
        let task = Self { cancel: self.cancel.child_token(), ..self.next_inner(step, job)? };
        let status = match so_far {
            _ if self.cancel.is_cancelled() => Status::Cancelled,
            Conclusion::Failure => Status::Failure,
            Conclusion::Success | Conclusion::Cancelled | Conclusion::Skipped => Status::Success,
        };
        let ready = task.prepare_pre(step, job, status)?;
        log.allow(ready.commands);
        match ready.kind {
            ReadyKind::Pre(local) => Ok(task.pre(*local, log).await),
            ReadyKind::Script { .. } | ReadyKind::BuiltIn { .. } | ReadyKind::Local(_) | ReadyKind::Posts(_) => {
                Ok(StepEnd::plain(Conclusion::Success, None))
            }
        }
    }

    /// Whether the part of an action that is a step of another one runs; that of the job's own step was judged before.
    fn is_inner_pre_wanted(&self, runs: &ActionRuns, job: &JobFacing) -> Result<bool, String> {
        let pre = match runs {
            ActionRuns::Script(runs) => runs.pre.as_ref(),
            ActionRuns::Container(runs) => runs.pre.as_ref(),
            ActionRuns::Composite(_) => None,
        };
        let Some((_, condition)) = pre.filter(|_| self.inner > 0) else { return Ok(true) };
        let status = job.action.as_ref().map_or(Status::Success, |action| action.job_status);
        let scope = job.scope(&self.order, &job.env, status, None, Some(&*self.tools.hash_files));
        let value = condition.evaluate(&scope).map_err(|error| format!("`pre-if`: {}", error.message))?;
        Ok(value.is_truthy())
    }
}

/// What is done at the end of the job by a step and its `pre` part: each action once, as its last part asked for it.
pub(super) fn merged(known: Vec<PostAction>, new: Vec<PostAction>) -> Vec<PostAction> {
    let path = |post: &PostAction| post.script.as_ref().map(|script| script.path.clone());
    let again: Vec<_> = new.iter().filter_map(path).collect();
    let only_before = known.into_iter().filter(|post| path(post).is_none_or(|path| !again.contains(&path)));
    only_before.chain(new).collect()
}
