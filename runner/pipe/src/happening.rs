//! Which event happened: its name as given or chosen, its payload from a file, the rest from the local repository.

use std::io;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use workflow::diagnostic::suggest;
use workflow::event::local::{self, LocalFacts};
use workflow::event::{Event, EventName};
use workflow::model::Workflow;

use crate::exit::Failure;
use crate::repository::Base;

/// What is known before the event is chosen.
#[derive(Debug, Default)]
pub struct Wish<'a> {
    /// The name that the user gave.
    pub name: Option<&'a str>,
    /// `--detect-event`.
    pub detect: bool,
    /// Jobs that the user asked for.
    pub jobs: &'a [String],
    /// Whether the user gave inputs.
    pub inputs: bool,
}

/// The event's name: as given; else the only one that the workflows list (those with the wanted jobs, if some are wanted);
/// else push, if one lists it or nothing else is known.
///
/// # Errors
/// The given name is none.
pub fn choose(wish: &Wish<'_>, workflows: &[&Workflow]) -> Result<EventName, Failure> {
    if let Some(name) = wish.name {
        return EventName::parse(name).ok_or_else(|| unknown(name));
    }
    if wish.inputs {
        return Ok(EventName::WorkflowDispatch);
    }
    let has_job = |workflow: &&&Workflow| {
        wish.jobs.is_empty()
            || wish.jobs.iter().any(|job| workflow.jobs.keys().any(|id| id.as_str().eq_ignore_ascii_case(job)))
    };
    let mut listed: Vec<EventName> = Vec::new();
    for workflow in workflows.iter().filter(has_job) {
        for name in workflow.on.entries.keys().filter_map(|name| EventName::parse(name)) {
            // A call is no event: nothing but a workflow makes it.
            if name != EventName::WorkflowCall && !listed.contains(&name) {
                listed.push(name);
            }
        }
    }
    let first = listed.first().copied();
    let wants_first = wish.detect || listed.len() == 1 || !wish.jobs.is_empty() && !listed.contains(&EventName::Push);
    Ok(first.filter(|_| wants_first).unwrap_or(EventName::Push))
}

/// The user named an event that is none.
pub fn unknown(name: &str) -> Failure {
    let names = EventName::ALL.iter().map(|known| known.as_str());
    let help = suggest(name, names).map_or_else(
        || "such as `push`, `pull_request`, `workflow_dispatch`; -W names a workflow".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Failure::usage(format!("there is no event `{name}`")).help(help)
}

/// The payload that the user gave.
///
/// # Errors
/// The file cannot be read or holds no JSON object.
pub fn payload(path: Option<&Path>) -> Result<Json, Failure> {
    let Some(path) = path else { return Ok(Json::Object(Map::new())) };
    let name = path.display();
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|error| Failure::usage(format!("cannot read the event file `{name}`: {error}")))?;
    let payload: Json = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("the event file `{name}` is not JSON: {error}")))?;
    if payload.is_object() {
        return Ok(payload);
    }
    Err(Failure::usage(format!("the event file `{name}` must hold an object, as GitHub sends it")))
}

/// What a payload says of the base of its pull request.
pub fn base(name: EventName, payload: &Json) -> Base {
    let text = |pointer: &str| payload.pointer(pointer).filter(|_| name.is_pull_request())?.as_str().map(str::to_owned);
    Base { branch: text("/pull_request/base/ref"), sha: text("/pull_request/base/sha") }
}

/// The event, completed from local facts.
///
/// # Errors
/// The payload has a form that GitHub never sends.
pub fn build(
    name: EventName,
    mut payload: Json,
    inputs: IndexMap<String, String>,
    facts: &LocalFacts,
) -> Result<Arc<Event>, Failure> {
    if name == EventName::WorkflowDispatch
        && let Json::Object(payload) = &mut payload
    {
        let given = payload.entry("inputs").or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(given) = given {
            given.extend(inputs.into_iter().map(|(name, value)| (name, Json::String(value))));
        }
    }
    let event = local::event(name.as_str(), payload, facts).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Arc::new(event))
}

#[cfg(test)]
mod tests {
    use workflow::read::{NoFiles, ReadOptions, read_workflow};
    use workflow::source::SourceFile;

    use super::*;

    fn check(on: &[&str], wish: &Wish<'_>, expected: Result<&str, &str>) {
        let workflows: Vec<Workflow> = on
            .iter()
            .map(|on| {
                let text = format!("on: {on}\njobs: {{a: {{runs-on: x, steps: [{{run: x}}]}}}}");
                read_workflow(SourceFile::new("a.yml", text), &NoFiles, &ReadOptions::default()).workflow.unwrap()
            })
            .collect();
        let chosen = choose(wish, &workflows.iter().collect::<Vec<_>>());
        let chosen = chosen.map(EventName::as_str).map_err(|failure| failure.help.unwrap());
        assert_eq!(chosen, expected.map_err(str::to_owned), "{on:?} {wish:?}");
    }

    #[test]
    fn events_are_chosen() {
        let jobs = ["A".to_owned()];
        let named = |name| Wish { name: Some(name), ..Wish::default() };
        check(&["push"], &named("pull_request"), Ok("pull_request"));
        check(&["push"], &named("psuh"), Err("did you mean `push`?"));
        check(&["release"], &Wish::default(), Ok("release"));
        check(&["release", "fork"], &Wish::default(), Ok("push"));
        check(&["release", "fork"], &Wish { detect: true, ..Wish::default() }, Ok("release"));
        check(&["[workflow_dispatch, fork]"], &Wish { jobs: &jobs, ..Wish::default() }, Ok("workflow_dispatch"));
        check(&["[fork, push]"], &Wish { jobs: &jobs, ..Wish::default() }, Ok("push"));
        check(&["[fork, push]"], &Wish { inputs: true, ..Wish::default() }, Ok("workflow_dispatch"));
        check(&["workflow_call"], &Wish::default(), Ok("push"));
    }
}
