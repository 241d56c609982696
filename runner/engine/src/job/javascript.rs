//! Actions in JavaScript: their main part in its step, their post part at the end of the job, each a process of the
//! Node.js that the action asks for.
//!
//! A process of an action is a command of the agent as that of a `run:` step is, so it goes on while nobody watches it and
//! is found again. Follows
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#runs-for-javascript-actions> and,
//! where that is silent, GitHub's runner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::OnceCell;
use workflow::action::{NodeVersion, ScriptRuns};
use workflow::command::CommandSettings;
use workflow::run::Conclusion;

use super::action_file::ActionPlace;
use super::composite::ActionUser;
use super::facing::JobFacing;
use super::files::StepFiles;
use super::journal::Entry;
use super::log::StepLog;
use super::perform::{OTHER_PROGRAM, StepTask};
use super::recording::Performed;
use crate::actions::Actions;
use crate::nodes::{Libc, NODES_INSIDE, Nodes};
use crate::placement::{ExecId, ExecOutcome, ExecRequest, JobHandle};
use crate::step::{PostAction, PostPart, PostScript, StepEnd};

/// What the loader of musl is called in an image that has it; see <https://wiki.musl-libc.org/guidelines-for-distributions>.
const MUSL_LOADERS: [&str; 2] = ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"];

/// Where a job finds Node.js.
#[derive(Debug)]
pub(super) struct JobNodes {
    /// Those that are kept, and their folder as the job sees it; absent where it does not see files of this machine.
    kept: Option<(Arc<Nodes>, String)>,
    libc: OnceCell<Libc>,
}

/// An action about to be called.
pub(super) struct ForeignCall {
    pub(super) place: ActionPlace,
    /// Its folder, as the job sees it.
    pub(super) folder: String,
    pub(super) inputs: IndexMap<String, String>,
    /// Those that are evaluated once more at the end of the job, with their expressions.
    pub(super) renewed: BTreeMap<String, String>,
    /// `env:` of the step that uses it and of those around it.
    pub(super) own_env: IndexMap<String, String>,
    pub(super) user: ActionUser,
    pub(super) timeout: Option<Duration>,
    /// Which of the actions of the job's step it is, see [`super::facing::ActionFacing`].
    pub(super) path: String,
    /// The action of the repository itself that it is, or is a part of: it has no `pre:`.
    pub(super) local: Option<String>,
}

/// What an action does at the end of the job, with the variables that it does it with.
pub(super) struct ReadyPost {
    pub(super) post: PostAction,
    pub(super) env: IndexMap<String, String>,
    /// What it may print.
    pub(super) commands: CommandSettings,
}

/// One process of an action.
struct Process<'a> {
    node: NodeVersion,
    file: &'a str,
    state: &'a BTreeMap<String, String>,
    env: IndexMap<String, String>,
    timeout: Option<Duration>,
}

impl JobNodes {
    pub(super) fn of(actions: &Actions, handle: &Arc<dyn JobHandle>, on_host: bool) -> Self {
        let shared = handle.facts().files_are_shared;
        let kept = actions.nodes.clone().filter(|_| shared).map(|nodes| {
            let inside = if on_host { nodes.folder().display().to_string() } else { NODES_INSIDE.to_owned() };
            (nodes, inside)
        });
        Self { kept, libc: OnceCell::new() }
    }

    /// The program for an action, fetched where it is not there.
    ///
    /// # Errors
    /// There is none but that of the image; why.
    async fn program(&self, version: NodeVersion, job: &dyn JobHandle, log: &mut StepLog) -> Result<String, String> {
        let (nodes, inside) =
            self.kept.as_ref().ok_or_else(|| "the job does not see files of this machine".to_owned())?;
        let libc = *self.libc.get_or_init(|| libc(job)).await;
        let found = nodes.get(version, libc).await?;
        if let Some(from) = found.fetched {
            log.line(&format!("Node.js {} was fetched from {from}", found.build.version)).await;
        }
        Ok(format!("{inside}/{}", found.build.program()))
    }
}

/// Which C library the programs of a job's image use.
async fn libc(job: &dyn JobHandle) -> Libc {
    for loader in MUSL_LOADERS {
        // It is longer than the one byte that is asked for, which is an error of its own.
        if !matches!(job.read_file(loader, 1).await, Ok(None)) && glibc(job).await.is_none() {
            return Libc::Musl;
        }
    }
    Libc::Glibc
}

/// Some distributions have both.
async fn glibc(job: &dyn JobHandle) -> Option<()> {
    for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"] {
        if !matches!(job.read_file(loader, 1).await, Ok(None)) {
            return Some(());
        }
    }
    None
}

