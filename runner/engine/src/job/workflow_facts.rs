//! `job.workflow_*`: the file that a job stands in, which for a job of a called workflow is not that of the run; and what
//! `$/` in that file means.
//!
//! See <https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#job-context>.

use std::sync::Arc;

use workflow::expression::{Object, Value};
use workflow::model::JobKind;

use super::JobOrder;
use super::run::PlacedJobs;
use crate::actions::Actions;

/// Where a job's workflow file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkflowFacts {
    /// `owner/repo`.
    pub(super) repository: String,
    /// The file in it.
    path: String,
    /// `owner/repo/path@ref`.
    full: String,
    /// Its commit; empty where nobody knows.
    pub(super) commit: String,
}

impl WorkflowFacts {
    /// Those of a job. `github`: its context.
    pub(super) fn of(order: &JobOrder, github: &Object, actions: &Actions) -> Self {
        let called = order.callers.last().and_then(|caller| match &caller.job.kind {
            JobKind::Call(call) => Some(call.reference.value.as_str()),
            JobKind::Steps(_) => None,
        });
        let known = |repository: &str, reference: &str| actions.store.as_ref()?.known(repository, reference);
        Self::at(called, github, known)
    }

    fn at(called: Option<&str>, github: &Object, known: impl Fn(&str, &str) -> Option<String>) -> Self {
        let text = |name: &str| github.get(name).map(|value| value.to_display_string().to_string()).unwrap_or_default();
        let (repository, run, commit) = (text("repository"), text("workflow_ref"), text("workflow_sha"));
        let (own, reference) = run.rsplit_once('@').unwrap_or((&run, ""));
        match called.map(|called| (called.strip_prefix("./"), called)) {
            None => {
                let path = own.strip_prefix(&format!("{repository}/")).unwrap_or(own).to_owned();
                Self { repository, path, full: run.clone(), commit }
            }
            Some((Some(path), _)) => {
                let full = format!("{repository}/{path}@{reference}");
                Self { repository, path: path.to_owned(), full, commit }
            }
            Some((None, full)) => {
                let (path, reference) = full.rsplit_once('@').unwrap_or((full, ""));
                let mut parts = path.splitn(3, '/');
                let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let repository = format!("{owner}/{name}");
                let commit = known(&repository, reference).unwrap_or_default();
                Self { repository, path: parts.next().unwrap_or_default().to_owned(), full: full.to_owned(), commit }
            }
        }
    }

    /// Adds them to a `job` context, and to `github` what it has of them: identity tokens say it too.
    pub(super) fn add_to(&self, job: &mut Object, github: &mut Object) {
        let text = |text: &str| Value::String(Arc::from(text));
        for (name, value) in [
            ("workflow_ref", &self.full),
            ("workflow_sha", &self.commit),
            ("workflow_repository", &self.repository),
            ("workflow_file_path", &self.path),
        ] {
            job.insert(name, text(value));
        }
        for (name, value) in [("job_workflow_ref", &self.full), ("job_workflow_sha", &self.commit)] {
            github.insert(name, text(value));
        }
    }
}

impl PlacedJobs {
    pub(super) fn workflow_facts(&self, order: &JobOrder, github: &Object) -> WorkflowFacts {
        WorkflowFacts::of(order, github, &self.0.actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_file_a_job_stands_in() {
        let text = |text: &str| Value::String(Arc::from(text));
        let github = Object::default()
            .with("repository", text("o/shop"))
            .with("workflow_ref", text("o/shop/.github/workflows/ci.yml@refs/heads/main"))
            .with("workflow_sha", text("abc"));
        let check = |called: Option<&str>, expect: [&str; 4]| {
            let known = |repository: &str, reference: &str| Some(format!("{repository} at {reference}"));
            let facts = WorkflowFacts::at(called, &github, known);
            let mut told = github.clone();
            facts.add_to(&mut Object::default(), &mut told);
            let told = ["job_workflow_ref", "job_workflow_sha"].map(|name| told.get(name).unwrap().to_display_string());
            assert_eq!(told.each_ref().map(|value| &**value), [expect[0], expect[1]]);
            let WorkflowFacts { repository, path, full, commit } = facts;
            assert_eq!([full, commit, repository, path], expect);
        };
        let ci = ".github/workflows/ci.yml";
        check(None, [&format!("o/shop/{ci}@refs/heads/main"), "abc", "o/shop", ci]);
        check(
            Some("./.github/workflows/b.yml"),
            ["o/shop/.github/workflows/b.yml@refs/heads/main", "abc", "o/shop", ".github/workflows/b.yml"],
        );
        check(
            Some("x/y/.github/workflows/b.yml@v1"),
            ["x/y/.github/workflows/b.yml@v1", "x/y at v1", "x/y", ".github/workflows/b.yml"],
        );
    }
}
