//! Whose code a run executes, and who set it off: its trust class.
//!
//! Fork pull requests, and comments of people who may not write, get no secrets. `pull_request_target` of a fork runs the
//! base's workflow, but hands a stranger's texts and commits to it: it is not trusted either, unless a repository says so.
//! Follows the security model (research/security-reliability.md, 1.2 and section 5).

use serde::Deserialize;
use serde_json::Value as Json;
use workflow::event::{Event, EventName};

use crate::service::Trust;

/// `[trust]`: what a server trusts beyond the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrustPolicy {
    /// `pull_request_target` of forks gets secrets, as on GitHub.
    pub pull_request_target: bool,
    /// Comments, issues and discussions of anybody get secrets, as on GitHub.
    pub comments: bool,
}

/// People whose words count: GitHub's `author_association`.
const MAY_WRITE: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

impl TrustPolicy {
    /// The trust class of what an event starts.
    #[must_use]
    pub fn of(self, event: &Event) -> Trust {
        if event.from_fork() || self.is_stranger(event) { Trust::Fork } else { Trust::Trusted }
    }

    fn is_stranger(self, event: &Event) -> bool {
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Json::as_str);
        // What a forge does not tell is not held against anybody: only GitHub names associations.
        let may_not_write = |pointer: &str| text(pointer).is_some_and(|is| !MAY_WRITE.contains(&is));
        match event.name {
            EventName::PullRequestTarget => {
                !self.pull_request_target && event.pull_request.as_ref().is_some_and(|pull| pull.from_fork)
            }
            EventName::IssueComment | EventName::DiscussionComment => {
                !self.comments && may_not_write("/comment/author_association")
            }
            EventName::Issues => !self.comments && may_not_write("/issue/author_association"),
            EventName::Discussion => !self.comments && may_not_write("/discussion/author_association"),
            EventName::WorkflowRun => {
                let head = text("/workflow_run/head_repository/full_name");
                let fork_event = matches!(text("/workflow_run/event"), Some("pull_request"));
                fork_event && head != Some(&event.repository.full_name)
            }
            // Anybody may fork, star or edit an open wiki.
            EventName::Fork | EventName::Watch | EventName::Gollum => !self.comments,
            EventName::BranchProtectionRule
            | EventName::CheckRun
            | EventName::CheckSuite
            | EventName::Create
            | EventName::Delete
            | EventName::Deployment
            | EventName::DeploymentStatus
            | EventName::ImageVersion
            | EventName::Label
            | EventName::MergeGroup
            | EventName::Milestone
            | EventName::PageBuild
            | EventName::Project
            | EventName::ProjectCard
            | EventName::ProjectColumn
            | EventName::Public
            | EventName::PullRequest
            | EventName::PullRequestReview
            | EventName::PullRequestReviewComment
            | EventName::Push
            | EventName::RegistryPackage
            | EventName::Release
            | EventName::RepositoryDispatch
            | EventName::Schedule
            | EventName::Status
            | EventName::WorkflowCall
            | EventName::WorkflowDispatch => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(name: &str, more: &Json, expected: Trust) {
        let mut payload =
            json!({ "repository": { "full_name": "o/r" }, "sender": { "login": "x" }, "action": "created" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let event = Event::parse(name, payload).unwrap();
        assert_eq!(TrustPolicy::default().of(&event), expected, "{name} {more}");
        let all = TrustPolicy { pull_request_target: true, comments: true }.of(&event);
        let still =
            matches!(event.name, EventName::PullRequest | EventName::PullRequestReview | EventName::WorkflowRun);
        assert_eq!(all, if still { expected } else { Trust::Trusted }, "{name} {more} with everything allowed");
    }

    #[test]
    fn strangers_get_no_secrets() {
        let pull = |head: &str| {
            json!({ "pull_request": {
                "number": 1, "base": { "ref": "main" }, "head": { "ref": "t", "repo": { "full_name": head } },
            }})
        };
        for name in ["pull_request", "pull_request_review", "pull_request_target"] {
            check(name, &pull("o/r"), Trust::Trusted);
            check(name, &pull("x/r"), Trust::Fork);
        }
        let comment = |is: &str| json!({ "comment": { "author_association": is } });
        for (is, expected) in [
            ("OWNER", Trust::Trusted),
            ("MEMBER", Trust::Trusted),
            ("COLLABORATOR", Trust::Trusted),
            ("CONTRIBUTOR", Trust::Fork),
            ("NONE", Trust::Fork),
            ("FIRST_TIME_CONTRIBUTOR", Trust::Fork),
        ] {
            check("issue_comment", &comment(is), expected);
        }
        check("issue_comment", &json!({}), Trust::Trusted);
        let run = |event: &str, head: &str| json!({ "workflow_run": { "event": event, "head_repository": { "full_name": head } } });
        check("workflow_run", &run("push", "o/r"), Trust::Trusted);
        check("workflow_run", &run("pull_request", "x/r"), Trust::Fork);
        check("push", &json!({ "ref": "refs/heads/main" }), Trust::Trusted);
        check("watch", &json!({}), Trust::Fork);
    }
}
