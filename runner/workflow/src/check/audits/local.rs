//! The composite actions of the repository that a workflow uses: their steps are as much its steps as its own.

use std::collections::HashSet;

use super::{Audited, Beside, Look, text};
use crate::action::ActionRuns;
use crate::check::visit::{flatten, steps_of};
use crate::model::{Step, StepKind, Uses, Workflow};
use crate::read::read_action_among;
use crate::source::{SourceFile, SourceMap};

/// Looks at each once, and at those that they use.
pub(super) fn audit(workflow: &Workflow, sources: &mut SourceMap, beside: Beside<'_>, found: &mut Vec<Audited>) {
    let jobs = workflow.jobs.values().filter_map(steps_of);
    let mut open: Vec<String> = jobs.flat_map(|job| folders(&job.steps)).collect();
    let mut seen = HashSet::new();
    while let Some(folder) = open.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        let Some(file) = file(&folder, beside) else { continue };
        let name = file.name().to_owned();
        let known = sources.iter().position(|source| source.name() == name);
        let mut apart = SourceMap::default();
        let (action, _) = read_action_among(file, &folder, known.map_or(&mut *sources, |_| &mut apart), beside.options);
        let Some(ActionRuns::Composite(steps)) = action.map(|action| action.runs) else { continue };
        open.extend(folders(&steps));
        // The check has read it already, and its diagnostics are in that reading's file.
        let Some(source) = sources.iter().find(|source| source.name() == name).cloned() else { continue };
        let Some(first) = steps.first() else { continue };
        let mut look = Look { source: &source, file: first.span.file, workflow: None, beside, found: Vec::new() };
        text::audit(&mut look);
        look.steps(&steps);
        let place = sources.iter().position(|source| source.name() == name).and_then(|at| u16::try_from(at).ok());
        found.extend(look.found.into_iter().map(|mut one| {
            let others = one.diagnostic.related.iter_mut().map(|(span, _)| span);
            for span in one.diagnostic.span.iter_mut().chain(others) {
                span.file = place.map_or(span.file, crate::source::FileId);
            }
            one
        }));
    }
}

fn file(folder: &str, beside: Beside<'_>) -> Option<SourceFile> {
    let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    ["action.yml", "action.yaml"].iter().find_map(|name| beside.files.read(&format!("./{below}{name}"))?.ok())
}

fn folders(steps: &[Step]) -> Vec<String> {
    let path = |step: &Step| {
        let StepKind::Uses { uses, .. } = &step.kind else { return None };
        let Uses::Local { path } = &uses.value else { return None };
        let path = path.strip_prefix("./").or_else(|| path.strip_prefix("$/"))?;
        Some(path.trim_matches('/').to_owned())
    };
    flatten(steps).into_iter().filter_map(|(step, _)| path(step)).collect()
}
