//! The file of an action: found in the job, read, and remembered as it was when the step began.
//!
//! What a job that is taken up runs is what it had begun, whatever its steps have made of the file since.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use workflow::action::{Action, ActionImage, COMPOSITE_DEPTH_MAX};
use workflow::command::{Annotation, AnnotationLevel};
use workflow::expression::Value;
use workflow::read::{ReadOptions, read_action};
use workflow::source::SourceFile;

use super::composite::LocalAction;
use super::container::DOCKERFILE;
use super::journal::Entry;
use super::log::StepLog;
use super::perform::StepTask;

/// Largest `action.yml`; those that exist have a few kilobytes.
const ACTION_BYTES_MAX: u64 = 1 << 20;

/// Where an action is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ActionPlace {
    /// `./path`: in the workspace.
    Workspace(String),
    /// `owner/repo[/path]@ref`.
    Repository {
        /// `owner/repo`.
        repository: String,
        /// The folder below it, empty at its root.
        path: String,
        /// What stands behind the `@`.
        reference: String,
    },
    /// `docker://image`; without `docker://`.
    Image(String),
}

/// Where the file of an action is looked for.
struct Place {
    /// As the job sees it.
    folder: String,
    /// The same for messages, empty for the workspace itself.
    shown: String,
}

impl ActionPlace {
    /// As `uses:` has it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Workspace(path) => path.clone(),
            Self::Image(image) => format!("docker://{image}"),
            Self::Repository { repository, path, reference } if path.is_empty() => format!("{repository}@{reference}"),
            Self::Repository { repository, path, reference } => format!("{repository}/{path}@{reference}"),
        }
    }

    /// What the `github` context says of it.
    pub(super) fn contexts(&self) -> [(&'static str, Value); 2] {
        let text = |text: &str| Value::String(Arc::from(text));
        match self {
            Self::Workspace(_) | Self::Image(_) => [("action_repository", Value::Null), ("action_ref", Value::Null)],
            Self::Repository { repository, reference, .. } => {
                [("action_repository", text(repository)), ("action_ref", text(reference))]
            }
        }
    }

    /// The variables of its processes that name it.
    pub(super) fn named(&self) -> BTreeMap<String, String> {
        match self {
            Self::Workspace(_) | Self::Image(_) => BTreeMap::new(),
            Self::Repository { repository, reference, .. } => BTreeMap::from([
                ("GITHUB_ACTION_REPOSITORY".to_owned(), repository.clone()),
                ("GITHUB_ACTION_REF".to_owned(), reference.clone()),
            ]),
        }
    }
}

impl StepTask {
    /// Reads the file of an action; gives its folder as the job sees it.
    ///
    /// # Errors
    /// It is not there or wrong; a sentence for the step's log, where details stand already.
    pub(super) async fn read(&self, local: &LocalAction, log: &mut StepLog) -> Result<(String, Action), String> {
        let depth = local.job.action.as_ref().map_or(0, |action| action.depth);
        if depth > COMPOSITE_DEPTH_MAX {
            let text = local.place.text();
            return Err(format!(
                "Composite action depth exceeded max depth {COMPOSITE_DEPTH_MAX}: {text} is used by itself, or by too many"
            ));
        }
        if let ActionPlace::Image(image) = &local.place {
            return Ok((String::new(), Action::of_image(ActionImage::Reference(image.clone()))));
        }
        let known = self.again.as_ref().and_then(|again| again.actions.get(&self.inner).cloned());
        let place = self.place(&local.place, known.is_some(), log).await?;
        let (file, text) = match known {
            Some(known) => known,
            None => self.find(&local.place, &place).await?,
        };
        if file.rsplit('/').next() == Some(DOCKERFILE) {
            return Ok((place.folder, Action::of_image(ActionImage::Dockerfile(DOCKERFILE.to_owned()))));
        }
        let below = match &local.place {
            ActionPlace::Workspace(_) => place.shown.as_str(),
            ActionPlace::Repository { path, .. } => path.as_str(),
            ActionPlace::Image(_) => "",
        };
        let reading = read_action(SourceFile::new(file.as_str(), text.as_str()), below, &ReadOptions::default());
        for error in &reading.errors {
            let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            let message = format!("{}{help}", error.github_text(&reading.sources));
            log.annotate(Annotation::new(AnnotationLevel::Error, message)).await;
        }
        let action = reading.action.ok_or_else(|| format!("Failed to load {file}"))?;
        Ok((place.folder, action))
    }

