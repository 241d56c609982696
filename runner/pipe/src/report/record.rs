//! What has happened so far, as far as views and the summary need it.

use std::time::Duration;

use engine::notice::Notice;
use indexmap::IndexMap;
use jiff::Timestamp;
use workflow::command::Annotation;
use workflow::run::{Conclusion, JobPath, JobRunKey, Leg, Recorded, RunEvent, SkipReason, StepIndex, StepResult};

use super::duration::between;
use super::lines::Tail;

/// Annotations that are shown; the rest is counted.
const ANNOTATIONS_MAX: usize = 50;

/// A run as it is known.
#[derive(Debug, Default)]
pub struct Record {
    /// Job runs in the order in which they became known; a skipped job is one.
    pub jobs: IndexMap<JobRunKey, JobRecord>,
    /// Annotations with their job and step.
    pub annotations: Vec<(JobRunKey, Option<StepIndex>, Annotation)>,
    /// Annotations beyond those.
    pub annotations_dropped: usize,
    /// Steps that wrote a summary, and its length in bytes.
    pub summaries: Vec<(JobRunKey, StepIndex, usize)>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How and when it ended.
    pub finished: Option<(Conclusion, Timestamp)>,
    /// What names of jobs begin with, where several runs go on at once.
    label: Option<String>,
}

/// One job run.
#[derive(Debug)]
pub struct JobRecord {
    /// Display name.
    pub name: String,
    /// The name with that of its workflow, where several runs go on at once.
    pub shown: String,
    /// Whether its failure counts.
    pub continue_on_error: bool,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How and when it ended.
    pub finished: Option<(Conclusion, Timestamp)>,
    /// Why, where no step explains it.
    pub message: Option<String>,
    /// Steps that began, by place.
    pub steps: IndexMap<StepIndex, StepRecord>,
    /// Output outside of steps.
    pub tail: Tail,
    /// Whether it calls a workflow: then its jobs are shown, not it.
    pub calls: bool,
}

/// One step.
#[derive(Debug)]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// When it began.
    pub started: Timestamp,
    /// How and when it ended.
    pub finished: Option<(StepResult, Timestamp)>,
    /// The end of its output; dropped when it succeeds.
    pub tail: Tail,
}

impl JobRecord {
    fn new(leg: &Leg) -> Self {
        Self {
            name: leg.name.clone(),
            shown: String::new(),
            continue_on_error: leg.continue_on_error,
            started: None,
            finished: None,
            message: None,
            steps: IndexMap::new(),
            tail: Tail::default(),
            calls: false,
        }
    }

    fn ended(job: &JobPath, conclusion: Conclusion, message: String, at: Timestamp) -> Self {
        Self {
            name: job.as_str().replace('/', " / "),
            shown: String::new(),
            continue_on_error: false,
            started: None,
            finished: Some((conclusion, at)),
            message: Some(message),
            steps: IndexMap::new(),
            tail: Tail::default(),
            calls: false,
        }
    }

    /// How long it ran.
    pub fn duration(&self) -> Option<Duration> {
        Some(between(self.started?, self.finished?.1))
    }
}

impl StepRecord {
    /// How long it ran.
    pub fn duration(&self) -> Option<Duration> {
        self.finished.as_ref().map(|(_, at)| between(self.started, *at))
    }
}

impl Record {
    /// A record of a run that is one of several.
    pub fn labelled(label: Option<String>) -> Self {
        Self { label, ..Self::default() }
    }

    fn insert(&mut self, key: JobRunKey, job: JobRecord) {
        let shown = match &self.label {
            Some(label) => format!("{label} / {}", job.name),
            None => job.name.clone(),
        };
        self.jobs.insert(key, JobRecord { shown, ..job });
    }

    /// What a line about the run as a whole begins with.
    pub fn lead(&self) -> String {
        self.label.as_ref().map(|label| format!("{label} ")).unwrap_or_default()
    }

