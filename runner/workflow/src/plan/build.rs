//! Making a plan: calls become frames, needs become places, static matrices become legs.
//!
//! Linear in the size of the workflow. Everything that is wrong is collected.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::predict::{Before, predict};
use super::{Frame, FrameIndex, JobIndex, Known, Plan, PlannedJob, PlannedLegs, Prediction, order, secrets};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::event::Event;
use crate::expression::{Object, Value};
use crate::matrix;
use crate::model::{CallInput, CalledWorkflow, InputType, Job, JobId, JobKind, ReusableCall, Secrets, Workflow};
use crate::template::{Token, evaluate};

/// Most jobs of a run, called workflows included.
pub const JOBS_MAX: usize = 1_000;
/// From this many steps in one job on a warning is given.
pub const STEPS_MANY: usize = 1_000;
/// Most steps of one job.
pub const STEPS_MAX: usize = 10_000;
/// Most levels of workflows, the first included.
pub const CALL_DEPTH_MAX: usize = 10;

const TOO_MANY_JOBS: Code = Code("P0514");
const TOO_MANY_STEPS: Code = Code("P0515");
const TOO_DEEP: Code = Code("P0516");

/// What a plan is made for.
#[derive(Debug, Clone)]
pub struct PlanFacts {
    /// The event, as [`crate::trigger::decide`] gave it back.
    pub event: Arc<Event>,
    /// The typed inputs that it gave.
    pub inputs: Map<String, Json>,
    /// The `github` context as far as known; facts of the run are never read from it.
    pub github: Map<String, Json>,
    /// Configuration variables: the `vars` context.
    pub vars: Map<String, Json>,
}

impl Plan {
    /// Plans a workflow for an event that starts it.
    ///
    /// # Errors
    /// Needs that no job has, cycles, static matrices that are wrong, and what exceeds [`JOBS_MAX`], [`STEPS_MAX`] or
    /// [`CALL_DEPTH_MAX`].
    pub fn new(workflow: &Workflow, facts: &PlanFacts) -> Result<Self, Vec<Diagnostic>> {
        let known = Known::new(&facts.github, &facts.vars, &facts.inputs);
        let root = Frame {
            caller: None,
            name: workflow.name.as_ref().map(|name| name.value.clone()),
            known: Arc::new(known),
            jobs: Vec::new(),
            env: workflow.env.clone(),
            defaults: workflow.defaults.clone(),
            concurrency: workflow.concurrency.clone(),
            permissions: workflow.permissions.clone(),
            inputs: indexmap::IndexMap::new(),
            secrets: indexmap::IndexMap::new(),
            outputs: indexmap::IndexMap::new(),
            with: None,
            passed_secrets: Secrets::Inherit,
        };
        let plan = Self {
            path: workflow.path.clone(),
            name: workflow.display_name().to_owned(),
            run_name: workflow.run_name.clone(),
            event: Arc::clone(&facts.event),
            frames: vec![root],
            jobs: Vec::new(),
            order: Vec::new(),
            warnings: Vec::new(),
        };
        let mut builder = Builder { plan, errors: Vec::new() };
        let jobs: Vec<&Job> = workflow.jobs.values().collect();
        builder.frame(FrameIndex(0), &jobs, 1);
        if builder.errors.is_empty() { Ok(builder.plan) } else { Err(builder.errors) }
    }
}

struct Builder {
    plan: Plan,
    errors: Vec<Diagnostic>,
}

