//! A run as one object: its jobs and steps, made of the facts of its log.

use engine::store::listing::Listing;
use engine::store::{RunId, StoreError};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use workflow::run::{Conclusion, JobPath, JobRunKey, Recorded, RunEvent, SkipReason, StepIndex, StepResult, Terms};

/// The jobs of a run.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    run: u64,
    pub(crate) jobs: IndexMap<JobRunKey, Job>,
    /// When the run began.
    pub(crate) started_at: Option<Timestamp>,
    /// Why somebody has to let the run begin, as long as nobody has.
    pub(crate) held: Option<String>,
    /// Who let it begin.
    pub(crate) released_by: Option<String>,
    /// Why the run cannot go on at all.
    pub(crate) refused: Option<String>,
    /// Who asked for its end.
    pub(crate) cancelled_by: Option<String>,
}

/// One job run.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    /// For the pages of its log: `RUN:KEY`.
    pub(crate) id: String,
    /// As in events.
    pub(crate) key: JobRunKey,
    pub(crate) name: String,
    /// `queued`, `waiting` (for a review), `in_progress` or `completed`.
    pub(crate) status: &'static str,
    pub(crate) conclusion: Option<&'static str>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// What runs it.
    pub(crate) runner: Option<String>,
    /// Why, where no step explains it.
    pub(crate) message: Option<String>,
    /// Whether it calls a workflow; its jobs are listed after it.
    pub(crate) calls: bool,
    pub(crate) continue_on_error: bool,
    /// Where it came to an environment with rules.
    pub(crate) review: Option<Review>,
    pub(crate) steps: IndexMap<u32, Step>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Review {
    pub(crate) environment: String,
    /// Who may approve, people and `team:NAME`; empty: nobody has to.
    pub(crate) reviewers: Vec<String>,
    /// How many of them have to.
    pub(crate) required: u32,
    /// Who began the run and may not approve it.
    pub(crate) barred: Vec<String>,
    /// Who wrote what would come and may not approve it either; `None`: they may.
    pub(crate) authors: Option<Vec<String>>,
    /// When the job fails because nobody reviewed it.
    pub(crate) expires_at: Option<Timestamp>,
    /// Not before this time.
    pub(crate) waits_until: Option<Timestamp>,
    /// What exactly is approved, to be sent back with a review.
    pub(crate) subject: String,
    /// `approved` or `rejected`, once no more is wanted.
    pub(crate) state: Option<&'static str>,
    /// Who decided it.
    pub(crate) by: Option<String>,
    pub(crate) comment: Option<String>,
    /// What reviewers said, in order.
    pub(crate) reviews: Vec<Opinion>,
}

impl Review {
    fn of(environment: &str, reviewers: &[String], wait_ms: u64, terms: &Terms, at: Timestamp) -> Self {
        let after = |milliseconds| at.checked_add(std::time::Duration::from_millis(milliseconds)).ok();
        Self {
            environment: environment.to_owned(),
            reviewers: reviewers.to_vec(),
            required: if reviewers.is_empty() { 0 } else { terms.required },
            barred: terms.barred.clone(),
            authors: terms.authors.clone(),
            expires_at: after(terms.expires_ms).filter(|_| !reviewers.is_empty()),
            waits_until: after(wait_ms).filter(|_| wait_ms > 0),
            subject: terms.subject.clone(),
            ..Self::default()
        }
    }
}

/// What one reviewer said.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Opinion {
    pub(crate) by: String,
    pub(crate) approved: bool,
    pub(crate) comment: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) status: &'static str,
    /// What counts, after `continue-on-error`.
    pub(crate) conclusion: Option<&'static str>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

impl Step {
    fn end(&mut self, result: &StepResult, at: Timestamp) {
        (self.status, self.finished_at) = ("completed", Some(at));
        self.conclusion = Some(result.conclusion.word());
        self.outcome = Some(result.outcome.word());
        self.exit_code = result.exit_code;
        self.message.clone_from(&result.message);
    }
}

impl Jobs {
    pub(crate) fn of(run: RunId) -> Self {
        Self { run: run.0, ..Self::default() }
    }