    /// Takes a notice.
    pub fn add(&mut self, notice: &Notice) {
        match notice {
            Notice::Recorded(recorded) => self.fact(recorded),
            Notice::Output { key, step, bytes } => {
                let Some(job) = self.jobs.get_mut(key) else { return };
                match step.and_then(|step| job.steps.get_mut(&step)) {
                    Some(step) => step.tail.push(bytes),
                    None => job.tail.push(bytes),
                }
            }
            Notice::Placing { .. } => {}
            Notice::Annotated { annotation, .. } if self.annotations.len() >= ANNOTATIONS_MAX => {
                let _not_shown = annotation;
                self.annotations_dropped += 1;
            }
            Notice::Annotated { key, step, annotation } => {
                self.annotations.push((key.clone(), *step, Annotation::clone(annotation)));
            }
            Notice::Summary { key, step, markdown } => self.summaries.push((key.clone(), *step, markdown.len())),
        }
    }

    /// A job run's name.
    pub fn name<'a>(&'a self, key: &'a JobRunKey) -> &'a str {
        self.jobs.get(key).map_or(key.job.as_str(), |job| &job.shown)
    }

    /// Job runs that are over, and all that are known; calling jobs do not count.
    pub fn progress(&self) -> (usize, usize) {
        let own = || self.jobs.values().filter(|job| !job.calls);
        (own().filter(|job| job.finished.is_some()).count(), own().count())
    }

    fn fact(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            RunEvent::RunStarted => self.started = Some(at),
            RunEvent::RunFinished { conclusion } => self.finished = Some((*conclusion, at)),
            RunEvent::JobExpanded { job, matrix, legs, .. } => {
                for (index, leg) in (0u32..).zip(legs) {
                    let key = JobRunKey::new(job.clone(), matrix.then_some(index));
                    self.insert(key, JobRecord::new(leg));
                }
            }
            RunEvent::JobSkipped { reason: SkipReason::NotSelected, .. } => {}
            RunEvent::JobSkipped { job, reason } => {
                let conclusion =
                    if *reason == SkipReason::Cancelled { Conclusion::Cancelled } else { Conclusion::Skipped };
                let record = JobRecord::ended(job, conclusion, why_skipped(reason), at);
                self.insert(JobRunKey::new(job.clone(), None), record);
            }
            RunEvent::JobRefused { job, message } => {
                let record = JobRecord::ended(job, Conclusion::Failure, message.clone(), at);
                self.insert(JobRunKey::new(job.clone(), None), record);
            }
            RunEvent::CallStarted { key, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.started = Some(at);
                    job.calls = true;
                }
            }
            RunEvent::JobRunStarted { key } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.started = Some(at);
                }
            }
            RunEvent::StepStarted { key, step, name } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    let record = StepRecord { name: name.clone(), started: at, finished: None, tail: Tail::default() };
                    job.steps.insert(*step, record);
                }
            }
            RunEvent::StepFinished { key, step, result } => {
                if let Some(step) = self.jobs.get_mut(key).and_then(|job| job.steps.get_mut(step)) {
                    step.finished = Some((result.clone(), at));
                    if result.outcome != Conclusion::Failure {
                        step.tail = Tail::default();
                    }
                }
            }
            RunEvent::JobRunFinished { key, conclusion, message, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.finished = Some((*conclusion, at));
                    job.message.clone_from(message);
                }
            }
            RunEvent::JobRunReset { key } => self.reset(key),
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::JobRunCancelRequested { .. }
            | RunEvent::RunCancelRequested { .. }
            | RunEvent::ReviewRequested { .. }
            | RunEvent::Reviewed { .. }
            | RunEvent::RunHeld { .. }
            | RunEvent::RunReleased { .. }
            | RunEvent::RunRefused { .. }
            | RunEvent::JobRunPlaced { .. } => {}
        }
    }

    /// What a killed process did of a job counts no more.
    fn reset(&mut self, key: &JobRunKey) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.started = None;
            job.steps.clear();
        }
    }
}

/// A skip reason in words.
pub fn why_skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Condition { expression } => format!("`if: {expression}` is false"),
        SkipReason::Needs { job, result } => format!("needs `{job}`, which ended with {}", result.word()),
        SkipReason::Cancelled => "the run was cancelled".to_owned(),
        SkipReason::NotSelected => "not asked for".to_owned(),
        SkipReason::EmptyMatrix => "its matrix is empty".to_owned(),
    }
}
