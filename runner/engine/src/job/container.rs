//! Actions of an image: their parts, each a command in a container of its own beside the job's.
//!
//! A part is numbered and remembered as a step of an action is, so that a process that takes the job up finds its container
//! and goes on with it, or knows how it ended. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runs-for-docker-container-actions>
//! and, where that is silent, GitHub's runner.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use workflow::action::{ActionImage, ContainerRuns};
use workflow::expression::Status;
use workflow::run::Conclusion;
use workflow::template::evaluate;

use super::action_file::ActionPlace;
use super::containers::OpenContainer;
use super::context::strings;
use super::facing::JobFacing;
use super::javascript::{ForeignCall, no_local_pre, variables_of};
use super::journal::Entry;
use super::log::StepLog;
use super::perform::StepTask;
use super::recording::Performed;
use crate::image::ImageFacts;
use crate::placement::{Exec, ExecId, ExecOutcome, ExecRequest, split_words};
use crate::step::{PostAction, PostPart, PostScript, StepEnd};

/// Where the image of an action without an `action.yml` is.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// What a part runs with.
#[derive(Clone)]
struct ContainerPart {
    /// An image's name or id.
    image: String,
    /// In the place of the image's own.
    entrypoint: Option<String>,
    /// In the place of the image's own.
    args: Option<Vec<String>>,
    env: IndexMap<String, String>,
    state: BTreeMap<String, String>,
    timeout: Option<Duration>,
}

impl StepTask {
    /// An action of an image, before its end of the job.
    pub(super) async fn container(
        &self,
        runs: &ContainerRuns,
        call: ForeignCall,
        job: JobFacing,
        log: &mut StepLog,
    ) -> Performed {
        if !self.is_begun() {
            self.action_header(&call.place.text(), &call.inputs, &call.user.shown, log).await;
            if let Some(local) = call.local.as_ref().filter(|_| runs.pre.is_some()) {
                log.warning(&no_local_pre(local)).await;
            }
        }
        let mut part = match self.container_part_of(runs, &call, job, log).await {
            Ok(part) => part,
            Err(message) => {
                log.error(&message).await;
                return Performed::without_command(StepEnd::plain(Conclusion::Failure, Some(message)));
            }
        };
        part.state = self.pre.saved.get(&call.path).cloned().unwrap_or_default();
        let mut end = self.container_part(part.clone(), None, log).await;
        part.state.append(&mut end.left.state);
        end.left.posts.extend(post_of(runs, call, part));
        Performed::without_command(end)
    }

    /// The `pre` part of an action of an image.
    pub(super) async fn pre_container(
        &self,
        runs: &ContainerRuns,
        call: ForeignCall,
        job: JobFacing,
        log: &mut StepLog,
    ) -> StepEnd {
        let Some((entrypoint, _)) = &runs.pre else { return StepEnd::plain(Conclusion::Success, None) };
        let mut part = match self.container_part_of(runs, &call, job, log).await {
            Ok(part) => part,
            Err(message) => {
                log.error(&message).await;
                return StepEnd::plain(Conclusion::Failure, Some(message));
            }
        };
        let pre = ContainerPart { entrypoint: Some(entrypoint.clone()), ..part.clone() };
        let mut end = self.container_part(pre, None, log).await;
        part.state.append(&mut end.left.state);
        end.left.saved.insert(call.path.clone(), part.state.clone());
        end.left.posts.extend(post_of(runs, call, part));
        end
    }