impl Builder {
    /// Adds the jobs of one workflow; gives their order, called jobs included. Recursion is as deep as calls are.
    fn frame(&mut self, frame: FrameIndex, jobs: &[&Job], depth: usize) {
        let sorted = order::resolve(jobs).and_then(|needs| Ok((order::sort(jobs, &needs)?, needs)));
        let (sorted, needs) = match sorted {
            Ok(sorted) => sorted,
            Err(errors) => return self.errors.extend(errors),
        };
        let mut places = Vec::with_capacity(jobs.len());
        let mut orders = Vec::with_capacity(jobs.len());
        for job in jobs {
            if self.plan.jobs.len() >= JOBS_MAX {
                let message = format!("the workflow has more than {JOBS_MAX} jobs across all called workflows");
                self.errors.push(Diagnostic::error(TOO_MANY_JOBS, job.id.span, message));
                return;
            }
            places.push(self.job(frame, job));
            let before = std::mem::take(&mut self.plan.order);
            if let JobKind::Call(call) = &job.kind {
                self.call(places[places.len() - 1], call, depth);
            }
            orders.push(std::mem::replace(&mut self.plan.order, before));
            if self.errors.iter().any(|error| error.code == TOO_MANY_JOBS) {
                return;
            }
        }
        for (place, needed) in needs.iter().enumerate() {
            for need in needed {
                self.plan.jobs[places[*need].0 as usize].dependents.push(places[place]);
            }
            self.plan.jobs[places[place].0 as usize].needs = needed.iter().map(|need| places[*need]).collect();
        }
        for place in sorted {
            self.plan.order.push(places[place]);
            self.plan.order.append(&mut orders[place]);
        }
        self.plan.frames[usize::from(frame.0)].jobs = places;
        if frame.0 == 0 {
            self.predict();
        }
    }

    fn job(&mut self, frame: FrameIndex, job: &Job) -> JobIndex {
        self.check_steps(job);
        let index = JobIndex(u32::try_from(self.plan.jobs.len()).unwrap_or(u32::MAX));
        let within = self.plan.frame(frame);
        let known = Arc::clone(&within.known);
        let id = match within.caller {
            None => job.id.value.clone(),
            Some(caller) => JobId::new(format!("{}/{}", self.plan.job(caller).id, job.id.value)),
        };
        let secrets = secrets::of_job(job, within);
        let legs = match self.legs(job, &known) {
            Ok(legs) => legs,
            Err(errors) => {
                self.errors.extend(errors);
                PlannedLegs::Single
            }
        };
        let name = job.name.as_ref().map_or_else(|| Some(job.id.value.to_string()), |name| known.text(name));
        self.plan.jobs.push(PlannedJob {
            id,
            job: Arc::new(without_called(job)),
            frame,
            needs: Vec::new(),
            dependents: Vec::new(),
            calls: None,
            legs,
            name,
            secrets,
            prediction: Prediction::Depends,
        });
        index
    }

    fn check_steps(&mut self, job: &Job) {
        let JobKind::Steps(steps) = &job.kind else { return };
        let count = steps.steps.len();
        let message = |most: usize| format!("job `{}` has {count} steps, more than {most}", job.id.value);
        if count > STEPS_MAX {
            self.errors.push(Diagnostic::error(TOO_MANY_STEPS, job.id.span, message(STEPS_MAX)));
        } else if count > STEPS_MANY {
            self.plan.warnings.push(Diagnostic::warning(TOO_MANY_STEPS, job.id.span, message(STEPS_MANY)));
        }
    }

    fn legs(&mut self, job: &Job, known: &Known) -> Result<PlannedLegs, Vec<Diagnostic>> {
        let Some(strategy) = &job.strategy else { return Ok(PlannedLegs::Single) };
        if !known.covers_token(&strategy.token) {
            return Ok(PlannedLegs::Dynamic);
        }
        let legs = match matrix::expand(strategy, known) {
            Ok(legs) => legs,
            // As on GitHub: what an expression makes wrong fails the job, the others run.
            Err(errors) if strategy.token.has_expression() => {
                let told = errors.into_iter().map(|error| Diagnostic { severity: Severity::Warning, ..error });
                self.plan.warnings.extend(told);
                return Ok(PlannedLegs::Dynamic);
            }
            Err(errors) => return Err(errors),
        };
        let single = matches!(&legs.legs[..], [leg] if leg.values.is_none());
        Ok(if single { PlannedLegs::Single } else { PlannedLegs::Static(Arc::new(legs)) })
    }

