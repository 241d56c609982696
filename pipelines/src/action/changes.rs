//! `pipe/changes`: which parts of a repository changed since the workflow last succeeded.
//!
//! Compares contents, not commits: a file that was changed and changed back has not changed, and neither has one in a merge
//! that brought nothing new. Patterns are those of GitHub's `paths:`, a later `!pattern` takes back.
//! Decides nothing about the run; when a state counts as green is [`engine::green`]'s.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::git::{self, GitError};
use engine::green::{self, Snapshot};
use engine::step::{ActionCall, ActionError, BuiltInAction, InputFacts};
use indexmap::IndexMap;
use workflow::catalogue::{Form, Wrong};
use workflow::trigger::Glob;

use super::{OutputFacts, input, required};

/// Files that the log lists for each name.
const FILES_SHOWN_MAX: usize = 20;

/// Its inputs.
pub const INPUTS: &[InputFacts] = &[
    required("filters", "A name and its patterns in each line of a YAML mapping: `api: [services/api/**]`")
        .form(Form::Read(|_, text| Wrong::of(Filters::parse(text, "")))),
    input("shared", "", "Patterns, one a line: a change there is a change of every name"),
    input("base", "", "A commit, branch or tag to compare with, instead of the last green run"),
];

/// Its outputs.
pub const OUTPUTS: &[OutputFacts] = &[
    OutputFacts::new("names", "JSON list of the names that changed, for `fromJSON` in a matrix"),
    OutputFacts::new("changed", "`true` when any did"),
    OutputFacts::new(
        "base",
        "Commit that was compared with; empty when there is none, and everything counts as changed",
    ),
];

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes;

#[async_trait]
impl BuiltInAction for Changes {
    fn name(&self) -> &'static str {
        "pipe/changes"
    }

    fn inputs(&self) -> &'static [InputFacts] {
        INPUTS
    }

    async fn run(&self, call: &mut ActionCall<'_>) -> Result<(), ActionError> {
        let text = |name: &str| call.inputs.get(name).cloned().unwrap_or_default();
        let filters = Filters::parse(&text("filters"), &text("shared")).map_err(ActionError::Failed)?;
        let question = Question {
            repository: call.repository.clone(),
            run: call.run.clone(),
            scope: scope(call),
            base: text("base").trim().to_owned(),
            filters,
        };
        let answer = tokio::task::spawn_blocking(move || question.answer())
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
            .map_err(ActionError::Failed)?;
        for line in &answer.lines {
            call.log.line(line).await;
        }
        let names = serde_json::to_string(&answer.changed).expect("a list of strings is JSON");
        call.outputs.insert("changed".into(), (!answer.changed.is_empty()).to_string());
        call.outputs.insert("base".into(), answer.base);
        call.outputs.insert("names".into(), names);
        Ok(())
    }
}

/// What a record belongs to. The state folder is that of a user, so the repository's own folder is part of it; when the
/// filters are changed, everything counts as changed once.
fn scope(call: &ActionCall<'_>) -> String {
    let folder = call.repository.folder.canonicalize().unwrap_or_else(|_| call.repository.folder.clone());
    let input = |name: &str| call.inputs.get(name).map_or("", String::as_str);
    let parts = [&*folder.to_string_lossy(), &call.run.workflow, &call.run.job, input("filters"), input("shared")];
    parts.join("\n")
}

/// Patterns of one name, in order; the last one that matches decides.
#[derive(Debug, Clone, Default)]
struct Patterns(Vec<(Glob, bool)>);

impl Patterns {
    fn add(&mut self, text: &str) {
        match text.strip_prefix('!') {
            Some(rest) => self.0.push((Glob::new(rest), false)),
            None => self.0.push((Glob::new(text), true)),
        }
    }

    fn matches(&self, path: &str) -> bool {
        self.0.iter().rev().find(|(glob, _)| glob.matches(path)).is_some_and(|(_, takes)| *takes)
    }
}

#[derive(Debug, Clone)]
struct Filters {
    named: IndexMap<String, Patterns>,
    shared: Patterns,
}

impl Filters {
    fn parse(filters: &str, shared: &str) -> Result<Self, String> {
        let shape = "`filters` must be a YAML mapping of names to lists of patterns, such as `api: [services/api/**]`";
        let value: serde_yaml::Value = serde_yaml::from_str(filters).map_err(|error| format!("{shape}: {error}"))?;
        let mapping = value.as_mapping().ok_or_else(|| shape.to_owned())?;
        let mut named = IndexMap::new();
        for (name, value) in mapping {
            let name = name.as_str().ok_or_else(|| format!("{shape}: a name must be text"))?;
            let mut patterns = Patterns::default();
            collect(value, &mut patterns).map_err(|()| format!("{shape}: the patterns of `{name}` must be text"))?;
            if !patterns.0.iter().any(|(_, takes)| *takes) {
                return Err(format!("`filters`: `{name}` has no pattern that takes files"));
            }
            named.insert(name.to_owned(), patterns);
        }
        if named.is_empty() {
            return Err(format!("{shape}: it is empty"));
        }
        let mut all = Patterns::default();
        shared.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| all.add(line));
        Ok(Self { named, shared: all })
    }

    fn looks_at(&self, path: &str) -> bool {
        self.shared.matches(path) || self.named.values().any(|patterns| patterns.matches(path))
    }
}

