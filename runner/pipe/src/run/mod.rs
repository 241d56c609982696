//! `pipe run`: from flags to runs, all workflows at the same time, and what is shown of them.
//!
//! The parts: what is asked ([`order`]), the machine that performs it ([`machine`]), how it is watched and steered
//! ([`conduct`]), and how one goes on that was killed or failed ([`resume`], [`asked`]).

mod act;
pub mod ask;
mod asked;
mod changed;
mod conduct;
mod environments;
pub mod leftovers;
pub mod machine;
mod order;
mod question;
mod repeat;
mod resume;
pub mod signal;

pub use signal::Signals;

use resume::Resumed;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use workflow::event::EventName;

use crate::actions::Names;
use crate::args::{Global, RunArgs};
use crate::exit::{Exit, Failure};
use crate::happening::{self, Wish};
use crate::labels;
use crate::plan::{self, wanted};
use crate::planning::{self, Outcome, Request};
use crate::render;
use crate::repository::Repository;
use crate::select::Workflows;
use crate::terminal::{self, Terminal};
use crate::values::{self, Values};

/// Runs the command.
pub fn run(args: &RunArgs, global: &Global) -> Result<Exit, Failure> {
    match &args.resume {
        None if args.from.is_some() => {
            Err(Failure::usage("`--from` says where a run goes on, and none is named").help("name it: `--resume RUN`"))
        }
        Some(run) => resume::run(run, args, global),
        None => perform(args, global, None),
    }
}

/// Performs what is asked, or goes on with what was asked before.
fn perform(args: &RunArgs, global: &Global, resumed: Option<Resumed>) -> Result<Exit, Failure> {
    let terminal = Terminal::stderr(global.color);
    act::answer(&args.act, terminal, global.quiet)?;
    let (workflows, event) = find(args, global)?;
    let known: Vec<_> = workflows.readings.iter().filter_map(|reading| reading.workflow.as_ref()).collect();
    let inputs = values::inputs(&args.event.input, args.event.input_file.as_deref())?;
    let wish = Wish {
        name: event.as_deref(),
        detect: args.event.detect_event,
        jobs: &args.jobs,
        inputs: !args.event.input.is_empty(),
    };
    let name = happening::choose(&wish, &known)?;
    let payload = happening::payload(args.eventpath.as_deref())?;
    let repository = Repository::open(Path::new("."), &wanted(&args.event, happening::base(name, &payload)))?;
    if !global.quiet {
        let told = repository.remarks.iter().filter(|_| repository.is_git || !args.no_git);
        told.for_each(|remark| terminal::warning(terminal, remark));
    }
    let values = Values::read(&args.values, &|name| ask::secret(name, terminal))?;
    let event = match &resumed {
        Some(resumed) => {
            resumed.check(&workflows.readings, &values, args.from.as_deref())?;
            Arc::clone(&resumed.event)
        }
        None => happening::build(name, payload, inputs, &repository.facts)?,
    };
    let server_url = &repository.facts.server_url;
    let request = Request { event: &event, vars: &values.vars, jobs: &args.jobs, server_url };
    let outcome = planning::plan(&workflows.readings, &request)?;
    if args.dryrun {
        let labels = labels::of_run(args, &workflows.settings)?;
        let picked = plan::Picked { jobs: &args.jobs, legs: &values::matrix(&args.matrix)? };
        return plan::show(&outcome, &picked, args.json, &labels, global);
    }
    if !outcome.invalid.is_empty() {
        plan::print_invalid(&outcome, global);
        let help = "mend it, or name the workflow to run with `-W`";
        return Err(Failure::new(Exit::Invalid, "not every workflow is valid, so nothing was run").help(help));
    }
    if outcome.triggered.is_empty() {
        return Err(nothing(&outcome, name, terminal));
    }
    warn(&outcome, &values, args, terminal)?;
    let order = order::Order { args, global, workflows: &workflows, repository: &repository, values, resumed };
    order.perform(&outcome.triggered)
}

/// The workflows, and the event's name if one was given. A word that is no event may be a workflow.
fn find(args: &RunArgs, global: &Global) -> Result<(Workflows, Option<String>), Failure> {
    let word = args.event.event.as_deref();
    let workflow = word.filter(|word| EventName::parse(word).is_none());
    if let Some(word) = workflow {
        return match Workflows::load_with(
            &args.selection,
            Some(word),
            global,
            Some((&args.actions, Names::of_run(args.locked))),
        ) {
            Ok(workflows) => Ok((workflows, None)),
            Err(failure) if failure.exit == Exit::Usage && failure.message.contains(word) => {
                Err(happening::unknown(word))
            }
            Err(failure) => Err(failure),
        };
    }
    Ok((
        Workflows::load_with(&args.selection, None, global, Some((&args.actions, Names::of_run(args.locked))))?,
        word.map(str::to_owned),
    ))
}

fn nothing(outcome: &Outcome<'_>, event: EventName, terminal: Terminal) -> Failure {
    let others: Vec<_> = outcome
        .others
        .iter()
        .map(|(reading, workflow, reasons)| workflow::plan::not_triggered(workflow, reasons, &reading.sources))
        .collect();
    let _gone = std::io::stderr().write_all(plan::others_text(&others, terminal).as_bytes());
    let wrong_input = outcome.others.iter().flat_map(|(_, _, reasons)| reasons).find(|reason| reason.is_input_error());
    if let Some(reason) = wrong_input {
        return Failure::usage(reason.to_string()).help("give inputs with `--input NAME=VALUE`");
    }
    let listed = outcome.others.iter().flat_map(|(_, workflow, _)| workflow.on.entries.keys());
    let other = listed.filter(|name| *name != "workflow_call").find(|name| EventName::parse(name).is_some());
    let help = other.map(|name| format!("another event: `pipe run {name}`"));
    Failure::new(Exit::Nothing, format!("no workflow runs on `{event}`")).maybe_help(help)
}

/// Shows warnings of the files, and the secrets that nobody gave.
fn warn(outcome: &Outcome<'_>, values: &Values, args: &RunArgs, terminal: Terminal) -> Result<(), Failure> {
    let own = values.environments.values().flat_map(|one| one.secrets.keys());
    let known = values.secrets.keys().chain(own).cloned().collect();
    let mut missing = Vec::new();
    for one in &outcome.triggered {
        let undefined = one.undefined_secrets(&args.jobs, &known);
        let mut diagnostics = one.reading.diagnostics.clone();
        diagnostics.extend(one.plan.warnings.iter().cloned());
        diagnostics.extend(undefined.iter().cloned());
        let finding = render::Finding { diagnostics: &diagnostics, ..one.reading.finding() };
        let _gone = std::io::stderr().write_all(render::text::render(&finding, terminal).as_bytes());
        missing.extend(undefined);
    }
    match missing.first() {
        Some(first) if args.strict_secrets => {
            let help = "give them, or leave `--strict-secrets` out: then they are empty";
            Err(Failure::usage(format!("{}, so nothing was run", first.message)).help(help))
        }
        Some(_) | None => Ok(()),
    }
}
