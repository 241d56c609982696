//! `[environments.NAME]`: the rules of environments, in a server's `pipe.toml` and in a repository's own file.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use workflow::run::{Environments, Protection};

/// Longest wait timer, as on GitHub: 30 days.
const WAIT_MINUTES_MAX: u64 = 43_200;
/// Most reviewers of an environment.
const REVIEWERS_MAX: usize = 100;

/// `[environments.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EnvironmentTable {
    /// One of them has to approve.
    pub reviewers: Vec<String>,
    /// How long a job waits, in minutes.
    pub wait_timer: u64,
}

/// What the form alone does not say: the key that is wrong, and why.
pub fn problem(tables: &IndexMap<String, EnvironmentTable>) -> Option<(&'static str, String)> {
    tables.iter().find_map(|(name, table)| {
        if table.wait_timer > WAIT_MINUTES_MAX {
            let message = format!("`wait-timer` of `{name}` is in minutes, {WAIT_MINUTES_MAX} (30 days) at most");
            return Some(("wait-timer", message));
        }
        let many = table.reviewers.len() > REVIEWERS_MAX;
        many.then(|| ("reviewers", format!("`{name}` has more than {REVIEWERS_MAX} reviewers")))
    })
}

/// As runs take them.
pub fn rules(tables: &IndexMap<String, EnvironmentTable>) -> Environments {
    let rules = |table: &EnvironmentTable| Protection {
        reviewers: table.reviewers.clone(),
        wait_ms: table.wait_timer * 60_000,
    };
    Environments(tables.iter().map(|(name, table)| (name.to_lowercase(), rules(table))).collect::<BTreeMap<_, _>>())
}
