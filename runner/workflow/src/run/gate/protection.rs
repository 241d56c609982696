//! What an environment asks for before a job may go on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::freeze::Freeze;
use crate::trigger::Glob;

/// A review that does not come within this time fails the job, as on GitHub.
pub const REVIEW_DAYS_MAX: u64 = 30;
/// [`REVIEW_DAYS_MAX`] in milliseconds.
pub const REVIEW_MS_MAX: u64 = REVIEW_DAYS_MAX * 24 * 3_600_000;
/// Before the name of a team among reviewers.
pub const TEAM: &str = "team:";
/// Among reviewers: everybody whose role lets them review.
pub const EVERYBODY: &str = "*";

/// The rules of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// People, teams as `team:NAME`, or [`EVERYBODY`]; empty: nobody has to approve.
    pub reviewers: Vec<String>,
    /// How many of them have to, each another person.
    pub required: u32,
    /// Whether who started the run, pushed it or ran it again may approve it too.
    pub self_review: bool,
    /// Whether who wrote a commit that is not there yet may approve it too.
    pub author_review: bool,
    /// How long a job waits, in milliseconds.
    pub wait_ms: u64,
    /// A review that does not come within this time, in milliseconds, fails the job.
    pub expires_ms: u64,
    /// Branches (and tags as `refs/tags/…`) that may be deployed, as patterns of GitHub's filters; empty: all.
    pub branches: Vec<String>,
    /// When nothing is deployed.
    pub freezes: Vec<Freeze>,
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            reviewers: Vec::new(),
            required: 1,
            self_review: true,
            author_review: true,
            wait_ms: 0,
            expires_ms: REVIEW_MS_MAX,
            branches: Vec::new(),
            freezes: Vec::new(),
        }
    }
}

/// The environments that have rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environments {
    /// By name in lower case, as GitHub compares them.
    pub rules: BTreeMap<String, Protection>,
    /// Whether there are no others: a job that names one fails, so that a slip in a name, or a name that an expression
    /// makes, passes by no rule.
    pub closed: bool,
    /// Of a run: who wrote what it would bring to environments whose authors may not approve it, by name in lower case.
    pub written: BTreeMap<String, Written>,
}

/// Names and mail addresses in lower case of who wrote commits since what stands in an environment, or why nobody knows.
pub type Written = Result<Vec<String>, String>;

impl Environments {
    /// The rules of an environment; `None` where it has none.
    #[must_use]
    pub fn protection(&self, name: &str) -> Option<&Protection> {
        self.rules.get(&name.to_lowercase()).filter(|it| it.waits() || !it.branches.is_empty())
    }

    /// Environments whose authors may not approve what they wrote.
    pub fn of_authors(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|(_, rules)| !rules.author_review).map(|(name, _)| name.as_str())
    }

    /// Who wrote what a run would bring to an environment that asks for it; `None`: it does not.
    pub(super) fn authors(&self, name: &str, rules: &Protection) -> Option<Written> {
        let unknown = || Err("nobody has looked".to_owned());
        (!rules.author_review).then(|| self.written.get(&name.to_lowercase()).cloned().unwrap_or_else(unknown))
    }

    /// Why a job may not name this environment, a sentence.
    pub(super) fn unknown(&self, name: &str) -> Option<String> {
        if !self.closed || self.rules.contains_key(&name.to_lowercase()) {
            return None;
        }
        let known: Vec<_> = self.rules.keys().map(|name| format!("`{name}`")).collect();
        Some(format!("there is no environment `{}`; there are {}", name.escape_debug(), known.join(", ")))
    }
}

impl Protection {
    /// Whether a job may have to wait.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.reviewers.is_empty() || self.wait_ms > 0 || !self.freezes.is_empty()
    }

    /// Why nobody can ever satisfy these rules, a sentence fragment. Teams may have any number of members.
    #[must_use]
    pub fn impossible(&self) -> Option<String> {
        let people = self.people();
        if self.reviewers.is_empty() {
            if !self.author_review {
                return Some("who wrote it may not approve it, but nobody is named who may".to_owned());
            }
            return (self.required > 1).then(|| format!("{} have to approve, but nobody is named", self.required));
        }
        if self.required == 0 {
            return Some("reviewers are named, but none has to approve".to_owned());
        }
        let few = !self.has_teams() && people.len() < usize::try_from(self.required).unwrap_or(usize::MAX);
        few.then(|| format!("{} have to approve, but only {} can", self.required, people.len()))
    }

    /// What an approval is bound to. Not the freezes: they only say when.
    pub(super) fn bound(&self, authors: Option<&Written>) -> Json {
        let mut bound = vec![
            json!(self.reviewers),
            json!(self.required),
            json!(self.self_review),
            json!(self.wait_ms),
            json!(self.branches),
        ];
        // When others' commits come as well, it is about something else. Without the rule it stays what it was.
        bound.extend(authors.map(|authors| json!(authors)));
        Json::Array(bound)
    }

    /// The people among the reviewers, each once, in lower case.
    fn people(&self) -> Vec<String> {
        let people = self.reviewers.iter().filter(|name| !is_many(name)).map(|name| name.to_lowercase());
        people.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    fn has_teams(&self) -> bool {
        self.reviewers.iter().any(|name| is_many(name))
    }

    /// Why nobody is left who could approve a run that these people began, and what those wrote.
    pub(super) fn nobody_left(&self, barred: &[String], authors: Option<&[String]>) -> Option<String> {
        if self.reviewers.is_empty() || self.has_teams() {
            return None;
        }
        let is_out = |name: &String| barred.contains(name) || authors.is_some_and(|authors| authors.contains(name));
        let left = self.people().iter().filter(|name| !is_out(name)).count();
        (left < usize::try_from(self.required).unwrap_or(usize::MAX)).then(|| {
            let (reviewers, required) = (self.reviewers.join(", "), self.required);
            if authors.is_some() {
                return format!(
                    "of {reviewers} only {left} neither began it nor wrote a commit that is new there, and {required} \
                     have to approve it"
                );
            }
            format!("of {reviewers} only {left} may approve what {} began, and {required} have to", barred.join(", "))
        })
    }

    /// Whether a ref may be deployed.
    pub(super) fn allows(&self, git_ref: &str) -> bool {
        let name = git_ref.strip_prefix("refs/heads/").unwrap_or(git_ref);
        self.branches.is_empty() || self.branches.iter().any(|pattern| Glob::new(pattern).matches(name))
    }

    /// When the freeze ends that holds now, and why there is one. Freezes that touch are one.
    #[must_use]
    pub fn frozen(&self, now: Timestamp) -> Option<(Timestamp, &str)> {
        let mut end: Option<(Timestamp, &str)> = None;
        // Each turn ends with a window more or is the last one.
        for _ in 0..=self.freezes.len() {
            let at = end.map_or(now, |(at, _)| at);
            let longer = self.freezes.iter().filter_map(|freeze| Some((freeze.until(at)?, freeze.reason.as_str())));
            let Some(longest) = longer.max_by_key(|(until, _)| *until) else { break };
            end = Some((longest.0, end.map_or(longest.1, |(_, reason)| reason)));
        }
        end
    }
}

/// Whether a reviewer may be any number of people.
fn is_many(name: &str) -> bool {
    name == EVERYBODY || name.starts_with(TEAM)
}
