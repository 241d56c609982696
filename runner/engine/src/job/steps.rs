//! The step loop of a placed job: asks the step machine what comes next, runs it, tells it what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workflow::command::{Annotation, AnnotationLevel};
use workflow::model::Step;
use workflow::run::steps::{FlatStep, JobSteps, Role, StepDecision, StepFact};
use workflow::run::{Conclusion, RunEvent, StepIndex, StepResult};
use workflow::template::evaluate;

use super::context::StepScope;
use super::facing::JobFacing;
use super::journal::Entry;
use super::perform::{StepTask, StepTools};
use super::pre::{PreStep, in_order};
use super::recording::{Again, Performed, Recording};
use super::{JobControl, JobOrder, JobReport};
use crate::notice::Notice;
use crate::placement::Exec;
use crate::step::{PostAction, StepEnd, StepOutputs};

/// What the task of a step gives.
type TaskEnd = (StepIndex, Performed);

/// What changes while a job's steps run.
pub(super) struct Stepper {
    pub(super) order: Arc<JobOrder>,
    pub(super) tools: Arc<StepTools>,
    pub(super) reports: mpsc::Sender<JobReport>,
    pub(super) job: JobFacing,
    /// `pre` parts, which are the first steps.
    pub(super) pres: Vec<PreStep>,
    /// What they saved, by the step that they are of.
    pub(super) saved: BTreeMap<StepIndex, BTreeMap<String, BTreeMap<String, String>>>,
    pub(super) machine: JobSteps,
    tasks: JoinSet<TaskEnd>,
    cancels: BTreeMap<StepIndex, CancellationToken>,
    /// What background steps left, until others may see it.
    pub(super) hidden: BTreeMap<StepIndex, (StepResult, StepOutputs)>,
    pub(super) names: BTreeMap<StepIndex, String>,
    /// Facts that go to the dispatcher with the next one that somebody waits for; so do the ends of these commands.
    unreported: Vec<RunEvent>,
    unacknowledged: Vec<Exec>,
    /// Steps whose beginning another process recorded.
    pub(super) begun: BTreeSet<StepIndex>,
    /// What is done at the end of the job, by the step that does it: the step that asked for it, and what.
    pub(super) posts: BTreeMap<StepIndex, (StepIndex, Vec<PostAction>)>,
    /// Which step a task performs, for tasks that panic.
    task_steps: HashMap<tokio::task::Id, StepIndex>,
    killed: bool,
    /// The runner is gone: nobody knows what became of its steps, so the job has failed whatever may be forgiven.
    lost: bool,
}

impl Stepper {
    pub(super) fn new(
        order: Arc<JobOrder>,
        (tools, pres): (Arc<StepTools>, Vec<PreStep>),
        reports: mpsc::Sender<JobReport>,
        job: JobFacing,
    ) -> Self {
        let machine = JobSteps::new(in_order(&order.steps_job().steps, &pres));
        Self {
            order,
            tools,
            reports,
            job,
            pres,
            saved: BTreeMap::new(),
            machine,
            tasks: JoinSet::new(),
            cancels: BTreeMap::new(),
            hidden: BTreeMap::new(),
            names: BTreeMap::new(),
            unreported: Vec::new(),
            unacknowledged: Vec::new(),
            begun: BTreeSet::new(),
            posts: BTreeMap::new(),
            task_steps: HashMap::new(),
            killed: false,
            lost: false,
        }
    }

