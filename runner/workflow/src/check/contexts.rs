//! Names in expressions that exist as contexts go, but not in this workflow: a job that is not needed, an output that
//! nobody sets, a step that comes later, a key that the matrix lacks.
//!
//! GitHub gives an empty text for each of them, so these are warnings. What cannot be known (a matrix that an expression
//! makes, outputs of steps, `env`, `vars`, payloads of events) is left alone.

use std::collections::HashMap;

use super::known::{GITHUB, JOB, RUNNER, STRATEGY};
use super::visit::{Site, Visit, flatten, sites, steps_of};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::expression::{NamePath, PathEnd};
use crate::model::{Job, JobId, JobKind, Workflow};
use crate::source::Span;
use crate::template::TokenKind;

const NOT_NEEDED: Code = Code("P0210");
const NO_OUTPUT: Code = Code("P0211");
const NO_STEP: Code = Code("P0212");
const LATER_STEP: Code = Code("P0213");
const NO_MATRIX_KEY: Code = Code("P0214");
const NO_INPUT: Code = Code("P0215");
const NO_PROPERTY: Code = Code("P0216");

pub(super) fn check(visit: &mut Visit<'_>) {
    let workflow = visit.workflow;
    let facts = Facts::new(workflow, visit);
    for site in sites(workflow) {
        for path in site.expression.names() {
            one(visit, &facts, &site, &path);
        }
    }
    outputs_of_calls(visit, &facts);
}

/// What is looked up more than once.
struct Facts<'a> {
    jobs: HashMap<String, &'a Job>,
    /// By job: written ids of its steps in lower case, with how many steps are done once it is.
    steps: HashMap<&'a JobId, HashMap<String, usize>>,
    /// By job: the keys of its matrix, if they are known.
    matrices: HashMap<&'a JobId, Option<Vec<&'a str>>>,
    /// None where they are not known.
    inputs: Option<Vec<&'a str>>,
}

impl<'a> Facts<'a> {
    fn new(workflow: &'a Workflow, visit: &Visit<'_>) -> Self {
        let jobs = workflow.jobs.values().map(|job| (job.id.value.as_str().to_ascii_lowercase(), job)).collect();
        let mut steps = HashMap::new();
        let mut matrices = HashMap::new();
        for job in workflow.jobs.values() {
            if let Some(own) = steps_of(job) {
                let ids = flatten(&own.steps).into_iter().enumerate().filter(|(_, (step, _))| step.id_written);
                let ids = ids.map(|(at, (step, _))| (step.id.as_str().to_ascii_lowercase(), at + 1));
                steps.insert(&job.id.value, ids.collect());
            }
            matrices.insert(&job.id.value, matrix_keys(job));
        }
        let entry = |name: &str| workflow.on.entries.get(name);
        let dispatch = entry("workflow_dispatch").map(|entry| entry.dispatch_inputs.keys());
        let call = entry("workflow_call").map(|entry| entry.call_inputs.keys());
        let names = dispatch.into_iter().flatten().chain(call.into_iter().flatten()).map(String::as_str).collect();
        let is_sound = !visit.damage.is_in(workflow.on.span) && !workflow.on.entries.is_empty();
        Self { jobs, steps, matrices, inputs: is_sound.then_some(names) }
    }
}

/// Empty where the job has no matrix, none where it is made by an expression.
fn matrix_keys(job: &Job) -> Option<Vec<&str>> {
    let Some(strategy) = &job.strategy else { return Some(Vec::new()) };
    let Some(matrix) = &strategy.matrix else {
        return if strategy.token.has_expression() { None } else { Some(Vec::new()) };
    };
    let mut keys = Vec::new();
    for (key, value) in matrix.as_mapping()? {
        match key.as_str()? {
            "include" => {
                for item in value.as_sequence()? {
                    for (key, _) in item.as_mapping()? {
                        keys.push(key.as_str()?);
                    }
                }
            }
            "exclude" => {}
            key => keys.push(key),
        }
    }
    Some(keys)
}

