//! The top level of a workflow file: its keys in file order, which is the order of GitHub's errors.
//!
//! Follows <https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions>.

use indexmap::IndexMap;

use super::checks::Checks;
use super::triggers::string;
use super::{cache_mode, jobs, permissions, settings, triggers};
use crate::model::{Job, Permissions, Triggers, Workflow};
use crate::template::Token;

/// Reads a whole file that the schema has accepted. `path` is its place in the repository.
pub(super) fn read(checks: &mut Checks<'_>, written: &Token, path: &str) -> Workflow {
    let mut on = Triggers::default();
    let mut read_jobs = IndexMap::new();
    for (key, value) in written.as_mapping().unwrap_or_default() {
        match key.as_str().unwrap_or_default() {
            "on" => on = triggers::read(checks, value),
            "concurrency" => settings::check_concurrency(checks, value),
            "jobs" => read_jobs = jobs::read(checks, value),
            _ => {}
        }
    }
    let value = |key: &str| written.get(key).cloned();
    let permissions = written.get("permissions").map(permissions::read);
    pass_down(permissions.as_ref(), read_jobs.values_mut());
    cache_mode::pass_down(written, read_jobs.values_mut());
    Workflow {
        path: path.to_owned(),
        name: written.get("name").and_then(string),
        description: written.get("description").and_then(string),
        run_name: value("run-name"),
        on,
        permissions,
        env: value("env"),
        defaults: value("defaults"),
        concurrency: value("concurrency"),
        jobs: read_jobs,
    }
}

/// Jobs without permissions of their own have those of their workflow.
pub(super) fn pass_down<'a>(permissions: Option<&Permissions>, jobs: impl Iterator<Item = &'a mut Job>) {
    for job in jobs {
        job.permissions = job.permissions.take().or_else(|| permissions.cloned());
    }
}