    /// Runs all steps; gives the job's conclusion.
    pub(super) async fn run(&mut self, control: &mut mpsc::UnboundedReceiver<JobControl>) -> Conclusion {
        let mut control_open = true;
        loop {
            if self.is_killed() {
                return self.abandon().await;
            }
            let decisions = self.decide();
            let revealed = self.reveal();
            let mut changed = false;
            for decision in decisions {
                match decision {
                    StepDecision::Done(conclusion) => {
                        // The place goes next, and with it what another process could learn of these steps.
                        let _recorded = self.report().await.wait().await;
                        return conclusion;
                    }
                    StepDecision::Start(step) => self.start(step).await,
                    StepDecision::Cancel(step) => {
                        changed |= !self.names.contains_key(&step);
                        self.machine.apply(&StepFact::CancelAsked(step));
                        if let Some(cancel) = self.cancels.get(&step) {
                            cancel.cancel();
                        }
                    }
                    StepDecision::Skip(step) => {
                        changed = true;
                        self.finish(step, StepEnd::plain(Conclusion::Skipped, None));
                    }
                    StepDecision::Refuse(step, message) => {
                        changed = true;
                        self.begin(step).await;
                        let message = format!("`if`: {message}");
                        self.only_error(step, &message).await;
                        self.finish(step, StepEnd::plain(Conclusion::Failure, Some(message)));
                    }
                    StepDecision::Complete(step, outcome) => {
                        changed = true;
                        self.begin(step).await;
                        self.tell_of_others(step, &revealed).await;
                        self.finish(step, StepEnd::plain(outcome, None));
                    }
                }
            }
            if changed {
                continue;
            }
            self.report_aside().await;
            tokio::select! {
                ended = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended).await,
                order = control.recv(), if control_open => match order {
                    Some(JobControl::Cancel) => self.machine.apply(&StepFact::JobCancelled),
                    Some(JobControl::Kill) => self.killed = true,
                    None => control_open = false,
                },
            }
        }
    }

    /// Records the beginning of a step that has nothing to run, before anything is written to its log.
    async fn begin(&mut self, index: StepIndex) {
        // It runs nothing, and may go on even where its beginning cannot be recorded.
        let _recorded = self.started(index).await.wait().await;
    }

    /// Tells that a step begins, and gives what to wait for until that is recorded.
    async fn started(&mut self, index: StepIndex) -> Recording {
        let name = self.tools.masker.mask(&self.name(index));
        self.names.insert(index, name.clone());
        if !self.begun.contains(&index) {
            self.unreported.push(RunEvent::StepStarted { key: self.order.key.clone(), step: index, name });
        }
        self.report().await
    }

    async fn start(&mut self, index: StepIndex) {
        let recording = self.started(index).await;
        self.machine.apply(&StepFact::Started(index));
        self.spawn(index, recording, None).await;
    }

    /// Performs a step in a task of its own.
    pub(super) async fn spawn(&mut self, index: StepIndex, recording: Recording, again: Option<Again>) {
        let step = self.flat(index).and_then(|flat| flat.find(&self.order.steps_job().steps)).cloned();
        let is_pre = self.flat(index).is_some_and(|flat| flat.role == Role::Pre);
        let cancel = CancellationToken::new();
        self.cancels.insert(index, cancel.clone());
        let task = StepTask {
            index,
            inner: 0,
            inners: Arc::default(),
            order: Arc::clone(&self.order),
            tools: Arc::clone(&self.tools),
            cancel,
            name: self.names.get(&index).cloned().unwrap_or_default(),
            again: again.map(Arc::new),
            pre: self.pre_parts(index),
        };
        let ready = match &step {
            Some(step) if is_pre => task.prepare_pre(step, &self.job, self.machine.status()),
            Some(step) => task.prepare(step, &self.job, self.machine.status()),
            None => self.ready_posts(index, &task),
        };
        let task = match ready {
            Ok(ready) => self.tasks.spawn(async move { (index, task.perform(ready, recording).await) }),
            Err(message) => {
                let _recorded = recording.wait().await;
                self.only_error(index, &message).await;
                let end = StepEnd::plain(Conclusion::Failure, Some(message));
                self.tasks.spawn(async move { (index, Performed::without_command(end)) })
            }
        };
        self.task_steps.insert(task.id(), index);
    }

    /// The log of a step of which nothing ran.
    async fn only_error(&self, index: StepIndex, message: &str) {
        let mut log = self.tools.open_log(index);
        log.error(message).await;
        log.finish().await;
    }

    async fn ended(&mut self, ended: Option<Result<(tokio::task::Id, TaskEnd), tokio::task::JoinError>>) {
        match ended {
            Some(Ok((task, (index, Performed { end, exec })))) => {
                self.task_steps.remove(&task);
                self.lost |= end.runner_lost;
                self.unacknowledged.extend(exec);
                self.tools.journal.write(|| Entry::Ended { step: index, end: Box::new(end.clone()) });
                self.finish(index, end);
            }
            // A bug in an action: its step has failed, and what the job made is still removed in order.
            Some(Err(error)) => {
                let Some(index) = self.task_steps.remove(&error.id()) else { return };
                let message = format!("a bug in pipe ended this step: {error}");
                self.tools.notices.send(self.bug(index, &message)).await;
                self.finish(index, StepEnd::plain(Conclusion::Failure, Some(message)));
            }
            None => {}
        }
    }

    /// The log of a step that panicked went with it, so its error is told to watchers alone.
    fn bug(&self, index: StepIndex, message: &str) -> Notice {
        let annotation = Box::new(Annotation::new(AnnotationLevel::Error, self.tools.masker.mask(message)));
        Notice::Annotated { key: self.order.key.clone(), step: Some(index), annotation }
    }

    pub(super) fn finish(&mut self, index: StepIndex, mut end: StepEnd) {
        self.cancels.remove(&index);
        let conclusion = self.conclusion(index, &mut end);
        let result = StepResult {
            outcome: end.outcome,
            conclusion,
            outputs: self.recorded_outputs(&end.left.outputs),
            exit_code: end.exit_code,
            message: end.message.map(|message| self.tools.masker.mask(&message)),
        };
        self.machine.apply(&StepFact::Finished(index, result.clone()));
        self.add_posts(index, &mut end.left);
        self.keep_saved(index, &mut end.left);
        if self.machine.is_visible(index) {
            self.show(index, &result, end.left);
        } else {
            self.hidden.insert(index, (result.clone(), end.left));
        }
        self.unreported.push(RunEvent::StepFinished { key: self.order.key.clone(), step: index, result });
    }

    /// The log of a run keeps no secrets, so what holds one is kept there in its hidden form.
    fn recorded_outputs(&self, outputs: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let hide = |text: &String| self.tools.masker.mask(text);
        outputs.iter().map(|(name, value)| (hide(name), hide(value))).collect()
    }

    fn conclusion(&self, index: StepIndex, end: &mut StepEnd) -> Conclusion {
        if end.outcome != Conclusion::Failure {
            return end.outcome;
        }
        let step = self.flat(index).and_then(|flat| flat.find(&self.order.steps_job().steps));
        let Some((step, token)) = step.and_then(|step| Some((step, step.continue_on_error.as_ref()?))) else {
            return Conclusion::Failure;
        };
        let env = self.step_env(step);
        let scope = self.scope(step, &env);
        match evaluate(token, &scope) {
            Ok(value) if value.is_truthy() => Conclusion::Success,
            Ok(_) => Conclusion::Failure,
            Err(error) => {
                end.message = Some(format!("`continue-on-error`: {}", error.message));
                Conclusion::Failure
            }
        }
    }

    /// Background steps that were waited for may be seen from now on. Gives those that could not be seen before.
    fn reveal(&mut self) -> Vec<StepIndex> {
        let visible: Vec<_> = self.hidden.keys().copied().filter(|step| self.machine.is_visible(*step)).collect();
        for index in &visible {
            if let Some((result, left)) = self.hidden.remove(index) {
                self.show(*index, &result, left);
            }
        }
        visible
    }

    pub(super) fn show(&mut self, index: StepIndex, result: &StepResult, left: StepOutputs) {
        let flat = self.flat(index).filter(|flat| flat.role != Role::Pre);
        let step = flat.and_then(|flat| flat.find(&self.order.steps_job().steps));
        if let Some(id) = step.filter(|step| step.id_written).map(|step| step.id.as_str().to_owned()) {
            self.job.steps.add(&id, &left.outputs, result);
        }
        self.job.env.extend(left.env);
        for path in left.path {
            self.job.path.retain(|other| *other != path);
            self.job.path.push(path);
        }
    }

    pub(super) fn flat(&self, index: StepIndex) -> Option<&FlatStep> {
        self.machine.steps().get(index.0 as usize)
    }

    /// The environment that the keys of a step see: the job's, and its own over it.
    pub(super) fn step_env(&self, step: &Step) -> IndexMap<String, String> {
        self.job.env_of(&self.order, step, self.machine.status(), &*self.tools.hash_files)
    }

    pub(super) fn scope<'a>(&'a self, step: &Step, env: &'a IndexMap<String, String>) -> StepScope<'a> {
        self.job.scope(&self.order, env, self.machine.status(), Some(step), Some(&*self.tools.hash_files))
    }

    /// The job is killed: running steps are dropped with the runner, the others never begin.
    async fn abandon(&mut self) -> Conclusion {
        let running: Vec<_> = self.cancels.keys().copied().collect();
        self.tasks.shutdown().await;
        for index in running {
            let end = StepEnd::plain(Conclusion::Cancelled, Some("The job was stopped.".into()));
            self.finish(index, end);
        }
        self.report_aside().await;
        if self.lost { Conclusion::Failure } else { Conclusion::Cancelled }
    }

    /// Tells what is to be told, and gives what to wait for until it is recorded.
    async fn report(&mut self) -> Recording {
        let (report, recorded) = JobReport::awaited(std::mem::take(&mut self.unreported));
        let _gone = self.reports.send(report).await; // The dispatcher outlives its jobs.
        Recording { recorded, ended: std::mem::take(&mut self.unacknowledged) }
    }

    /// Tells what no step waits for.
    async fn report_aside(&mut self) {
        if !self.unreported.is_empty() {
            let recording = self.report().await;
            tokio::spawn(recording.wait());
        }
    }

    /// Something before the first step failed.
    pub(super) fn set_up_failed(&mut self) {
        self.machine.apply(&StepFact::SetUpFailed);
    }

    /// Whether the runner was lost or the job killed, so that nothing more can be asked of it.
    pub(super) const fn is_killed(&self) -> bool {
        self.killed || self.lost
    }

    pub(super) fn status(&self) -> workflow::expression::Status {
        self.machine.status()
    }
}
