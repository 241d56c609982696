//! What reports need to know of a run beside its log: made from what it was asked for.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use workflow::event::{Event, GithubFacts, github_context};
use workflow::expression::Value;
use workflow::model::{JobId, Workflow};
use workflow::read::{ReadOptions, WorkflowFiles, read_workflow};
use workflow::run::RunFacts;
use workflow::source::SourceFile;

use crate::github::{About, Problem};
use crate::service::{RunSpec, Trust};
use crate::store::{RunId, RunRow};

/// What a run is about, and the facts to replay it with, where its workflow can be read.
pub(crate) fn subject(
    run: RunId,
    row: &RunRow,
    spec: &RunSpec,
    vars: &indexmap::IndexMap<String, String>,
    page: Option<String>,
) -> (About, Option<Arc<RunFacts>>) {
    let workflow = read(spec).filter(|_| spec.problem.is_none());
    let name = workflow.as_ref().map_or(spec.workflow.as_str(), Workflow::display_name).to_owned();
    let about = About {
        run: run.0,
        attempt: spec.attempt,
        repository: spec.repository.clone(),
        commit: commit(&spec.event).to_owned(),
        workflow: name,
        event: spec.event.name.as_str().to_owned(),
        forge: spec.forge.as_str().to_owned(),
        git_ref: spec.event.git_ref.as_str().to_owned(),
        pull_request: spec.event.pull_request.as_ref().map(|pull| pull.number),
        from_fork: spec.trust == Trust::Fork,
        url: page,
        problems: spec.problem.iter().flatten().map(|text| problem(text)).collect(),
    };
    (about, workflow.map(|workflow| Arc::new(facts(row, spec, vars, workflow))))
}

/// The commit that people look at: of a pull request its head, not the merge that nobody has seen.
fn commit(event: &Event) -> &str {
    let head = event.pull_request.as_ref().and_then(|pull| pull.head_sha.as_deref());
    head.or(event.sha.as_deref()).unwrap_or_default()
}

struct Sources<'a>(&'a RunSpec);

impl WorkflowFiles for Sources<'_> {
    fn read(&self, reference: &str) -> Option<Result<SourceFile, String>> {
        let path = reference.strip_prefix("./").unwrap_or(reference);
        let text = self.0.sources.get(path)?;
        Some(Ok(SourceFile::new(path, text.as_str())))
    }
}

fn read(spec: &RunSpec) -> Option<Workflow> {
    let source = SourceFile::new(spec.workflow.as_str(), spec.sources.get(&spec.workflow)?.as_str());
    read_workflow(source, &Sources(spec), &ReadOptions::default()).workflow
}

fn facts(row: &RunRow, spec: &RunSpec, vars: &indexmap::IndexMap<String, String>, workflow: Workflow) -> RunFacts {
    let github = GithubFacts {
        workflow: workflow.display_name().to_owned(),
        workflow_path: spec.workflow.clone(),
        run_id: row.numbers.first.0,
        run_number: row.numbers.number,
        run_attempt: spec.attempt,
        triggering_actor: spec.requested_by.clone(),
        ..GithubFacts::default()
    };
    let object = |map: Map<String, Json>| Value::from_json(&Json::Object(map));
    let vars = vars.iter().chain(&spec.vars).map(|(name, value)| (name.clone(), Json::String(value.clone())));
    let known = |name: &String| workflow.jobs.keys().find(|id| id.as_str() == name).cloned();
    let selected: Option<Vec<JobId>> = spec.selected.as_ref().map(|names| names.iter().filter_map(known).collect());
    RunFacts {
        github: object(github_context(&spec.event, &github)),
        inputs: object(spec.inputs.as_object().cloned().unwrap_or_default()),
        vars: object(vars.collect()),
        selected,
        legs: spec.legs.clone(),
        environments: Arc::default(),
        workflow_hash: String::new(),
        held: spec.held.clone(),
        workflow: Arc::new(workflow),
    }
}

/// Reads the place out of a rendered diagnostic: its line `--> PATH:LINE:COLUMN`.
fn problem(text: &str) -> Problem {
    let place = text.lines().find_map(|line| {
        let (_, place) = line.split_once("--> ")?;
        let mut parts = place.trim().splitn(3, ':');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?))
    });
    Problem { message: text.to_owned(), place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_diagnostic_has_a_place() {
        let text = "error[P0103]: unknown key `stesp`\n  --> .github/workflows/ci.yml:4:5\n   |\n";
        assert_eq!(problem(text).place, Some((".github/workflows/ci.yml".to_owned(), 4)));
        assert_eq!(problem("the file is too long").place, None);
        assert_eq!(problem("x --> y").place, None);
    }
}