fn one(visit: &mut Visit<'_>, facts: &Facts<'_>, site: &Site<'_>, path: &NamePath<'_>) {
    let [context, rest @ ..] = path.parts.as_slice() else { return };
    let Some(first) = rest.first() else { return };
    match context.to_ascii_lowercase().as_str() {
        "needs" => needs(visit, facts, site, path),
        "steps" => steps(visit, facts, site, path),
        "matrix" => matrix(visit, facts, site, path, first),
        "inputs" => inputs(visit, facts, site, path, first),
        "github" => property(visit, site, path, GITHUB),
        "runner" => property(visit, site, path, RUNNER),
        "strategy" => property(visit, site, path, STRATEGY),
        "job" => job_context(visit, site, path),
        _ => {}
    }
}

/// The place of one part of a path.
fn part_span(visit: &Visit<'_>, site: &Site<'_>, path: &NamePath<'_>, index: usize) -> Span {
    let text = site.expression.text().get(path.span.clone()).unwrap_or_default();
    let mut at = 0;
    let mut found = 0..text.len();
    for part in path.parts.iter().take(index + 1) {
        let Some(start) = text.get(at..).and_then(|rest| rest.find(part)) else { break };
        found = at + start..at + start + part.len();
        at = found.end;
    }
    site.locate(visit.source, path.span.start + found.start..path.span.start + found.end)
}

