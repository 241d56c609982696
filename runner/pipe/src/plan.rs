//! `pipe plan`: what would run for an event, in which order, and why the rest would not.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anstyle::AnsiColor;
use engine::runner_label::RunnerLabels;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value as Json;
use workflow::diagnostic::{Diagnostic, Severity};
use workflow::plan::{
    Explanation, JobExplanation, LegsExplanation, NotTriggered, Plan, Reason, explain, not_triggered,
};

use crate::args::{EventArgs, Global, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::happening::{self, Wish};
use crate::labels;
use crate::planning::{self, Outcome, Request};
use crate::render::{self, Finding, count};
use crate::repository::{Base, Repository, Wanted};
use crate::select::Workflows;
use crate::terminal::{self, Terminal};
use crate::values;

/// Runs the command.
pub fn run(args: &PlanArgs, global: &Global) -> Result<Exit, Failure> {
    let workflows = Workflows::load(&args.selection, None, global)?;
    let known: Vec<_> = workflows.readings.iter().filter_map(|reading| reading.workflow.as_ref()).collect();
    let inputs = values::inputs(&args.event.input, args.event.input_file.as_deref())?;
    let name = args.event_flag.as_deref().or(args.event.event.as_deref());
    let wish = Wish { name, detect: args.event.detect_event, jobs: &args.jobs, inputs: !args.event.input.is_empty() };
    let name = happening::choose(&wish, &known)?;
    let payload = happening::payload(args.event_file.as_deref())?;
    let repository = Repository::open(Path::new("."), &wanted(&args.event, happening::base(name, &payload)))?;
    let event = happening::build(name, payload, inputs, &repository.facts)?;
    let server_url = &repository.facts.server_url;
    let vars = IndexMap::new();
    let request = Request { event: &event, vars: &vars, jobs: &args.jobs, server_url };
    let outcome = planning::plan(&workflows.readings, &request)?;
    let picked = Picked { jobs: &args.jobs, legs: &values::matrix(&args.matrix)? };
    show(&outcome, &picked, args.json, &labels::of_settings(&workflows.settings), global)
}

/// What the flags, and the event, say about the repository.
pub fn wanted(args: &EventArgs, base: Base) -> Wanted {
    Wanted {
        actor: args.actor.clone(),
        default_branch: args.defaultbranch.clone(),
        remote: args.remote_name.clone(),
        host: args.github_instance.clone(),
        base,
    }
}

/// `--json`, written as it is: a plan may have ten thousand steps.
#[derive(Serialize)]
struct Document<'a> {
    v: u32,
    triggered: &'a [Explanation],
    not_triggered: &'a [NotTriggered],
    invalid: Vec<Json>,
}

/// What of the workflows is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Picked<'a> {
    /// `--job`.
    pub jobs: &'a [String],
    /// `--matrix`, split.
    pub legs: &'a [(String, String)],
}

/// Prints the plans; the exit code says whether something would run.
pub fn show(
    outcome: &Outcome<'_>,
    picked: &Picked<'_>,
    json: bool,
    labels: &RunnerLabels,
    global: &Global,
) -> Result<Exit, Failure> {
    let triggered: Vec<Explanation> = outcome
        .triggered
        .iter()
        .map(|one| {
            let mut explanation = explain(&one.plan, &one.reading.sources);
            keep_selected(&mut explanation, &one.plan, picked.jobs);
            explanation.pick_legs(picked.legs);
            let ids: Vec<String> = explanation.jobs.iter().map(|job| job.id.clone()).collect();
            let unserved = labels::unserved(&explanation, &ids, labels).into_iter();
            explanation.warnings.extend(unserved.map(|message| Reason {
                message,
                severity: Severity::Warning,
                at: None,
            }));
            explanation
        })
        .collect();
    let others: Vec<NotTriggered> = outcome
        .others
        .iter()
        .map(|(reading, workflow, reasons)| not_triggered(workflow, reasons, &reading.sources))
        .collect();
    let mut output = terminal::results();
    if json {
        let invalid: Vec<_> = findings(outcome).iter().map(render::json::file).collect();
        let document = Document { v: 1, triggered: &triggered, not_triggered: &others, invalid };
        serde_json::to_writer_pretty(&mut output, &document).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        let terminal = Terminal::stdout(global.color);
        for explanation in &triggered {
            output.write_all(workflow_text(explanation, terminal).as_bytes())?;
        }
        output.write_all(others_text(&others, terminal).as_bytes())?;
        print_invalid(outcome, global);
    }
    output.flush()?;
    Ok(exit(outcome))
}

/// Shows the mistakes that keep workflows from running, on stderr.
pub fn print_invalid(outcome: &Outcome<'_>, global: &Global) {
    let terminal = Terminal::stderr(global.color);
    for finding in findings(outcome) {
        let _gone = std::io::stderr().write_all(render::text::render(&finding, terminal).as_bytes());
    }
}