    fn call(&mut self, caller: JobIndex, call: &ReusableCall, depth: usize) {
        let Some(called) = &call.called else { return };
        if depth >= CALL_DEPTH_MAX {
            let message = format!("workflows are nested more than {CALL_DEPTH_MAX} levels deep");
            self.errors.push(Diagnostic::error(TOO_DEEP, call.reference.span, message));
            return;
        }
        let Ok(number) = u16::try_from(self.plan.frames.len()) else { return };
        let outer = Arc::clone(&self.plan.frame(self.plan.job(caller).frame).known);
        self.plan.frames.push(Frame {
            caller: Some(caller),
            name: called.name.as_ref().map(|name| name.value.clone()),
            known: Arc::new(outer.called(inputs(call.inputs.as_ref(), called, &outer))),
            jobs: Vec::new(),
            env: called.env.clone(),
            defaults: called.defaults.clone(),
            concurrency: called.concurrency.clone(),
            permissions: called.permissions.clone(),
            inputs: called.inputs.clone(),
            secrets: called.secrets.clone(),
            outputs: called.outputs.clone(),
            with: call.inputs.clone(),
            passed_secrets: call.secrets.clone(),
        });
        self.plan.jobs[caller.0 as usize].calls = Some(FrameIndex(number));
        let jobs: Vec<&Job> = called.jobs.values().collect();
        self.frame(FrameIndex(number), &jobs, depth + 1);
    }

    /// The fate of each job, in order, so that those of its needs and its caller are known.
    fn predict(&mut self) {
        let mut skipped_above: Vec<Option<JobIndex>> = vec![None; self.plan.jobs.len()];
        let mut unsure_above = vec![false; self.plan.jobs.len()];
        for index in self.plan.order.clone() {
            let job = self.plan.job(index);
            let frame = self.plan.frame(job.frame);
            let above = job.needs.iter().find_map(|need| {
                if self.plan.job(*need).prediction.is_skipped() { Some(*need) } else { skipped_above[need.0 as usize] }
            });
            skipped_above[index.0 as usize] = above;
            let unsure = job
                .needs
                .iter()
                .any(|need| self.plan.job(*need).prediction == Prediction::Depends || unsure_above[need.0 as usize]);
            unsure_above[index.0 as usize] = unsure;
            let caller = frame.caller.map(|caller| self.plan.job(caller));
            let prediction = match caller {
                Some(caller) if caller.prediction.is_skipped() => Prediction::SkippedWith { job: caller.id.clone() },
                Some(_) | None => {
                    let skipped = above.map(|above| (above, self.plan.job(above).id.clone()));
                    let before = Before { any: !job.needs.is_empty(), skipped, unsure };
                    let own = predict(&job.job, &frame.known, &before);
                    let unsure = caller.is_some_and(|caller| caller.prediction == Prediction::Depends);
                    if unsure && own == Prediction::Runs { Prediction::Depends } else { own }
                }
            };
            self.plan.jobs[index.0 as usize].prediction = prediction;
        }
    }
}

/// The inputs of a called workflow, if they are known before the run.
fn inputs(with: Option<&Token>, called: &CalledWorkflow, outer: &Known) -> Option<Value> {
    let mut values = Object::new();
    for (name, input) in &called.inputs {
        let value = match with.and_then(|with| with.get(name)).or(input.default.as_ref()) {
            Some(token) if outer.covers_token(token) => evaluate(token, outer).ok()?,
            Some(_) => return None,
            None => empty(input),
        };
        values.insert(name.as_str(), value);
    }
    Some(Value::from(values))
}

/// What an input without a value is.
fn empty(input: &CallInput) -> Value {
    match input.kind {
        InputType::Boolean => Value::from(false),
        InputType::Number => Value::from(0.0),
        InputType::String | InputType::Choice | InputType::Environment => Value::from(""),
    }
}

/// The job itself; the workflow that it calls has its own place in the plan, and is not copied with it.
fn without_called(job: &Job) -> Job {
    let kind = match &job.kind {
        JobKind::Steps(steps) => JobKind::Steps(steps.clone()),
        JobKind::Call(call) => JobKind::Call(Box::new(ReusableCall {
            reference: call.reference.clone(),
            inputs: call.inputs.clone(),
            secrets: call.secrets.clone(),
            called: None,
        })),
    };
    Job {
        id: job.id.clone(),
        span: job.span,
        name: job.name.clone(),
        needs: job.needs.clone(),
        needs_written: job.needs_written.clone(),
        condition: job.condition.clone(),
        condition_span: job.condition_span,
        permissions: job.permissions.clone(),
        cache_mode: job.cache_mode,
        strategy: job.strategy.clone(),
        concurrency: job.concurrency.clone(),
        continue_on_error: job.continue_on_error.clone(),
        kind,
    }
}