    async fn place(&self, place: &ActionPlace, is_there: bool, log: &mut StepLog) -> Result<Place, String> {
        match place {
            ActionPlace::Workspace(path) => {
                let (folder, shown) = folder(&self.tools.workspace.inside, path);
                Ok(Place { folder, shown })
            }
            ActionPlace::Repository { repository, path, reference } => {
                let handle = (&*self.tools.handle, is_there);
                let root = self.tools.actions.folder(repository, reference, handle, log).await?;
                let folder = if path.is_empty() { root } else { format!("{root}/{path}") };
                Ok(Place { folder, shown: place.text() })
            }
            ActionPlace::Image(_) => Ok(Place { folder: String::new(), shown: place.text() }),
        }
    }

    /// The file of an action, and its name for messages.
    async fn find(&self, action: &ActionPlace, place: &Place) -> Result<(String, String), String> {
        let Place { folder, shown } = place;
        let read = async |name: &str| {
            let file = format!("{folder}/{name}");
            let content = self.tools.handle.read_file(&file, ACTION_BYTES_MAX).await;
            content.map_err(|error| format!("{file}: {error}"))
        };
        for name in ["action.yml", "action.yaml"] {
            let Some(content) = read(name).await? else { continue };
            let text = String::from_utf8(content.to_vec()).map_err(|_| format!("{folder}/{name} is not UTF-8"))?;
            let file = if shown.is_empty() { name.to_owned() } else { format!("{shown}/{name}") };
            let (step, inner) = (self.index, self.inner);
            self.tools.journal.write(|| Entry::Action { step, inner, file: file.clone(), text: text.clone() });
            return Ok((file, text));
        }
        if read(DOCKERFILE).await.is_ok_and(|file| file.is_some()) {
            let file = if shown.is_empty() { DOCKERFILE.to_owned() } else { format!("{shown}/{DOCKERFILE}") };
            let (step, inner) = (self.index, self.inner);
            self.tools.journal.write(|| Entry::Action { step, inner, file: file.clone(), text: String::new() });
            return Ok((file, String::new()));
        }
        Err(match action {
            ActionPlace::Workspace(_) => format!(
                "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '{folder}'. Did you forget to run \
                 actions/checkout before running your local action?"
            ),
            ActionPlace::Repository { .. } | ActionPlace::Image(_) => {
                format!("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' for action '{shown}'.")
            }
        })
    }
}

/// The folder of an action as the job sees it, and relative to the workspace for messages.
fn folder(workspace: &str, path: &str) -> (String, String) {
    let mut folder = PathBuf::from(workspace);
    for component in Path::new(&path.replace('\\', "/")).components() {
        match component {
            Component::ParentDir => {
                folder.pop();
            }
            Component::Normal(name) => folder.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let below = folder.strip_prefix(workspace).unwrap_or(&folder).display().to_string();
    (folder.display().to_string(), below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        let check = |path: &str, expect: (&str, &str)| {
            assert_eq!(folder("/w/r/r", path), (expect.0.to_owned(), expect.1.to_owned()), "{path}");
        };
        check("./", ("/w/r/r", ""));
        check("./.github/actions/a/", ("/w/r/r/.github/actions/a", ".github/actions/a"));
        check(".\\a\\b", ("/w/r/r/a/b", "a/b"));
        check("./a/../b", ("/w/r/r/b", "b"));
        check("./../o", ("/w/r/o", "/w/r/o"));
    }
}
