//! What actions may know of their run.

use workflow::expression::Value;

use super::JobOrder;
use super::placed::PlacedRecord;
use super::run::PlacedJobs;
use crate::issuer::OF_GITHUB;
use crate::step::RunFactsForAction;

impl PlacedJobs {
    /// What an action may know of the run.
    pub(super) fn run_facts(&self, order: &JobOrder, placed: &PlacedRecord, github: &Value) -> RunFactsForAction {
        let settings = &*self.0;
        let text = |name: &str| github.get(name).map(|value| value.to_display_string().to_string()).unwrap_or_default();
        let path = |keys: &[&str]| {
            let value = keys.iter().try_fold(github.clone(), |value, key| value.get(key).cloned());
            value.map(|value| value.to_display_string().to_string()).unwrap_or_default()
        };
        RunFactsForAction {
            id: order.run,
            job: order.key.to_string(),
            environment: order.environment.clone().and_then(Result::ok),
            actor: text("actor"),
            workflow: order.facts.workflow.path.clone(),
            git_ref: text("ref"),
            sha: text("sha"),
            event: text("event_name"),
            base_ref: text("base_ref"),
            default_branch: path(&["event", "repository", "default_branch"]),
            fork: path(&["event", "pull_request", "head", "repo", "fork"]) == "true",
            cache_mode: order.job.cache_mode,
            home: placed.paths.home.clone().or_else(|| std::env::var("HOME").ok()).unwrap_or_default(),
            state: settings.state.clone(),
            claims: OF_GITHUB
                .iter()
                .map(|name| ((*name).to_owned(), text(name)))
                .filter(|(_, text)| !text.is_empty())
                .collect(),
            kept: settings.kept.clone(),
            keeper: settings.keeper.clone(),
            reports: settings.reports.clone(),
        }
    }
}