fn exit(outcome: &Outcome<'_>) -> Exit {
    if !outcome.invalid.is_empty() {
        Exit::Invalid
    } else if outcome.triggered.is_empty() {
        Exit::Nothing
    } else {
        Exit::Success
    }
}

fn findings<'a>(outcome: &'a Outcome<'_>) -> Vec<Finding<'a>> {
    let finding = |(reading, diagnostics): &'a (&crate::reading::Reading, Vec<Diagnostic>)| Finding {
        file: &reading.name,
        sources: &reading.sources,
        diagnostics,
    };
    outcome.invalid.iter().map(finding).collect()
}

/// Leaves only the jobs that were asked for and those that they need.
fn keep_selected(explanation: &mut Explanation, plan: &Plan, jobs: &[String]) {
    if jobs.is_empty() {
        return;
    }
    let wanted: Vec<&String> = jobs.iter().filter(|job| plan.select(&[job], true).is_ok()).collect();
    let Ok(kept) = plan.select(&wanted, true) else { return };
    let ids: Vec<&str> = kept.iter().map(|index| plan.job(*index).id.as_str()).collect();
    explanation.jobs.retain(|job| ids.contains(&job.id.as_str()));
    let needed: BTreeSet<String> =
        kept.iter().flat_map(|index| plan.secrets_of_run(*index).named.into_keys()).collect();
    explanation.secrets.retain(|secret| needed.contains(secret));
}

fn workflow_text(plan: &Explanation, terminal: Terminal) -> String {
    let action = plan.action.as_ref().map(|action| format!(" ({action})")).unwrap_or_default();
    let sha = plan.sha.as_deref().and_then(|sha| sha.get(..7)).unwrap_or_default();
    let head = format!("{}  {}{action} on {} {sha}", plan.workflow, plan.event, plan.git_ref);
    let mut text = format!("{}  {}\n", terminal.bold(&plan.name), terminal.dim(head.trim_end()));
    let width = plan.jobs.iter().map(|job| job.name.chars().count()).max().unwrap_or_default().min(48);
    for job in &plan.jobs {
        text.push_str(&job_text(job, width, terminal));
    }
    if !plan.secrets.is_empty() {
        text.push_str(&format!("  secrets: {}\n", plan.secrets.join(", ")));
    }
    for warning in &plan.warnings {
        let at = warning.at.map(|at| format!("{}:{}:{}: ", plan.workflow, at.line, at.column)).unwrap_or_default();
        text.push_str(&format!("  {} {at}{}\n", terminal.strong(AnsiColor::Yellow, "warning:"), warning.message));
    }
    text.push('\n');
    text
}

fn job_text(job: &JobExplanation, width: usize, terminal: Terminal) -> String {
    let mut words = Vec::new();
    if !job.needs.is_empty() {
        words.push(format!("← {}", job.needs.join(", ")));
    }
    match &job.legs {
        LegsExplanation::Single => {}
        LegsExplanation::Static { legs, .. } => words.push(format!("× {}", count(legs.len(), "leg"))),
        LegsExplanation::Dynamic => words.push("× legs known later".to_owned()),
    }
    words.extend(job.uses.as_ref().map(|uses| format!("calls {uses}")));
    words.extend(job.runs_on.as_ref().map(|labels| format!("on {}", labels.join(", "))));
    words.extend(job.environment.as_ref().map(|name| format!("environment {name}")));
    let skipped = job.status == "skipped";
    if skipped {
        words = vec![format!("skipped: {}", job.reason.as_deref().unwrap_or("its condition is false"))];
    } else if job.status == "depends" {
        words.extend(job.condition.as_ref().map(|condition| format!("if {condition}")));
    }
    let line = format!("  {:>2}  {:width$}  {}", job.level + 1, job.name, words.join("  "));
    let mut text = format!("{}\n", if skipped { terminal.dim(line.trim_end()) } else { line.trim_end().to_owned() });
    if let LegsExplanation::Static { legs, .. } = &job.legs
        && !skipped
    {
        for leg in legs {
            text.push_str(&format!("        {}\n", leg.name));
        }
    }
    text
}

/// Why workflows do not run, for `plan` and for a `run` without any.
pub fn others_text(others: &[NotTriggered], terminal: Terminal) -> String {
    let mut text = String::new();
    for other in others {
        text.push_str(&format!(
            "{}  {}\n",
            terminal.bold(&other.name),
            terminal.dim(&format!("{}  does not run:", other.workflow))
        ));
        for reason in &other.reasons {
            let at = reason.at.map(|at| format!("{}:{}:{}: ", other.workflow, at.line, at.column)).unwrap_or_default();
            text.push_str(&format!("    {at}{}\n", reason.message));
        }
    }
    text
}
