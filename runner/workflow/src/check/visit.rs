//! Every expression of a workflow with what surrounds it.

use std::ops::Range;

use super::Damage;
use super::known::CODE_INPUTS;
use crate::diagnostic::Diagnostic;
use crate::expression::Expression;
use crate::model::{Job, JobKind, Secrets, Step, StepKind, StepsJob, Uses, Workflow};
use crate::source::{SourceFile, Span};
use crate::template::{Token, locate};

/// What a check works with.
pub(super) struct Visit<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) workflow: &'a Workflow,
    pub(super) damage: &'a Damage,
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

/// Where an expression ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// A script: what it gives is run.
    Script,
    /// A condition.
    Condition,
    /// Anywhere else.
    Value,
}

/// An expression in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) expression: &'a Expression,
    /// The value that it is in.
    pub(super) span: Span,
    pub(super) job: Option<&'a Job>,
    /// How many steps of the job are done when it is evaluated.
    pub(super) steps_done: usize,
    pub(super) sink: Sink,
}

impl Site<'_> {
    /// The place of a piece of the expression.
    pub(super) fn locate(&self, source: &SourceFile, piece: Range<usize>) -> Span {
        locate(source.text(), self.span, self.expression, piece)
    }
}

/// The steps of a list in order, those of parallel blocks after their block, each with the steps done before it.
pub(super) fn flatten(steps: &[Step]) -> Vec<(&Step, usize)> {
    let mut flat = Vec::with_capacity(steps.len());
    for step in steps {
        let done = flat.len();
        flat.push((step, done));
        if let StepKind::Parallel(inner) = &step.kind {
            // Which of them ends first is not known: each may name the others.
            let done = flat.len() + inner.len();
            flat.extend(inner.iter().map(|step| (step, done)));
        }
    }
    flat
}

/// The steps of a job, if it has any.
pub(super) fn steps_of(job: &Job) -> Option<&StepsJob> {
    match &job.kind {
        JobKind::Steps(steps) => Some(steps),
        JobKind::Call(_) => None,
    }
}

/// Every expression of the file but those of `on:`.
pub(super) fn sites(workflow: &Workflow) -> Vec<Site<'_>> {
    let mut sites = Vec::new();
    let top = [&workflow.run_name, &workflow.env, &workflow.defaults, &workflow.concurrency];
    for token in top.into_iter().flatten() {
        add(&mut sites, token, None, 0, Sink::Value);
    }
    for job in workflow.jobs.values() {
        of_job(&mut sites, job);
    }
    sites
}

/// What a step runs: its script, or what it gives to those inputs of its action that are code.
pub(super) fn scripts_of(step: &Step) -> Vec<&Token> {
    match &step.kind {
        StepKind::Run { script, .. } => vec![script],
        StepKind::Uses { uses, with } => {
            let inputs = with.as_ref().and_then(Token::as_mapping).unwrap_or_default().iter();
            inputs.filter(|(key, _)| is_script(&uses.value, key)).map(|(_, value)| value).collect()
        }
        StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) | StepKind::Parallel(_) => Vec::new(),
    }
}

/// Whether an action runs what this input holds.
fn is_script(uses: &Uses, key: &Token) -> bool {
    let (Uses::Repository { repository, path, .. }, Some(key)) = (uses, key.as_str()) else { return false };
    path.is_empty()
        && CODE_INPUTS.iter().any(|(action, inputs)| {
            repository.eq_ignore_ascii_case(action) && inputs.iter().any(|input| key.eq_ignore_ascii_case(input))
        })
}

fn add<'a>(sites: &mut Vec<Site<'a>>, token: &'a Token, job: Option<&'a Job>, steps_done: usize, sink: Sink) {
    token.each_expression(&mut |expression, span| sites.push(Site { expression, span, job, steps_done, sink }));
}

fn of_job<'a>(sites: &mut Vec<Site<'a>>, job: &'a Job) {
    if let Some(span) = job.condition_span {
        sites.push(Site { expression: &job.condition, span, job: Some(job), steps_done: 0, sink: Sink::Condition });
    }
    let strategy = job.strategy.as_ref().map(|strategy| &strategy.token);
    let shared = [job.name.as_ref(), strategy, job.concurrency.as_ref(), job.continue_on_error.as_ref()];
    let done = usize::MAX;
    let mut tokens: Vec<&Token> = shared.into_iter().flatten().collect();
    match &job.kind {
        JobKind::Steps(steps) => {
            tokens.push(&steps.runs_on);
            let more = [
                &steps.environment,
                &steps.env,
                &steps.defaults,
                &steps.outputs,
                &steps.timeout_minutes,
                &steps.cancel_timeout_minutes,
                &steps.container,
                &steps.services,
            ];
            tokens.extend(more.into_iter().flatten());
        }
        JobKind::Call(call) => {
            tokens.extend(&call.inputs);
            if let Secrets::Mapping(secrets) = &call.secrets {
                tokens.push(secrets);
            }
        }
    }
    for token in tokens {
        add(sites, token, Some(job), done, Sink::Value);
    }
    for (step, done) in steps_of(job).map(|steps| flatten(&steps.steps)).unwrap_or_default() {
        of_step(sites, job, step, done);
    }
}

fn of_step<'a>(sites: &mut Vec<Site<'a>>, job: &'a Job, step: &'a Step, done: usize) {
    if let Some(span) = step.condition_span {
        let expression = &step.condition;
        sites.push(Site { expression, span, job: Some(job), steps_done: done, sink: Sink::Condition });
    }
    for token in [&step.name, &step.continue_on_error, &step.timeout_minutes, &step.env].into_iter().flatten() {
        add(sites, token, Some(job), done, Sink::Value);
    }
    match &step.kind {
        StepKind::Run { script, shell, working_directory } => {
            add(sites, script, Some(job), done, Sink::Script);
            for token in [shell, working_directory].into_iter().flatten() {
                add(sites, token, Some(job), done, Sink::Value);
            }
        }
        StepKind::Uses { uses, with } => {
            for (key, value) in with.as_ref().and_then(Token::as_mapping).unwrap_or_default() {
                add(sites, key, Some(job), done, Sink::Value);
                add(
                    sites,
                    value,
                    Some(job),
                    done,
                    if is_script(&uses.value, key) { Sink::Script } else { Sink::Value },
                );
            }
            if let Some(with) = with.as_ref().filter(|with| with.as_mapping().is_none()) {
                add(sites, with, Some(job), done, Sink::Value);
            }
        }
        StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) | StepKind::Parallel(_) => {}
    }
}
