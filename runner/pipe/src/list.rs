//! `pipe list`: workflows with their events and jobs.
//!
//! It reads the files and nothing else: no git, no Docker.

use std::io::Write;

use serde_json::{Value as Json, json};
use workflow::model::{Job, JobKind, Workflow};
use workflow::template::{Token, TokenKind};

use crate::args::{Global, ListArgs};
use crate::exit::{Exit, Failure};
use crate::reading::Reading;
use crate::render::count;
use crate::select::Workflows;
use crate::table;
use crate::terminal::{self, Terminal};

/// Runs the command.
pub fn run(args: &ListArgs, global: &Global) -> Result<Exit, Failure> {
    let workflows = Workflows::load(&args.selection, None, global)?;
    let listed = |reading: &&Reading| match (&args.event, &reading.workflow) {
        (Some(event), Some(workflow)) => workflow.on.entries.contains_key(event.as_str()),
        (Some(_), None) | (None, _) => true,
    };
    let readings: Vec<&Reading> = workflows.readings.iter().filter(listed).collect();
    if readings.is_empty() {
        let event = args.event.as_deref().unwrap_or_default();
        return Err(Failure::new(Exit::Nothing, format!("no workflow lists the event `{event}`")));
    }
    let mut output = terminal::results();
    if args.json {
        let list: Vec<Json> = readings.iter().map(|reading| as_json(reading)).collect();
        writeln!(output, "{:#}", Json::Array(list))?;
    } else {
        let rows: Vec<Vec<String>> = readings.iter().map(|reading| row(reading)).collect();
        let terminal = Terminal::stdout(global.color);
        output.write_all(table::render(&["WORKFLOW", "FILE", "EVENTS", "JOBS"], &rows, terminal).as_bytes())?;
    }
    output.flush()?;
    Ok(Exit::Success)
}

fn row(reading: &Reading) -> Vec<String> {
    let Some(workflow) = &reading.workflow else {
        let errors = reading.diagnostics.iter().filter(|found| found.is_error()).count();
        let words = format!("invalid: {}, see `pipe check`", count(errors, "error"));
        return vec!["-".to_owned(), reading.name.clone(), words, String::new()];
    };
    let events: Vec<&str> = workflow.on.entries.keys().map(String::as_str).collect();
    let jobs: Vec<&str> = workflow.jobs.keys().map(|id| id.as_str()).collect();
    vec![name(workflow).to_owned(), reading.name.clone(), events.join(", "), jobs.join(", ")]
}

fn name(workflow: &Workflow) -> &str {
    workflow.name.as_ref().map_or("-", |name| &name.value)
}

fn as_json(reading: &Reading) -> Json {
    let Some(workflow) = &reading.workflow else {
        let errors = reading.diagnostics.iter().filter(|found| found.is_error()).count();
        return json!({ "workflow": null, "file": reading.name, "valid": false, "errors": errors });
    };
    json!({
        "workflow": workflow.display_name(),
        "file": reading.name,
        "valid": true,
        "events": workflow.on.entries.keys().collect::<Vec<_>>(),
        "jobs": workflow.jobs.values().map(job).collect::<Vec<_>>(),
    })
}

fn job(job: &Job) -> Json {
    let (runs_on, uses) = match &job.kind {
        JobKind::Steps(steps) => (literals(&steps.runs_on), None),
        JobKind::Call(call) => (None, Some(&call.reference.value)),
    };
    let name = job.name.as_ref().and_then(literal);
    json!({
        "id": job.id.value.as_str(),
        "name": name.unwrap_or_else(|| job.id.value.as_str().to_owned()),
        "needs": job.needs.iter().map(|need| need.value.as_str()).collect::<Vec<_>>(),
        "runs_on": runs_on,
        "uses": uses,
    })
}

/// Texts that need no evaluation.
fn literals(token: &Token) -> Option<Vec<String>> {
    match &token.kind {
        TokenKind::Sequence(items) => items.iter().map(literal).collect(),
        TokenKind::String(text) => Some(vec![text.to_string()]),
        TokenKind::Null
        | TokenKind::Boolean(_)
        | TokenKind::Number(_)
        | TokenKind::Mapping(_)
        | TokenKind::Expression(_)
        | TokenKind::Insert => None,
    }
}

fn literal(token: &Token) -> Option<String> {
    literals(token).filter(|texts| texts.len() == 1).and_then(|mut texts| texts.pop())
}