/// A pattern, or lists of them: anchors make lists within lists.
fn collect(value: &serde_yaml::Value, patterns: &mut Patterns) -> Result<(), ()> {
    if let Some(text) = value.as_str() {
        patterns.add(text);
        return Ok(());
    }
    value.as_sequence().ok_or(())?.iter().try_for_each(|item| collect(item, patterns))
}

struct Question {
    repository: engine::step::RepositoryFacts,
    run: engine::step::RunFactsForAction,
    scope: String,
    base: String,
    filters: Filters,
}

struct Answer {
    changed: Vec<String>,
    base: String,
    lines: Vec<String>,
}

impl Question {
    fn answer(&self) -> Result<Answer, String> {
        let (files, fallback) = self.files_now().map_err(|error| error.to_string())?;
        let snapshot =
            Snapshot { scope: self.scope.clone(), git_ref: self.run.git_ref.clone(), sha: self.run.sha.clone(), files };
        let before = self.before(&fallback).map_err(|error| error.to_string())?;
        green::candidate(&self.run.state, self.run.id, &snapshot)
            .map_err(|error| format!("cannot remember the files for the next run: {error}"))?;
        Ok(compare(&self.filters, before.as_ref(), &snapshot))
    }

    /// Files that any pattern looks at, and the ref of the default branch.
    fn files_now(&self) -> Result<(BTreeMap<String, String>, String), GitError> {
        let folder = &self.repository.folder;
        let repository = match git::open(folder) {
            Ok(repository) => repository,
            Err(GitError::NotARepository(_)) => {
                let files = git::folder_files(folder, &self.run.state)?;
                return Ok((self.ids(files, folder)?, self.run.git_ref.clone()));
            }
            Err(error) => return Err(error),
        };
        let fallback = format!("refs/heads/{}", git::default_branch(&repository));
        let files = if self.repository.working_tree {
            git::working_files(&repository)?.files
        } else {
            let commit = git::resolve(&repository, &self.run.sha)?.commit;
            commit.map_or_else(|| Ok(Vec::new()), |commit| git::commit_files(&repository, commit))?
        };
        Ok((self.ids(files, folder)?, fallback))
    }

    fn before(&self, fallback: &str) -> Result<Option<Snapshot>, GitError> {
        if self.base.is_empty() {
            return Ok(green::last(&self.run.state, &self.scope, &self.run.git_ref, fallback));
        }
        let repository = git::open(&self.repository.folder)?;
        let Some(commit) = git::resolve(&repository, &self.base)?.commit else { return Ok(None) };
        let files = self.ids(git::commit_files(&repository, commit)?, &self.repository.folder)?;
        Ok(Some(Snapshot { files, sha: commit.to_string(), ..Snapshot::default() }))
    }

    fn ids(&self, files: Vec<git::SnapshotFile>, root: &std::path::Path) -> Result<BTreeMap<String, String>, GitError> {
        let mut ids = BTreeMap::new();
        for file in files {
            let path = file.path.to_string_lossy().into_owned();
            if self.filters.looks_at(&path) {
                ids.insert(path, format!("{:o} {}", file.kind.mode(), file.content_id(root)?));
            }
        }
        Ok(ids)
    }
}

fn compare(filters: &Filters, before: Option<&Snapshot>, now: &Snapshot) -> Answer {
    let Some(before) = before else {
        let changed: Vec<String> = filters.named.keys().cloned().collect();
        let lines = vec![format!(
            "There is no green run to compare with, so everything counts as changed: {}",
            changed.join(", ")
        )];
        return Answer { changed, base: String::new(), lines };
    };
    let differences = differences(before, now);
    let since = if before.sha.is_empty() { "the last green run" } else { &before.sha };
    let mut lines = vec![format!("Compared with {since}:")];
    let shared: Vec<&String> = differences.iter().filter(|line| filters.shared.matches(path_of(line))).collect();
    let mut changed = Vec::new();
    for (name, patterns) in &filters.named {
        let own: Vec<&String> = differences.iter().filter(|line| patterns.matches(path_of(line))).collect();
        if own.is_empty() && shared.is_empty() {
            lines.push(format!("{name}: unchanged"));
            continue;
        }
        changed.push(name.clone());
        let why = if own.is_empty() { "a shared file changed" } else { "changed" };
        lines.push(format!("{name}: {why}"));
        list(&own, &mut lines);
    }
    if !shared.is_empty() {
        lines.push("shared:".to_owned());
        list(&shared, &mut lines);
    }
    Answer { changed, base: before.sha.clone(), lines }
}

fn list(differences: &[&String], lines: &mut Vec<String>) {
    lines.extend(differences.iter().take(FILES_SHOWN_MAX).map(|line| format!("  {line}")));
    if let Some(more) = differences.len().checked_sub(FILES_SHOWN_MAX).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
}

/// `added a/b`, `removed a/b`, `modified a/b`, by path.
fn differences(before: &Snapshot, now: &Snapshot) -> Vec<String> {
    let mut found: BTreeMap<&String, &str> = BTreeMap::new();
    for (path, id) in &now.files {
        match before.files.get(path) {
            None => found.insert(path, "added"),
            Some(old) if old != id => found.insert(path, "modified"),
            Some(_) => None,
        };
    }
    for path in before.files.keys().filter(|path| !now.files.contains_key(*path)) {
        found.insert(path, "removed");
    }
    found.into_iter().map(|(path, what)| format!("{what} {path}")).collect()
}

fn path_of(difference: &str) -> &str {
    difference.split_once(' ').map_or("", |(_, path)| path)
}

#[cfg(test)]
mod tests;
