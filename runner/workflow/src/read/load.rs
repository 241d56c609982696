//! Called workflows: found through a port, read like the first one, and tied to the job that calls them.
//!
//! How a reference becomes a file is the port's business. Follows
//! <https://docs.github.com/en/actions/sharing-automations/reusing-workflows>.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::checks::Checks;
use super::triggers::string;
use super::{WorkflowFiles, cache_mode, call, jobs, permissions, root, settings, triggers};
use crate::model::{CalledWorkflow, Job, JobId, JobKind, Permissions, ReusableCall, Workflow};
use crate::schema::{Schema, WORKFLOW_ROOT, WORKFLOW_ROOT_RELAXED};
use crate::source::{FileId, SourceFile, SourceMap, Spanned};
use crate::template::{self, Budget, Token, TokenKind};

/// Reads a workflow and all that it calls.
pub(super) struct Loader<'a> {
    files: &'a dyn WorkflowFiles,
    pub(super) checks: Checks<'a>,
    pub(super) sources: SourceMap,
    /// By name in lower case: a file that is called twice is one file.
    known: HashMap<String, FileId>,
    /// The called files that lie between the first one and the one that is read.
    open: Vec<FileId>,
    /// What all files together have cost.
    budget: Budget,
}

impl<'a> Loader<'a> {
    /// Nothing read yet.
    pub(super) fn new(files: &'a dyn WorkflowFiles, checks: Checks<'a>) -> Self {
        let budget = Budget::new(checks.options.limits);
        Self { files, checks, sources: SourceMap::default(), known: HashMap::new(), open: Vec::new(), budget }
    }

    /// Reads the first file and what it calls. Errors stop it at the end of the stage that found them.
    pub(super) fn read(&mut self, file: SourceFile) -> Option<Workflow> {
        let path = file.name().to_owned();
        let (_, tokens) = self.tokens(file)?;
        let mut workflow = root::read(&mut self.checks, &tokens, &path);
        if !self.checks.may_go_on() {
            return None;
        }
        if self.checks.options.read_called_workflows {
            self.load_calls(workflow.jobs.values_mut(), 1);
        }
        self.checks.may_go_on().then_some(workflow)
    }

    fn load_calls<'jobs>(&mut self, jobs: impl Iterator<Item = &'jobs mut Job>, depth: usize) {
        for job in jobs {
            self.load(job, depth);
            if !self.checks.may_go_on() {
                return;
            }
        }
    }

    /// Reads what a job calls, if it calls anything that can be had.
    fn load(&mut self, job: &mut Job, depth: usize) {
        let Job { id, kind, permissions, cache_mode, .. } = job;
        let JobKind::Call(call) = kind else { return };
        if depth > self.checks.options.nested_workflows_max {
            let most = self.checks.options.nested_workflows_max;
            let at = call.reference.span;
            self.checks.unplaced(Some(at), format!("Nested reusable workflow depth exceeded {most}."));
            let help = self.circle(at.file);
            if let Some(error) = self.checks.errors.last_mut() {
                error.help = help;
            }
            return;
        }
        let reference = call.reference.span;
        let before = self.checks.errors.len();
        let called = self.called(call, id, permissions.as_ref());
        for error in &mut self.checks.errors[before..] {
            error.come_from_call(reference);
        }
        call.called = called.map(Box::new);
        if let Some(called) = &mut call.called {
            cache_mode::limit(*cache_mode, called.jobs.values_mut());
        }
        if let (Some(called), true) = (&mut call.called, self.checks.may_go_on()) {
            self.open.push(called.file);
            self.load_calls(called.jobs.values_mut(), depth + 1);
            self.open.pop();
        }
    }

    /// How a file comes to call itself, for the person who wrote it.
    fn circle(&self, file: FileId) -> Option<String> {
        let mut places = self.open.iter().enumerate().rev().filter(|(_, open)| **open == file).map(|(index, _)| index);
        let (last, first) = (places.next()?, places.next()?);
        let names = self.open[first..=last].iter().map(|file| self.sources.get(*file).map_or("", SourceFile::name));
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        Some(format!("it calls itself: {}; take one of these calls out", names.join(" → ")))
    }

    fn called(
        &mut self,
        call: &mut ReusableCall,
        job: &Spanned<JobId>,
        allowed: Option<&Permissions>,
    ) -> Option<CalledWorkflow> {
        let caller = self.sources.get(call.reference.span.file).map_or("", SourceFile::name);
        call.reference.value = qualify(&call.reference.value, caller);
        let file = match self.files.read(&call.reference.value)? {
            Ok(file) => file,
            Err(message) => {
                self.checks.error(call.reference.span, message);
                return None;
            }
        };
        // Where the port knows a local file by its full name, GitHub writes that name.
        if call.reference.value.starts_with("./") && file.name().contains('@') {
            file.name().clone_into(&mut call.reference.value);
        }
        let (file, tokens) = self.tokens(file)?;
        Some(self.read_called(call, job, allowed, file, &tokens))
    }

    fn read_called(
        &mut self,
        call: &ReusableCall,
        job: &Spanned<JobId>,
        allowed: Option<&Permissions>,
        file: FileId,
        written: &Token,
    ) -> CalledWorkflow {
        let checks = &mut self.checks;
        let on = written.get("on");
        let definitions = on.map(triggers::call_definitions).unwrap_or_default();
        let mut trigger = None;
        let mut read_jobs = IndexMap::new();
        let mut own = None;
        for (key, value) in written.as_mapping().unwrap_or_default() {
            match key.as_str().unwrap_or_default() {
                "on" => {
                    trigger = triggers::read(checks, value).entries.shift_remove("workflow_call");
                    if trigger.is_some() {
                        call::check(checks, call, &definitions);
                    } else {
                        checks.error(value.span, "workflow_call key is not defined in the referenced workflow.");
                    }
                }
                "concurrency" => settings::check_concurrency(checks, value),
                "jobs" => read_jobs = jobs::read(checks, value),
                "permissions" => {
                    let requested = permissions::read(value);
                    check_permissions(checks, call, job, None, &requested, allowed);
                    own = Some(requested);
                }
                _ => {}
            }
        }
        for nested in read_jobs.values() {
            if let Some(requested) = &nested.permissions {
                check_permissions(checks, call, job, Some(nested), requested, allowed);
            }
        }
        root::pass_down(own.as_ref().or(allowed), read_jobs.values_mut());
        cache_mode::pass_down(written, read_jobs.values_mut());
        let trigger = trigger.unwrap_or_default();
        let value = |key: &str| written.get(key).cloned();
        CalledWorkflow {
            file,
            name: written.get("name").and_then(string),
            inputs: trigger.call_inputs,
            secrets: trigger.call_secrets,
            outputs: trigger.call_outputs,
            definitions,
            permissions: own,
            env: value("env"),
            defaults: value("defaults"),
            concurrency: value("concurrency"),
            jobs: read_jobs,
        }
    }

    /// Reads one file into tokens, within what the files before it left of the limits.
    fn tokens(&mut self, file: SourceFile) -> Option<(FileId, Token)> {
        let checks = &mut self.checks;
        let key = file.name().to_lowercase();
        let id = match self.known.get(&key) {
            Some(id) => *id,
            None if checks.options.files_max.is_some_and(|most| self.known.len() >= most) => {
                let most = checks.options.files_max.unwrap_or_default();
                checks.unplaced(None, format!("The maximum file count of {most} has been exceeded"));
                return None;
            }
            None => {
                let id = self.sources.add(file.clone());
                self.known.insert(key, id);
                id
            }
        };
        checks.enter(file.clone());
        let root = if checks.options.known_events_only { WORKFLOW_ROOT } else { WORKFLOW_ROOT_RELAXED };
        let reading = template::Reading {
            schema: Schema::workflow(),
            root,
            budget: &mut self.budget,
            background_steps: checks.options.background_steps,
            repairs: checks.explore.filter(|_| id == FileId(0)),
            errors: &mut checks.errors,
        };
        let tokens = template::read(&file, id, reading)?;
        checks.may_go_on().then_some((id, tokens))
    }
}