    /// What all parts of an action share.
    async fn container_part_of(
        &self,
        runs: &ContainerRuns,
        call: &ForeignCall,
        mut job: JobFacing,
        log: &mut StepLog,
    ) -> Result<ContainerPart, String> {
        self.tools.containers.check()?;
        if let Some(facing) = &mut job.action {
            facing.inputs = strings(call.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        let scope = job.scope(&self.order, &job.env, Status::Success, None, Some(&*self.tools.hash_files));
        let text = |token, what: &str| {
            let value = evaluate(token, &scope).map_err(|error| format!("`{what}`: {}", error.message));
            value.map(|value| value.to_display_string().to_string())
        };
        let input = |name: &str| {
            let found = call.inputs.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let args = match &runs.args {
            Some(args) => Some(args.iter().map(|arg| text(arg, "args")).collect::<Result<_, _>>()?),
            None => {
                let given = input("args").map(|args| split_words(&args).map_err(|reason| format!("`args` {reason}")));
                given.transpose()?
            }
        };
        let mut env = call.user.env.clone();
        env.extend(call.place.named());
        env.extend(variables_of(call.inputs.iter()));
        for (name, value) in &runs.env {
            let value = text(value, "env")?;
            env.entry(name.clone()).or_insert(value);
        }
        let entrypoint = runs.entrypoint.clone().or_else(|| input("entrypoint"));
        let image = match &runs.image {
            ActionImage::Reference(reference) => reference.clone(),
            ActionImage::Dockerfile(file) => self.built_image(call, file, log).await?,
        };
        Ok(ContainerPart { image, entrypoint, args, env, state: BTreeMap::new(), timeout: call.timeout })
    }

    /// The image of an action, built where it was not built before.
    async fn built_image(&self, call: &ForeignCall, file: &str, log: &mut StepLog) -> Result<String, String> {
        let shown = format!("{}/{file}", call.folder);
        let (below_action, dockerfile) = file.rsplit_once('/').unwrap_or(("", file));
        let (folder, below, key) = match &call.place {
            ActionPlace::Workspace(_) => {
                let outside = || format!("{} is not in the workspace", call.folder);
                let (folder, below) = self.tools.containers.in_workspace(&call.folder).ok_or_else(outside)?;
                (folder, below, None)
            }
            ActionPlace::Repository { repository, path, reference } => {
                let (folder, commit) = self.tools.actions.source(repository, reference).await?;
                let key = commit.map(|commit| format!("{repository}@{commit}/{path}/{below_action}"));
                (folder, path.into(), key)
            }
            ActionPlace::Image(_) => return Err("an image has no Dockerfile".to_owned()),
        };
        let order = self.tools.containers.image_order((folder, climbed(&below.join(below_action))), dockerfile, key);
        let (said, mut lines) = mpsc::unbounded_channel();
        let mut building = Box::pin(self.tools.containers.build(order, said));
        let mut is_told = false;
        let built = loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => {
                    if !std::mem::replace(&mut is_told, true) {
                        log.line(&format!("##[group]Building docker image\nDockerfile for action: '{shown}'.")).await;
                    }
                    log.line(&line).await;
                }
                built = &mut building => break built,
                // Hanging up ends the build.
                () = self.cancel.cancelled() => break Err("The operation was canceled.".to_owned()),
            }
        };
        if is_told {
            log.line("##[endgroup]").await;
        }
        built.map_err(|reason| format!("{shown}: {reason}"))
    }

    /// The post part of an action of an image.
    pub(super) async fn post_container(
        &self,
        script: &PostScript,
        post: &PostAction,
        mut env: IndexMap<String, String>,
        log: &mut StepLog,
    ) -> StepEnd {
        let PostPart::Container { image, entrypoint, args } = &script.what else {
            return StepEnd::plain(Conclusion::Success, None);
        };
        env.extend(variables_of(post.inputs.iter()));
        let part = ContainerPart {
            image: image.clone(),
            entrypoint: Some(entrypoint.clone()),
            args: args.clone(),
            env,
            state: post.state.clone(),
            timeout: None,
        };
        self.container_part(part, Some(&format!("Post job cleanup: {}", post.action)), log).await
    }

    /// One part in its container. `said`: how it begins in the log.
    async fn container_part(&self, part: ContainerPart, said: Option<&str>, log: &mut StepLog) -> StepEnd {
        let task = match self.next_part() {
            Ok(task) => Self { cancel: self.cancel.child_token(), ..task },
            Err(message) => return StepEnd::plain(Conclusion::Failure, Some(message)),
        };
        if let Some(known) = task.again.as_ref().and_then(|again| again.inner.get(&task.inner)) {
            return known.end.clone();
        }
        if let Some(said) = said.filter(|_| task.stored().is_none()) {
            log.line(said).await;
        }
        let (end, exec, open) = match task.open_container(&part.image).await {
            Ok(open) => {
                let (end, exec) = task.in_container(&open, part, log).await;
                (end, exec, Some(open))
            }
            Err(end) => {
                if let Some(message) = &end.message {
                    log.error(message).await;
                }
                (end, None, None)
            }
        };
        log.end_of_part().await;
        let (number, stored, met) = (task.number(), log.stored_bytes(), task.inners.load(Ordering::Relaxed));
        if !end.runner_lost {
            self.tools.journal.write(|| Entry::Inner {
                step: number.step,
                inner: number.inner,
                end: Box::new(end.clone()),
                conclusion: end.outcome,
                log: stored,
                met,
            });
        }
        // From now on the journal knows it.
        if let Some(exec) = exec {
            exec.acknowledge_end();
        }
        if let Some(open) = open {
            open.close().await;
        }
        end
    }

    /// The container of a part: that which another process had started, or a new one.
    async fn open_container(&self, image: &str) -> Result<OpenContainer, StepEnd> {
        let (containers, job, number) = (&self.tools.containers, &*self.tools.handle, self.number());
        if let Some(record) = self.again.as_ref().and_then(|again| again.containers.get(&self.inner)) {
            let lost = |reason| StepEnd {
                runner_lost: true,
                ..StepEnd::plain(Conclusion::Failure, Some(format!("the container of the action is lost: {reason}")))
            };
            return containers.adopt(number, record, job).await.map_err(lost);
        }
        let started = tokio::select! {
            started = containers.start(number, image, job) => started,
            () = self.cancel.cancelled() => {
                return Err(StepEnd::plain(Conclusion::Cancelled, Some("The operation was canceled.".to_owned())));
            }
        };
        let open = started.map_err(|reason| StepEnd::plain(Conclusion::Failure, Some(reason)))?;
        self.tools.journal.write(|| Entry::Container {
            step: number.step,
            inner: number.inner,
            record: Box::new(open.handle.record()),
        });
        Ok(open)
    }

    async fn in_container(
        &self,
        open: &OpenContainer,
        part: ContainerPart,
        log: &mut StepLog,
    ) -> (StepEnd, Option<Exec>) {
        let failed = |message: String| (StepEnd::plain(Conclusion::Failure, Some(message)), None);
        let files = match &self.again {
            None => open.files.prepare(self.number()).await,
            Some(_) => open.files.prepare_again(self.number()).await,
        };
        let files = match files {
            Ok(files) => files,
            Err(error) => return failed(error.to_string()),
        };
        let image = open.handle.facts().image.clone().unwrap_or_default();
        let ContainerPart { entrypoint, args, mut env, state, timeout, .. } = part;
        let Some(argv) = argv(&image, entrypoint, args) else {
            let message =
                "the image of the action has neither an entrypoint nor a command, and none is given".to_owned();
            log.error(&message).await;
            return failed(message);
        };
        env.extend(state.into_iter().map(|(name, value)| (format!("STATE_{name}"), value)));
        if let Some(served) = &self.tools.served {
            // An action of an image gets the first version of caches, as on GitHub.
            let wanted: Vec<_> = served.beside(&env).into_iter().filter(|(name, _)| name != CACHE_SERVICE_V2).collect();
            env.extend(wanted);
        }
        let mut env = self.tools.containers.environment(env);
        env.extend(files.variables().map(|(variable, _, path)| (variable.to_owned(), path)));
        if !env.iter().any(|(name, _)| name == "PATH") {
            env.extend(image.env.iter().filter(|(name, _)| name == "PATH").cloned());
        }
        log.matching.cwd = Some(self.tools.workspace.inside.clone());
        let mut request = ExecRequest::new(argv.clone(), self.tools.containers.workspace());
        request.id = Some(ExecId(self.exec_id()));
        request.env = env;
        request.timeout = timeout;
        let (outcome, exec) = self.execute_in(&open.handle, request, log).await;
        let mut end = self.end_of(&outcome, timeout);
        if let ExecOutcome::NotStarted { reason } = &outcome {
            end.message = Some(format!("{} cannot be run in the image of the action: {reason}", argv[0]));
        }
        self.settle_in(&open.files, &files, log, &mut end).await;
        // What an action that fails has to say it says itself.
        let is_told =
            matches!(outcome, ExecOutcome::Exited { timed_out: false, cancelled: false, out_of_memory: false, .. });
        if let Some(message) = end.message.as_ref().filter(|_| end.outcome != Conclusion::Success && !is_told) {
            log.error(message).await;
        }
        (end, exec)
    }
}

/// What an action of an image does at the end of the job, after this part.
fn post_of(runs: &ContainerRuns, call: ForeignCall, part: ContainerPart) -> Option<PostAction> {
    let (entrypoint, condition) = runs.post.as_ref()?;
    let what = PostPart::Container { image: part.image, entrypoint: entrypoint.clone(), args: part.args };
    Some(call.post(what, condition.text(), part.state))
}

/// A folder of a repository without `..`; that they do not lead out of it was looked at when the action was read.
fn climbed(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        if part == Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
        path
    })
}

