//! Which actions steps use.

use std::path::Path;

use workflow::action::ActionRuns;
use workflow::model::{Step, StepKind, Uses};
use workflow::read::{ReadOptions, read_action};
use workflow::source::SourceFile;

/// What steps use, in their order.
pub(crate) fn in_steps<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<Uses> {
    let mut found = Vec::new();
    for step in steps {
        match &step.kind {
            StepKind::Uses { uses, .. } => found.push(uses.value.clone()),
            StepKind::Parallel(block) => found.extend(in_steps(block)),
            StepKind::Run { .. } | StepKind::Wait(_) | StepKind::WaitAll | StepKind::Cancel(_) => {}
        }
    }
    found
}

/// What the steps of the action in a folder of a repository use. What is wrong with it is told by the step that uses it.
pub(crate) fn in_folder(root: &Path, folder: &str) -> Vec<Uses> {
    match runs_in_folder(root, folder) {
        Some(ActionRuns::Composite(steps)) => in_steps(&steps),
        Some(ActionRuns::Script(_) | ActionRuns::Container(_)) | None => Vec::new(),
    }
}

/// How the action in a folder of a repository runs, where its file can be read.
pub(crate) fn runs_in_folder(root: &Path, folder: &str) -> Option<ActionRuns> {
    let own = root.join(folder);
    let text = ["action.yml", "action.yaml"].iter().find_map(|name| std::fs::read_to_string(own.join(name)).ok());
    let reading = read_action(SourceFile::new("action.yml", text?.as_str()), folder, &ReadOptions::default());
    reading.action.map(|action| action.runs)
}

/// `$/path` in an action is one of the repository that the action is of; in a workflow it stays what it is.
pub(crate) fn of_self(used: Uses, whose: Option<&(String, String)>) -> Uses {
    match (&used, whose) {
        (Uses::Local { path }, Some((repository, reference))) if path.starts_with("$/") => Uses::Repository {
            repository: repository.clone(),
            path: path.trim_start_matches("$/").trim_matches('/').to_owned(),
            reference: reference.clone(),
        },
        _ => used,
    }
}
