//! A gate in the middle of a job: what it asks, and who may let it pass. It is kept as a rollout that moves nothing, so that
//! pages, the API, commands and the audit log have it at once; what it asks is in the settings of its plan, and so in its hash.

use serde::{Deserialize, Serialize};

use crate::Plan;

/// What the names of gates begin with, where services stand.
pub const PREFIX: &str = "gate:";
/// The target of a gate's plan.
pub const TARGET: &str = "approval";

/// What a gate asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asks {
    /// What is approved; may be empty.
    pub subject: String,
    /// More of it: a plan, a list.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// Only these people count; empty: all who may deploy there.
    pub reviewers: Vec<String>,
    /// How many have to.
    pub approvals: usize,
    /// Whether who started the run does not count.
    pub prevent_self_review: bool,
}

impl Asks {
    /// That of a plan; `None` if it is no gate's.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let settings = Some(&plan.settings).filter(|_| plan.target == TARGET);
        settings.and_then(|settings| Self::deserialize(settings).ok())
    }

    /// Why somebody's approval does not count; `None`: it does. `by` started the run, `approved` are those that count already.
    /// Names are compared as those of users are, whatever the case of their letters.
    #[must_use]
    pub fn refusal(&self, by: &str, approved: &[String], who: &str) -> Option<String> {
        let is = |name: &String| name.eq_ignore_ascii_case(who);
        if self.prevent_self_review && by.eq_ignore_ascii_case(who) {
            return Some("they started the run".to_owned());
        }
        if !self.reviewers.is_empty() && !self.reviewers.iter().any(is) {
            return Some(format!("asked are {}", self.reviewers.join(", ")));
        }
        approved.iter().any(is).then(|| "they did so before".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts() {
        let asks = |reviewers: &[&str], prevent_self_review| Asks {
            subject: "Send?".into(),
            details: String::new(),
            reviewers: reviewers.iter().map(|&name| name.to_owned()).collect(),
            approvals: 2,
            prevent_self_review,
        };
        let approved = ["lee".to_owned()];
        for (asks, who, expected) in [
            (asks(&[], false), "ada", None),
            (asks(&[], true), "Ada", Some("they started the run")),
            (asks(&["kim", "lee"], false), "ada", Some("asked are kim, lee")),
            (asks(&["kim", "lee"], false), "KIM", None),
            (asks(&["kim", "lee"], false), "Lee", Some("they did so before")),
        ] {
            assert_eq!(asks.refusal("ada", &approved, who).as_deref(), expected, "{who}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let asks = Asks {
            subject: "Send?".into(),
            details: String::new(),
            reviewers: vec!["kim".into()],
            approvals: 1,
            prevent_self_review: true,
        };
        let kept = serde_json::to_value(&asks).unwrap();
        // Without details it is what it was before there were any, and so is its hash.
        let expected = serde_json::json!({
            "subject": "Send?", "reviewers": ["kim"], "approvals": 1, "prevent-self-review": true,
        });
        assert_eq!(kept, expected);
        assert_eq!(Asks::deserialize(kept).unwrap(), asks);
    }
}