/// What selects the second version of caches.
const CACHE_SERVICE_V2: &str = "ACTIONS_CACHE_SERVICE_V2";

/// Program and arguments, as `docker run` puts them together: an entrypoint that is given takes the image's command with it.
fn argv(image: &ImageFacts, entrypoint: Option<String>, args: Option<Vec<String>>) -> Option<Vec<String>> {
    let mut argv = match &entrypoint {
        Some(program) => vec![program.clone()],
        None => image.entrypoint.clone(),
    };
    match args {
        Some(args) => argv.extend(args),
        None if entrypoint.is_none() => argv.extend(image.command.iter().cloned()),
        None => {}
    }
    argv.first().is_some_and(|program| !program.is_empty()).then_some(argv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_images() {
        for (path, expect) in [("a/../docker", "docker"), ("a/b/../../c/", "c"), ("a/", "a"), ("a/..", "")] {
            assert_eq!(climbed(Path::new(path)), Path::new(expect), "{path}");
        }
    }

    #[test]
    fn commands_are_put_together_as_docker_does() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let check = |entrypoint: &str, command: &str, own: Option<&str>, args: Option<&str>, expect: &str| {
            let image = ImageFacts { entrypoint: words(entrypoint), command: words(command), ..ImageFacts::default() };
            let got = argv(&image, own.map(str::to_owned), args.map(words));
            assert_eq!(got.unwrap_or_default(), words(expect), "{entrypoint} {command} {own:?} {args:?}");
        };
        check("/e x", "c d", None, None, "/e x c d");
        check("/e x", "c d", None, Some("a"), "/e x a");
        check("/e x", "c d", None, Some(""), "/e x");
        check("/e x", "c d", Some("/own"), None, "/own");
        check("/e x", "c d", Some("/own"), Some("a b"), "/own a b");
        check("", "c d", None, None, "c d");
        check("", "c d", None, Some("a"), "a");
        check("", "", None, None, "");
    }
}