fn has(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn needs(visit: &mut Visit<'_>, facts: &Facts<'_>, site: &Site<'_>, path: &NamePath<'_>) {
    let Some(job) = site.job else { return };
    let name = path.parts[1];
    let span = part_span(visit, site, path, 1);
    if !job.needs.iter().any(|need| need.value.as_str().eq_ignore_ascii_case(name)) {
        let own = &job.id.value;
        if visit.damage.is_in(job.span) {
            return;
        }
        let needed = job.needs.iter().map(|need| need.value.as_str());
        // A misspelt name of a need is the one mistake, wherever it is repeated.
        if job.needs.iter().any(|need| {
            !facts.jobs.contains_key(&need.value.as_str().to_ascii_lowercase())
                && suggest(need.value.as_str(), [name]).is_some()
        }) {
            return;
        }
        let exists = facts.jobs.contains_key(&name.to_ascii_lowercase()) && !name.eq_ignore_ascii_case(own.as_str());
        let found = if exists {
            Diagnostic::warning(NOT_NEEDED, span, format!("job `{own}` does not need `{name}`, so this is empty"))
                .help(format!("add `{name}` to `needs` of job `{own}`"))
        } else {
            let others = facts.jobs.values().map(|job| job.id.value.as_str()).filter(|id| *id != own.as_str());
            let near = suggest(name, needed).or_else(|| suggest(name, others)).map(str::to_owned);
            Diagnostic::warning(NOT_NEEDED, span, format!("there is no job `{name}`")).did_you_mean(near.as_deref())
        };
        visit.diagnostics.push(found);
        return;
    }
    let Some(kind) = path.parts.get(2) else { return };
    if !has(&["outputs", "result", "outputs-by-leg"], kind) {
        unknown_property(visit, part_span(visit, site, path, 2), kind, "a needed job", &["outputs", "result"]);
        return;
    }
    let (Some(output), true) = (path.parts.get(3), kind.eq_ignore_ascii_case("outputs")) else { return };
    let Some(target) = facts.jobs.get(&name.to_ascii_lowercase()) else { return };
    if let Some(outputs) = outputs_of(target).filter(|_| !visit.damage.is_in(target.span)) {
        let span = part_span(visit, site, path, 3);
        no_output(visit, span, target, output, &outputs);
    }
}

fn no_output(visit: &mut Visit<'_>, span: Span, target: &Job, output: &str, outputs: &[&str]) {
    if has(outputs, output) {
        return;
    }
    let found = Diagnostic::warning(NO_OUTPUT, span, format!("job `{}` has no output `{output}`", target.id.value));
    let found = found.related(target.id.span, "this job");
    visit.diagnostics.push(match suggest(output, outputs.iter().copied()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None if outputs.is_empty() => found.help("give the job `outputs:`, each from a step's output"),
        None => found.help(format!("it has {}", listed(outputs))),
    });
}

/// The outputs of a job, if they are known.
fn outputs_of(job: &Job) -> Option<Vec<&str>> {
    match &job.kind {
        JobKind::Steps(steps) => match &steps.outputs {
            None => Some(Vec::new()),
            Some(outputs) => outputs.as_mapping()?.iter().map(|(key, _)| key.as_str()).collect(),
        },
        JobKind::Call(call) => call.called.as_ref().map(|called| called.outputs.keys().map(String::as_str).collect()),
    }
}

fn steps(visit: &mut Visit<'_>, facts: &Facts<'_>, site: &Site<'_>, path: &NamePath<'_>) {
    let Some((job, ids)) = site.job.and_then(|job| Some((job, facts.steps.get(&job.id.value)?))) else { return };
    let name = path.parts[1];
    let span = part_span(visit, site, path, 1);
    match ids.get(&name.to_ascii_lowercase()) {
        None => {
            if visit.damage.is_in(job.span) {
                return;
            }
            let written = steps_of(job).map(|steps| flatten(&steps.steps)).unwrap_or_default();
            let names = written.into_iter().filter(|(step, _)| step.id_written).map(|(step, _)| step.id.as_str());
            let near = suggest(name, names).map(str::to_owned);
            let found = Diagnostic::warning(NO_STEP, span, format!("no step of this job has the id `{name}`"));
            visit.diagnostics.push(match near {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help(format!("add `id: {name}` to the step that is meant; steps of other jobs give theirs by `outputs` and `needs`")),
            });
        }
        Some(at) if *at > site.steps_done => {
            let message = format!("the step `{name}` is not done when this is evaluated, so this is empty");
            visit
                .diagnostics
                .push(Diagnostic::warning(LATER_STEP, span, message).help("use only steps that come before this one"));
        }
        Some(_) => {
            if let Some(kind) = path.parts.get(2).filter(|kind| !has(&["outputs", "outcome", "conclusion"], kind)) {
                let span = part_span(visit, site, path, 2);
                unknown_property(visit, span, kind, "a step", &["outputs", "outcome", "conclusion"]);
            }
        }
    }
}

fn matrix(visit: &mut Visit<'_>, facts: &Facts<'_>, site: &Site<'_>, path: &NamePath<'_>, name: &str) {
    let Some(job) = site.job else { return };
    let Some(Some(keys)) = facts.matrices.get(&job.id.value) else { return };
    if has(keys, name) || visit.damage.is_in(job.span) {
        return;
    }
    let span = part_span(visit, site, path, 1);
    let found = if keys.is_empty() {
        Diagnostic::warning(NO_MATRIX_KEY, span, format!("job `{}` has no matrix, so this is empty", job.id.value))
            .help(format!("add `strategy: {{matrix: {{{name}: […]}}}}`"))
    } else {
        let mut known = keys.clone();
        known.sort_unstable();
        known.dedup();
        let found = Diagnostic::warning(NO_MATRIX_KEY, span, format!("the matrix has no `{name}`"));
        match suggest(name, keys.iter().copied()) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found.help(format!("it has {}", listed(&known))),
        }
    };
    visit.diagnostics.push(found);
}

fn inputs(visit: &mut Visit<'_>, facts: &Facts<'_>, site: &Site<'_>, path: &NamePath<'_>, name: &str) {
    let Some(known) = facts.inputs.as_ref().filter(|known| !has(known, name)) else { return };
    let span = part_span(visit, site, path, 1);
    let found = Diagnostic::warning(NO_INPUT, span, format!("this workflow has no input `{name}`"));
    visit.diagnostics.push(match suggest(name, known.iter().copied()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => found.help("add it below `inputs:` of `workflow_dispatch` or `workflow_call`"),
        None => found.help(format!("it has {}", listed(known))),
    });
}

