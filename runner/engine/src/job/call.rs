//! Calls of built-in actions: the main part of one in its step, and what actions do at the end of the job.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;
use workflow::action::part_condition;
use workflow::expression::Status;
use workflow::run::steps::StepFact;
use workflow::run::{Conclusion, StepIndex};

use super::JobOrder;
use super::context::HashFiles;
use super::facing::JobFacing;
use super::javascript::ReadyPost;
use super::log::StepLog;
use super::perform::{BuiltIn, StepTask};
use super::pre::merged;
use super::prepare::Ready;
use super::renewed::renew;
use super::steps::Stepper;
use crate::step::{
    ActionCall, ActionError, BuiltInAction, CompleteInputs, PostAction, PostWhen, StepEnd, StepOutputs, minutes,
};

/// Longer than any job.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 35);

/// What an action is called with, and what it leaves.
struct Called {
    inputs: CompleteInputs,
    env: IndexMap<String, String>,
    outputs: BTreeMap<String, String>,
    exports: Vec<(String, String)>,
    paths: Vec<String>,
    state: BTreeMap<String, String>,
    summary: String,
    post: Option<PostWhen>,
}

impl Called {
    fn with(inputs: CompleteInputs, state: BTreeMap<String, String>) -> Self {
        let (env, outputs) = (IndexMap::new(), BTreeMap::new());
        let (exports, paths, summary) = (Vec::new(), Vec::new(), String::new());
        Self { inputs, env, outputs, exports, paths, state, summary, post: None }
    }
}

impl StepTask {
    /// The main part of an action.
    pub(super) async fn built_in(&self, built_in: BuiltIn, log: &mut StepLog) -> StepEnd {
        let BuiltIn { action, inputs: given, env, shown, timeout: limit } = built_in;
        self.action_header(action.name(), &given, &shown, log).await;
        let inputs = match CompleteInputs::of(&*action, given) {
            Ok(inputs) => inputs,
            Err(error) => return StepEnd::plain(Conclusion::Failure, Some(error.to_string())),
        };
        for warning in &inputs.warnings {
            log.warning(warning).await;
        }
        let mut called = Called { env, ..Called::with(inputs, BTreeMap::new()) };
        let mut end = self.call(&*action, &mut called, limit, Part::Main, log).await;
        if let Some(when) = called.post {
            let post = PostAction {
                action: action.name().to_owned(),
                inputs: std::mem::take(&mut called.inputs.values).into_iter().collect(),
                state: std::mem::take(&mut called.state),
                always: when == PostWhen::Always,
                script: None,
            };
            end.left.posts.push(post);
        }
        end.left.outputs = called.outputs;
        end.left.env = called.exports;
        end.left.path = called.paths;
        end.left.summary = Some(called.summary).filter(|summary| !summary.is_empty());
        end
    }

    /// What actions of one step do at the end of the job, last first.
    pub(super) async fn posts(&self, posts: Vec<ReadyPost>, log: &mut StepLog) -> StepEnd {
        let mut end = StepEnd::plain(Conclusion::Success, None);
        for ReadyPost { post, env, commands } in posts.into_iter().rev() {
            log.allow(commands);
            if let Some(script) = &post.script {
                let StepEnd { outcome, message, left, runner_lost, .. } =
                    self.post_script(script, &post, env, log).await;
                end.runner_lost |= runner_lost;
                end.outcome = end.outcome.merge(outcome);
                end.message = message.or(end.message.take());
                end.left.env.extend(left.env);
                end.left.path.extend(left.path);
                continue;
            }
            let Some(action) = self.tools.built_in.get(&post.action).cloned() else { continue };
            log.line(&format!("##[group]Post {}\n##[endgroup]", action.name())).await;
            let inputs = CompleteInputs { values: post.inputs.into_iter().collect(), ..CompleteInputs::default() };
            let mut called = Called::with(inputs, post.state);
            let one = self.call(&*action, &mut called, None, Part::Post, log).await;
            if one.outcome != Conclusion::Success {
                if let Some(message) = &one.message {
                    log.error(message).await;
                }
                end.outcome = end.outcome.merge(one.outcome);
                end.message = one.message;
            }
        }
        end
    }

    async fn call(
        &self,
        action: &dyn BuiltInAction,
        called: &mut Called,
        limit: Option<Duration>,
        part: Part,
        log: &mut StepLog,
    ) -> StepEnd {
        let tools = &*self.tools;
        let stop = self.cancel.child_token();
        let mut call = ActionCall {
            inputs: called.inputs.values.clone(),
            defaulted: called.inputs.defaulted.clone(),
            workspace: &tools.workspace,
            repository: &tools.repository,
            job: &tools.handle,
            env: called.env.clone(),
            has_bash: tools.has_bash,
            log,
            masker: &tools.masker,
            secrets: &tools.secrets,
            outputs: &mut called.outputs,
            exports: &mut called.exports,
            paths: &mut called.paths,
            state: &mut called.state,
            summary: &mut called.summary,
            step: self.exec_id(),
            post: None,
            again: self.again.is_some(),
            cancel: stop.clone(),
            run: tools.run.clone(),
        };
        let mut work = part.of(action, &mut call);
        let result = tokio::select! {
            result = &mut work => result,
            () = self.cancel.cancelled() => {
                leave_in_order(action, &stop, &mut work).await;
                Err(ActionError::Cancelled)
            }
            () = tokio::time::sleep(limit.unwrap_or(FOREVER)) => {
                leave_in_order(action, &stop, &mut work).await;
                let minutes = minutes(limit.unwrap_or_default());
                Err(ActionError::Failed(format!("The action '{}' has timed out after {minutes} minutes.", self.name)))
            }
        };
        drop(work);
        called.post = call.post;
        match result {
            Ok(()) => StepEnd::plain(Conclusion::Success, None),
            Err(ActionError::Cancelled) => {
                StepEnd::plain(Conclusion::Cancelled, Some("The operation was canceled.".into()))
            }
            Err(ActionError::Failed(message)) => StepEnd::plain(Conclusion::Failure, Some(message)),
        }
    }
}

