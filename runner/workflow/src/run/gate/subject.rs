//! What exactly is approved, as a digest: an approval of one thing is none of another.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Protection;
use crate::expression::{Scope as _, Value};
use crate::run::contexts::JobScope;
use crate::run::{JobRunKey, Run};

/// Commits of an event whose authors are looked at; forges tell no more.
const COMMITS_MAX: usize = 2_048;

impl Run {
    /// A digest over the commit, the workflow's text, the run and its attempt, the job, the environment with its rules
    /// and the results of the jobs that it needs: the digests of images and plans are outputs of those.
    pub(super) fn subject(&self, key: &JobRunKey, environment: &str, rules: &Protection) -> String {
        let needs = JobScope::of_leg(self, key).and_then(|scope| scope.context("needs"));
        let bound = json!({
            "v": 1,
            "repository": self.github_text("repository"),
            "ref": self.github_text("ref"),
            "sha": self.github_text("sha"),
            "run": self.github_text("run_id"),
            "attempt": self.github_text("run_attempt"),
            "workflow": [self.facts.workflow.path, self.facts.workflow_hash],
            "job": key.to_string(),
            "environment": environment.to_lowercase(),
            "rules": rules.bound(self.facts.environments.authors(environment, rules).as_ref()),
            "needs": needs.unwrap_or(Value::Null).to_json(),
        });
        let digest = Sha256::digest(bound.to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Who began this run, as far as the event says: who pushed or sent it, who is named as actor, who ran it again, who
    /// wrote its commits (by login and mail address). In lower case, each once.
    pub(super) fn began_by(&self) -> Vec<String> {
        let event = self.facts.github.get("event");
        let within = |path: &[&str]| {
            let value = path.iter().try_fold(event?.clone(), |value, key| value.get(key).cloned())?;
            Some(value.to_display_string().to_string())
        };
        let named = [
            Some(self.github_text("actor")),
            Some(self.github_text("triggering_actor")),
            within(&["sender", "login"]),
            within(&["pusher", "name"]),
            within(&["pusher", "email"]),
            within(&["pull_request", "user", "login"]),
        ];
        let commits = event.and_then(|event| event.get("commits")).and_then(Value::as_array).unwrap_or_default();
        let head = event.and_then(|event| event.get("head_commit"));
        let authors = commits.iter().take(COMMITS_MAX).chain(head).filter_map(|commit| commit.get("author"));
        let authors = authors.flat_map(|author| ["username", "email"].map(|key| author.get(key)));
        let authors = authors.flatten().map(|name| name.to_display_string().to_string());
        let mut names: Vec<_> = named
            .into_iter()
            .flatten()
            .chain(authors)
            .filter(|name| !name.is_empty())
            .map(|name| name.to_lowercase())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A text of the `github` context; empty where there is none.
    pub(super) fn github_text(&self, key: &str) -> String {
        self.facts.github.get(key).map_or_else(String::new, |value| value.to_display_string().to_string())
    }
}