impl StepTask {
    /// The main part of an action; what it leaves is taken, and its post part asked for.
    pub(super) async fn javascript(
        &self,
        runs: &ScriptRuns,
        call: ForeignCall,
        files: &StepFiles,
        log: &mut StepLog,
    ) -> Performed {
        let (name, named) = (call.place.text(), call.place.named());
        let is_begun = self.stored().is_some() || self.is_begun();
        if !is_begun {
            self.action_header(&name, &call.inputs, &call.user.shown, log).await;
            if let Some(local) = call.local.as_ref().filter(|_| runs.pre.is_some()) {
                log.warning(&no_local_pre(local)).await;
            }
            if runs.node != runs.node.runs_as() {
                let (asked, later) = (runs.node.word(), runs.node.runs_as().word());
                log.warning(&format!("{name} asks for {asked}, which is out of support: it is run by {later}")).await;
            }
        }
        let mut env = call.user.env.clone();
        env.extend(named);
        env.extend(variables_of(call.inputs.iter()));
        let none = BTreeMap::new();
        let saved = self.pre.saved.get(&call.path).unwrap_or(&none);
        let file = below(&call.folder, &runs.main);
        let process = Process { node: runs.node, file: &file, state: saved, env, timeout: call.timeout };
        let Performed { mut end, exec } = self.main_part(process, (&name, &runs.main), files, log).await;
        let mut state = saved.clone();
        state.append(&mut end.left.state);
        end.left.posts.extend(post_of(runs, call, state));
        Performed { end, exec }
    }

    /// The `pre` part of an action.
    pub(super) async fn pre_script(&self, runs: &ScriptRuns, call: ForeignCall, log: &mut StepLog) -> StepEnd {
        let Some((path, _)) = &runs.pre else { return StepEnd::plain(Conclusion::Success, None) };
        let mut env = call.user.env.clone();
        env.extend(call.place.named());
        env.extend(variables_of(call.inputs.iter()));
        let file = below(&call.folder, path);
        let state = &BTreeMap::new();
        let process = Process { node: runs.node, file: &file, state, env, timeout: call.timeout };
        let mut end = self.part(process, None, log).await;
        end.left.saved.insert(call.path.clone(), end.left.state.clone());
        end.left.posts.extend(post_of(runs, call, std::mem::take(&mut end.left.state)));
        end
    }

    async fn main_part(
        &self,
        process: Process<'_>,
        (name, main): (&str, &str),
        files: &StepFiles,
        log: &mut StepLog,
    ) -> Performed {
        // A file that is there is longer than nothing, which is an error of its own.
        let is_missing = self.again.is_none() && matches!(self.tools.handle.read_file(process.file, 0).await, Ok(None));
        if is_missing {
            let message = format!("File not found: `main: {main}` of {name}");
            log.error(&message).await;
            return Performed::without_command(StepEnd::plain(Conclusion::Failure, Some(message)));
        }
        self.process(process, files, log).await
    }

    /// The post part of an action: a step of its own among those of the step that runs all of them.
    pub(super) async fn post_script(
        &self,
        script: &PostScript,
        post: &PostAction,
        mut env: IndexMap<String, String>,
        log: &mut StepLog,
    ) -> StepEnd {
        let PostPart::Script { file, node } = &script.what else {
            return self.post_container(script, post, env, log).await;
        };
        env.extend(variables_of(post.inputs.iter()));
        let process = Process { node: *node, file, state: &post.state, env, timeout: None };
        let said = format!("Post job cleanup: {}", post.action);
        self.part(process, Some(&said), log).await
    }

    /// A part of an action that is not its main one: numbered and remembered as a step of an action is. `said`: how it
    /// begins in the log.
    async fn part(&self, process: Process<'_>, said: Option<&str>, log: &mut StepLog) -> StepEnd {
        let task = match self.next_part() {
            Ok(task) => Self { cancel: self.cancel.child_token(), ..task },
            Err(message) => return StepEnd::plain(Conclusion::Failure, Some(message)),
        };
        if let Some(known) = task.again.as_ref().and_then(|again| again.inner.get(&task.inner)) {
            return known.end.clone();
        }
        let files = match &task.again {
            None => self.tools.files.prepare(task.number()).await,
            Some(_) => self.tools.files.prepare_again(task.number()).await,
        };
        let files = match files {
            Ok(files) => files,
            Err(error) => return StepEnd::plain(Conclusion::Failure, Some(error.to_string())),
        };
        if let Some(said) = said.filter(|_| task.stored().is_none()) {
            log.line(said).await;
        }
        let Performed { end, exec } = task.process(process, &files, log).await;
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
        end
    }

    /// The variables of a post part: the job's as they are by then, those of the step over them. And what it may print.
    pub(super) fn post_environment(
        &self,
        script: &PostScript,
        job: &JobFacing,
    ) -> (IndexMap<String, String>, CommandSettings) {
        let own: IndexMap<String, String> = script.env.clone().into_iter().collect();
        let mut all = job.env.clone();
        all.extend(own.clone());
        let mut env = self.environment(job, &all, &script.id);
        env.extend(script.named.clone());
        (env, job.commands_of(&own, &all))
    }

