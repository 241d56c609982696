//! `[environments.NAME]`: the rules of environments, in a server's `pipe.toml` and in a repository's own file.

use engine::store::verdicts::ScanRule;
use indexmap::IndexMap;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use pipelines::scan::RequireScan;
use serde::Deserialize;
use workflow::run::{Environments, Freeze, Protection, REVIEW_DAYS_MAX};

/// Longest wait timer, as on GitHub: 30 days.
const WAIT_MINUTES_MAX: u64 = 43_200;
/// Most reviewers of an environment.
const REVIEWERS_MAX: usize = 100;
/// Most patterns, and most freezes.
const LIST_MAX: usize = 100;
const HOUR_MS: u64 = 3_600_000;

/// `[environments.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EnvironmentTable {
    /// Who may approve: people, and teams as `team:NAME`.
    pub reviewers: Vec<String>,
    /// How many of them have to; one without it.
    pub required_reviewers: Option<u32>,
    /// Whether who began a run may not approve it: so it is on a server, unless this says `false`.
    pub prevent_self_review: Option<bool>,
    /// Whether who wrote any commit since the last deployment there may not approve it.
    pub prevent_author_review: bool,
    /// How long a job waits, in minutes.
    pub wait_timer: u64,
    /// After how many hours without a review it fails; 30 days without it.
    pub review_hours: Option<u64>,
    /// Branches that may be deployed, as patterns; tags as `refs/tags/…`.
    pub branches: Vec<String>,
    /// When nothing is deployed.
    pub freeze: Vec<FreezeTable>,
    /// Whether only images are deployed that a scan has let pass: `true`, or how many hours ago at most.
    pub require_scan: RequireScanTable,
}

/// `require-scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`require-scan` is true, false or a number of hours")]
pub enum RequireScanTable {
    /// Whenever that was.
    Asked(bool),
    /// So many hours ago at most.
    Hours(u32),
}

impl Default for RequireScanTable {
    fn default() -> Self {
        Self::Asked(false)
    }
}

impl RequireScanTable {
    fn rule(self) -> Option<ScanRule> {
        match self {
            Self::Asked(asked) => asked.then(ScanRule::default),
            Self::Hours(hours) => Some(ScanRule { age_max: Some(SignedDuration::from_hours(i64::from(hours))) }),
        }
    }
}

/// One of `freeze`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FreezeTable {
    /// `2026-12-20`, `2026-12-20 18:00`, `fri 16:00` or `22:00`.
    pub from: String,
    /// The same.
    pub to: String,
    /// Such as `Europe/Vienna`; UTC without it.
    pub timezone: Option<String>,
    /// Told to people.
    pub reason: String,
}

impl FreezeTable {
    fn freeze(&self) -> Result<Freeze, String> {
        let zone = match &self.timezone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone such as Europe/Vienna"))?,
        };
        Freeze::new(&self.from, &self.to, zone, &self.reason)
    }
}

impl EnvironmentTable {
    fn problem(&self, name: &str) -> Option<(&'static str, String)> {
        if self.wait_timer > WAIT_MINUTES_MAX {
            let message = format!("`wait-timer` of `{name}` is in minutes, {WAIT_MINUTES_MAX} (30 days) at most");
            return Some(("wait-timer", message));
        }
        let hours_max = REVIEW_DAYS_MAX * 24;
        if self.review_hours.is_some_and(|hours| hours == 0 || hours > hours_max) {
            return Some(("review-hours", format!("`review-hours` of `{name}` is 1 to {hours_max} (30 days)")));
        }
        if self.reviewers.len() > REVIEWERS_MAX {
            return Some(("reviewers", format!("`{name}` has more than {REVIEWERS_MAX} reviewers")));
        }
        if let Some(empty) = self.reviewers.iter().find(|name| matches!(name.trim(), "" | "team:")) {
            return Some(("reviewers", format!("`{empty}` among the reviewers of `{name}` is nobody")));
        }
        for (key, length) in [("branches", self.branches.len()), ("freeze", self.freeze.len())] {
            if length > LIST_MAX {
                return Some((key, format!("`{name}` has more than {LIST_MAX} entries in `{key}`")));
            }
        }
        if let Some(problem) = self.freeze.iter().find_map(|freeze| freeze.freeze().err()) {
            return Some(("freeze", format!("a freeze of `{name}`: {problem}")));
        }
        let impossible = self.rules(true).impossible()?;
        let key = match self.required_reviewers {
            Some(_) => "required-reviewers",
            None if self.reviewers.is_empty() => "prevent-author-review",
            None => "reviewers",
        };
        Some((key, format!("nobody could ever deploy to `{name}`: {impossible}")))
    }

    fn rules(&self, on_server: bool) -> Protection {
        Protection {
            reviewers: self.reviewers.clone(),
            required: self.required_reviewers.unwrap_or(1),
            self_review: !self.prevent_self_review.unwrap_or(on_server),
            author_review: !self.prevent_author_review,
            wait_ms: self.wait_timer * 60_000,
            expires_ms: self.review_hours.unwrap_or(REVIEW_DAYS_MAX * 24) * HOUR_MS,
            branches: self.branches.clone(),
            freezes: self.freeze.iter().filter_map(|freeze| freeze.freeze().ok()).collect(),
        }
    }
}

/// What the form alone does not say: the key that is wrong, and why.
pub fn problem(tables: &IndexMap<String, EnvironmentTable>) -> Option<(&'static str, String)> {
    tables.iter().find_map(|(name, table)| table.problem(name))
}

/// What environments ask of images before they are deployed.
pub fn require_scan(tables: &IndexMap<String, EnvironmentTable>) -> RequireScan {
    RequireScan::new(tables.iter().filter_map(|(name, table)| Some((name.clone(), table.require_scan.rule()?))))
}

/// As runs of a server take them. Where any environment is named, there are no others.
pub fn rules(tables: &IndexMap<String, EnvironmentTable>) -> Environments {
    let rules = tables.iter().map(|(name, table)| (name.to_lowercase(), table.rules(true))).collect();
    Environments { rules, closed: !tables.is_empty(), ..Environments::default() }
}

/// As a run at a terminal takes them: the one who is there is the only reviewer, and it is their own run.
pub fn local_rules(tables: &IndexMap<String, EnvironmentTable>) -> Environments {
    let rules = tables.iter().map(|(name, table)| {
        let rules = Protection { required: 1, self_review: true, author_review: true, ..table.rules(false) };
        (name.to_lowercase(), rules)
    });
    Environments { rules: rules.collect(), ..Environments::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_required_whenever_or_lately() {
        for (text, expected) in [
            ("require-scan = true", Some(Some(ScanRule::default()))),
            ("require-scan = 24", Some(Some(ScanRule { age_max: Some(SignedDuration::from_hours(24)) }))),
            ("require-scan = false", Some(None)),
            ("", Some(None)),
            ("require-scan = 'yes'", None),
            ("require-scan = -1", None),
        ] {
            let table = toml::from_str::<EnvironmentTable>(text).ok();
            let rule = table.map(|table| require_scan(&IndexMap::from([("Prod".to_owned(), table)])).rule("prod"));
            assert_eq!(rule, expected, "{text}");
        }
    }
}