    /// Those of a run so far.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn read(listing: &Listing, run: RunId) -> Result<Self, StoreError> {
        let mut jobs = Self::of(run);
        listing.log(run).await?.iter().for_each(|fact| jobs.add(fact));
        Ok(jobs)
    }

    /// As JSON: steps as a list with their numbers.
    pub(crate) fn into_json(self) -> serde_json::Value {
        let jobs = self.jobs.into_values().map(|job| {
            let mut value = serde_json::to_value(&job).unwrap_or_default();
            let steps = job.steps.iter().map(|(number, step)| {
                let mut step = serde_json::to_value(step).unwrap_or_default();
                step["number"] = (*number).into();
                step
            });
            value["steps"] = steps.collect();
            value
        });
        jobs.collect()
    }

    fn placed(&mut self, key: &JobRunKey, runner: &str) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.runner = Some(runner.to_owned());
        }
    }

    /// What a killed process did of a job counts no more.
    fn reset(&mut self, key: &JobRunKey) {
        if let Some(job) = self.jobs.get_mut(key) {
            (job.status, job.started_at, job.runner) = ("queued", None, None);
            job.steps.clear();
        }
    }

    pub(crate) fn add(&mut self, fact: &Recorded) {
        let at = fact.at;
        match &fact.event {
            RunEvent::JobExpanded { job, matrix, legs, .. } => {
                for (index, leg) in (0_u32..).zip(legs) {
                    let key = JobRunKey::new(job.clone(), matrix.then_some(index));
                    let continue_on_error = leg.continue_on_error;
                    self.insert(key, &leg.name).continue_on_error = continue_on_error;
                }
            }
            RunEvent::JobSkipped { reason: SkipReason::NotSelected, .. } => {}
            RunEvent::JobSkipped { job, reason } => {
                let cancelled = *reason == SkipReason::Cancelled;
                let conclusion = if cancelled { Conclusion::Cancelled } else { Conclusion::Skipped };
                self.ended(job, conclusion, Some(reason.sentence()), at);
            }
            RunEvent::RunHeld { reason } => self.held = Some(reason.clone()),
            RunEvent::RunReleased { by } => (self.held, self.released_by) = (None, Some(by.clone())),
            RunEvent::RunRefused { message } => self.refused = Some(message.clone()),
            RunEvent::RunCancelRequested { by, .. } => self.cancelled_by = Some(by.clone()),
            RunEvent::RunStarted => self.started_at = Some(at),
            RunEvent::JobRefused { job, message } => self.ended(job, Conclusion::Failure, Some(message.clone()), at),
            RunEvent::ReviewRequested { key, environment, reviewers, wait_ms, terms } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    job.status = "waiting";
                    job.review = Some(Review::of(environment, reviewers, *wait_ms, terms, at));
                }
            }
            RunEvent::Reviewed { key, approved, by, comment, passed } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    let review = job.review.get_or_insert_default();
                    let (by, comment) = (by.clone(), comment.clone());
                    if *passed {
                        job.status = "queued";
                        review.state = Some(if *approved { "approved" } else { "rejected" });
                        (review.by, review.comment) = (Some(by.clone()), Some(comment.clone()));
                    }
                    review.reviews.push(Opinion { by, approved: *approved, comment, at });
                }
            }
            RunEvent::CallStarted { key, .. } => {
                if let Some(job) = self.begin(key, at) {
                    job.calls = true;
                }
            }
            RunEvent::JobRunStarted { key } => drop(self.begin(key, at)),
            RunEvent::JobRunPlaced { key, runner, .. } => self.placed(key, runner),
            RunEvent::JobRunReset { key } => self.reset(key),
            RunEvent::StepStarted { key, step, name } => {
                let step = self.step(key, *step);
                step.name.clone_from(name);
                (step.status, step.started_at) = ("in_progress", Some(at));
            }
            RunEvent::StepFinished { key, step, result } => self.step(key, *step).end(result, at),
            RunEvent::JobRunFinished { key, conclusion, message, .. } => {
                if let Some(job) = self.jobs.get_mut(key) {
                    (job.status, job.conclusion) = ("completed", Some(conclusion.word()));
                    job.finished_at = Some(at);
                    job.message.clone_from(message);
                }
            }
            RunEvent::GroupRequested { .. }
            | RunEvent::GroupAcquired { .. }
            | RunEvent::RunFinished { .. }
            | RunEvent::JobRunCancelRequested { .. } => {}
        }
    }

    fn insert(&mut self, key: JobRunKey, name: &str) -> &mut Job {
        let run = self.run;
        self.jobs.entry(key.clone()).or_insert_with(|| Job {
            id: format!("{run}:{key}"),
            key,
            name: name.to_owned(),
            status: "queued",
            conclusion: None,
            started_at: None,
            finished_at: None,
            runner: None,
            message: None,
            calls: false,
            continue_on_error: false,
            review: None,
            steps: IndexMap::new(),
        })
    }

    fn ended(&mut self, job: &JobPath, conclusion: Conclusion, message: Option<String>, at: Timestamp) {
        let name = job.as_str().replace('/', " / ");
        let job = self.insert(JobRunKey::new(job.clone(), None), &name);
        (job.status, job.conclusion) = ("completed", Some(conclusion.word()));
        (job.finished_at, job.message) = (Some(at), message);
    }

    fn begin(&mut self, key: &JobRunKey, at: Timestamp) -> Option<&mut Job> {
        let job = self.jobs.get_mut(key)?;
        (job.status, job.started_at) = ("in_progress", Some(at));
        Some(job)
    }

    fn step(&mut self, key: &JobRunKey, step: StepIndex) -> &mut Step {
        let job = self.insert(key.clone(), key.job.as_str());
        job.steps.entry(step.0).or_insert_with(|| Step {
            name: String::new(),
            status: "queued",
            conclusion: None,
            outcome: None,
            exit_code: None,
            message: None,
            started_at: None,
            finished_at: None,
        })
    }
}