/// A `./` reference in a file of another repository means that repository, at the same commit.
fn qualify(reference: &str, caller: &str) -> String {
    let local = reference.strip_prefix("./");
    let at = caller.rsplit_once('@').and_then(|(path, at)| {
        let mut parts = path.splitn(3, '/');
        Some((parts.next()?, parts.next()?, at))
    });
    match (local, at) {
        (Some(local), Some((owner, name, at))) => format!("{owner}/{name}/{local}@{at}"),
        (_, _) => reference.to_owned(),
    }
}

/// Records that a called workflow, or a job in it, asks for more than its caller may do.
fn check_permissions(
    checks: &mut Checks<'_>,
    call: &ReusableCall,
    job: &Spanned<JobId>,
    nested: Option<&Job>,
    requested: &Permissions,
    allowed: Option<&Permissions>,
) {
    let Some((wanted, given)) = permissions::excess(requested, allowed, checks.options) else { return };
    let reference = &call.reference.value;
    let who =
        nested.map_or_else(|| format!("workflow '{reference}'"), |nested| format!("nested job '{}'", name(nested)));
    let message = format!(
        "Error calling workflow '{reference}'. The {who} is requesting '{wanted}', but is only allowed '{given}'."
    );
    checks.error(job.span, message);
}

/// What GitHub calls a job before its name is evaluated.
fn name(job: &Job) -> String {
    match job.name.as_ref().map(|name| &name.kind) {
        Some(TokenKind::String(name)) => name.to_string(),
        Some(TokenKind::Expression(name)) => format!("${{{{ {} }}}}", name.text()),
        Some(_) | None => job.id.value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::qualify;

    #[test]
    fn local_references_stay_in_their_repository() {
        for (reference, caller, expected) in [
            ("./.github/workflows/a.yml", ".github/workflows/ci.yml", "./.github/workflows/a.yml"),
            ("./.github/workflows/a.yml", "o/r/.github/workflows/b.yml@v1", "o/r/.github/workflows/a.yml@v1"),
            ("x/y/.github/workflows/a.yml@v2", "o/r/.github/workflows/b.yml@v1", "x/y/.github/workflows/a.yml@v2"),
        ] {
            assert_eq!(qualify(reference, caller), expected);
        }
    }
}