    /// Runs a file of an action, and takes what it left.
    async fn process(&self, process: Process<'_>, files: &StepFiles, log: &mut StepLog) -> Performed {
        let Process { node, file, state, mut env, timeout } = process;
        env.extend(state.iter().map(|(name, value)| (format!("STATE_{name}"), value.clone())));
        env.extend(files.variables().map(|(variable, _, path)| (variable.to_owned(), path)));
        // Only actions have these, `run:` does not.
        if let Some(served) = &self.tools.served {
            let given = served.beside(&env);
            env.extend(given);
        }
        // It would be that of another Node.js, see <https://github.com/actions/runner/issues/795>.
        env.shift_remove("NODE_ICU_DATA");
        let workspace = self.tools.workspace.inside.clone();
        log.matching.cwd = Some(workspace.clone());
        let own = self.tools.nodes.program(node, &*self.tools.handle, log).await;
        let request = |program: &str, id: u64| {
            let mut request = ExecRequest::new([program, file], workspace.clone());
            request.id = Some(ExecId(id));
            request.env = env.clone().into_iter().collect();
            request.timeout = timeout;
            request
        };
        let mut ran = None;
        if let Ok(program) = &own {
            let (outcome, exec) = self.execute(request(program, self.exec_id()), log).await;
            if !matches!(outcome, ExecOutcome::NotStarted { .. }) {
                ran = Some((outcome, exec));
            }
        }
        let (outcome, exec) = match ran {
            Some(ran) => ran,
            None => {
                let problem = own.map_or_else(|problem| problem, |program| format!("{program} does not start here"));
                if self.stored().is_none() {
                    let word = node.runs_as().word();
                    log.warning(&format!("{word} cannot be had ({problem}): the node of the job's image runs it"))
                        .await;
                }
                self.execute(request("node", OTHER_PROGRAM + self.exec_id()), log).await
            }
        };
        let mut end = self.end_of(&outcome, timeout);
        if let ExecOutcome::NotStarted { reason } = &outcome {
            end.message = Some(format!("the job's image has no node that could run {file}: {reason}"));
        }
        self.settle(files, log, &mut end).await;
        // What an action that fails has to say it says itself.
        let is_told =
            matches!(outcome, ExecOutcome::Exited { timed_out: false, cancelled: false, out_of_memory: false, .. });
        if let Some(message) = end.message.as_ref().filter(|_| end.outcome != Conclusion::Success && !is_told) {
            log.error(message).await;
        }
        Performed { end, exec }
    }
}

/// What an action in JavaScript does at the end of the job.
fn post_of(runs: &ScriptRuns, call: ForeignCall, state: BTreeMap<String, String>) -> Option<PostAction> {
    let (file, condition) = runs.post.as_ref()?;
    let what = PostPart::Script { file: below(&call.folder, file), node: runs.node };
    Some(call.post(what, condition.text(), state))
}

impl ForeignCall {
    /// What it does at the end of the job.
    pub(super) fn post(self, what: PostPart, condition: &str, state: BTreeMap<String, String>) -> PostAction {
        let script = PostScript {
            what,
            condition: condition.to_owned(),
            named: self.place.named(),
            id: self.user.id,
            path: self.path,
            renewed: self.renewed,
            env: self.own_env.into_iter().collect(),
        };
        let (action, inputs) = (self.place.text(), self.inputs.into_iter().collect());
        PostAction { action, inputs, state, always: false, script: Some(Box::new(script)) }
    }
}

/// In the words of GitHub's runner.
pub(super) fn no_local_pre(action: &str) -> String {
    format!("`pre` execution is not supported for local action from '{action}'")
}

pub(super) fn variables_of<'a>(
    inputs: impl Iterator<Item = (&'a String, &'a String)>,
) -> impl Iterator<Item = (String, String)> {
    inputs.map(|(name, value)| (input_variable(name), value.clone()))
}

/// The variable of an input, as GitHub's runner names it.
fn input_variable(name: &str) -> String {
    format!("INPUT_{}", name.replace(' ', "_").to_uppercase())
}

/// A file of an action.
fn below(folder: &str, path: &str) -> String {
    format!("{folder}/{}", path.trim_start_matches("./"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_and_files() {
        for (name, variable) in [
            ("token", "INPUT_TOKEN"),
            ("node-version", "INPUT_NODE-VERSION"),
            ("Who to greet", "INPUT_WHO_TO_GREET"),
            ("a.b", "INPUT_A.B"),
            ("größe", "INPUT_GRÖSSE"),
        ] {
            assert_eq!(input_variable(name), variable);
        }
        assert_eq!(below("/w/a", "./dist/index.js"), "/w/a/dist/index.js");
        assert_eq!(below("/w/a", "b/../c.js"), "/w/a/b/../c.js");
    }
}