impl Stepper {
    /// The name of a step at the end of the job.
    pub(super) fn post_name(&self, index: StepIndex) -> String {
        format!("Post {}", self.posts.get(&index).map(|(of, _)| self.name(*of)).unwrap_or_default())
    }

    /// What a step at the end of the job has to do.
    pub(super) fn ready_posts(&self, index: StepIndex, task: &StepTask) -> Result<Ready, String> {
        let Some((_, posts)) = self.posts.get(&index) else { return Ok(Ready::posts(Vec::new())) };
        let posts = wanted(posts, (&self.order, &self.job, &*self.tools.hash_files), self.status())?;
        let ready = |mut post: PostAction| {
            renew(&mut post, (&self.order, &self.job, &*self.tools.hash_files), self.status());
            let env = post.script.as_ref().map(|script| task.post_environment(script, &self.job));
            let (env, commands) = env.unwrap_or_default();
            ReadyPost { post, env, commands }
        };
        Ok(Ready::posts(posts.into_iter().map(ready).collect()))
    }

    /// What a step wants done at the end of the job becomes a step of its own.
    pub(super) fn add_posts(&mut self, index: StepIndex, left: &mut StepOutputs) {
        let next = self.machine.next_post();
        if self.put_posts(index, left, || Some(next)) {
            self.machine.apply(&StepFact::PostAdded);
        }
    }

    /// The same in a process that takes the job up.
    pub(super) fn bring_back_posts(
        &mut self,
        index: StepIndex,
        left: &mut StepOutputs,
        next: &mut impl Iterator<Item = StepIndex>,
    ) {
        self.put_posts(index, left, || next.next());
    }

    /// Puts what a step asks for with what its `pre` part asked for, or under a step of its own, which is `next`. Says
    /// whether it took that.
    fn put_posts(
        &mut self,
        index: StepIndex,
        left: &mut StepOutputs,
        next: impl FnOnce() -> Option<StepIndex>,
    ) -> bool {
        let (posts, owner) = (std::mem::take(&mut left.posts), self.owner(index));
        if posts.is_empty() {
            return false;
        }
        if let Some((_, known)) = self.posts.values_mut().find(|(of, _)| *of == owner) {
            *known = merged(std::mem::take(known), posts);
            return false;
        }
        let Some(next) = next() else { return false };
        self.posts.insert(next, (owner, posts));
        true
    }
}

/// Tells it to stop, and gives it the time that it asks for to do so in order.
async fn leave_in_order<T>(
    action: &dyn BuiltInAction,
    stop: &CancellationToken,
    work: &mut (impl Future<Output = T> + Unpin),
) {
    stop.cancel();
    if !action.grace().is_zero() {
        let _what_it_says_is_in_its_log = tokio::time::timeout(action.grace(), work).await;
    }
}

/// Which part of an action.
#[derive(Debug, Clone, Copy)]
enum Part {
    Main,
    Post,
}

impl Part {
    fn of<'a>(
        self,
        action: &'a dyn BuiltInAction,
        call: &'a mut ActionCall<'_>,
    ) -> impl Future<Output = Result<(), ActionError>> + Send + Unpin + 'a {
        match self {
            Self::Main => action.run(call),
            Self::Post => action.post(call),
        }
    }
}

/// Those of them that are done as things stand.
///
/// # Errors
/// A `post-if:` cannot be evaluated.
pub(super) fn wanted(
    posts: &[PostAction],
    (order, job, hash_files): (&JobOrder, &JobFacing, &HashFiles),
    status: Status,
) -> Result<Vec<PostAction>, String> {
    let mut wanted = Vec::new();
    for post in posts {
        let is_wanted = match &post.script {
            None => post.always || status == Status::Success,
            Some(script) => {
                let mut env = job.env.clone();
                env.extend(script.env.clone());
                let scope = job.scope(order, &env, status, None, Some(hash_files));
                let failed = |error: String| format!("`post-if` of {}: {error}", post.action);
                let condition = part_condition(&script.condition).map_err(failed)?;
                condition.evaluate(&scope).map_err(|error| failed(error.message))?.is_truthy()
            }
        };
        if is_wanted {
            wanted.push(post.clone());
        }
    }
    Ok(wanted)
}