fn property(visit: &mut Visit<'_>, site: &Site<'_>, path: &NamePath<'_>, known: &[&'static str]) {
    if has(known, path.parts[1]) {
        return;
    }
    let span = part_span(visit, site, path, 1);
    unknown_property(visit, span, path.parts[1], &format!("`{}`", path.parts[0]), known);
}

fn unknown_property(visit: &mut Visit<'_>, span: Span, name: &str, of: &str, known: &[&'static str]) {
    let other = match name.to_ascii_lowercase().as_str() {
        "output" => Some("outputs"),
        "status" => Some("result"),
        "branch" | "branch_name" => Some("ref_name"),
        "commit" => Some("sha"),
        "user" | "username" => Some("actor"),
        "repo" => Some("repository"),
        "owner" => Some("repository_owner"),
        _ => None,
    };
    let other = other.and_then(|meant| known.iter().copied().find(|known| *known == meant));
    let near = other.or_else(|| suggest(name, known.iter().copied()));
    let found = Diagnostic::warning(NO_PROPERTY, span, format!("{of} has no `{name}`"));
    visit.diagnostics.push(match near {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help(format!("it has {}", listed(known))),
    });
}

fn job_context(visit: &mut Visit<'_>, site: &Site<'_>, path: &NamePath<'_>) {
    property(visit, site, path, JOB);
    if !path.parts[1].eq_ignore_ascii_case("services") {
        return;
    }
    let (Some(name), Some(job)) = (path.parts.get(2), site.job) else { return };
    let Some(own) = steps_of(job) else { return };
    let services: Option<Vec<&str>> = match &own.services {
        None => Some(Vec::new()),
        Some(services) => services.as_mapping().map(|pairs| pairs.iter().filter_map(|(key, _)| key.as_str()).collect()),
    };
    let Some(services) = services.filter(|names| !has(names, name) && !visit.damage.is_in(job.span)) else { return };
    let span = part_span(visit, site, path, 2);
    let found = Diagnostic::warning(NO_PROPERTY, span, format!("job `{}` has no service `{name}`", job.id.value));
    visit.diagnostics.push(found.did_you_mean(suggest(name, services.iter().copied())));
}

/// `jobs.build.outputs.x` in the outputs of a workflow that is called.
fn outputs_of_calls(visit: &mut Visit<'_>, facts: &Facts<'_>) {
    let Some(call) = visit.workflow.on.entries.get("workflow_call") else { return };
    for token in call.call_outputs.values().map(|output| &output.value) {
        let TokenKind::Expression(expression) = &token.kind else { continue };
        let site = Site { expression, span: token.span, job: None, steps_done: 0, sink: super::visit::Sink::Value };
        for path in expression.names().filter(|path| path.parts[0].eq_ignore_ascii_case("jobs")) {
            let Some(name) = path.parts.get(1) else { continue };
            let Some(target) = facts.jobs.get(&name.to_ascii_lowercase()) else {
                if !visit.damage.is_anywhere() {
                    let span = part_span(visit, &site, &path, 1);
                    let near = suggest(name, facts.jobs.values().map(|job| job.id.value.as_str())).map(str::to_owned);
                    let found = Diagnostic::warning(NOT_NEEDED, span, format!("there is no job `{name}`"));
                    visit.diagnostics.push(found.did_you_mean(near.as_deref()));
                }
                continue;
            };
            let is_outputs = path.parts.get(2).is_some_and(|kind| kind.eq_ignore_ascii_case("outputs"));
            let outputs = outputs_of(target).filter(|_| is_outputs && path.end == PathEnd::Whole);
            if let (Some(output), Some(outputs)) = (path.parts.get(3), outputs) {
                let span = part_span(visit, &site, &path, 3);
                no_output(visit, span, target, output, &outputs);
            }
        }
    }
}
