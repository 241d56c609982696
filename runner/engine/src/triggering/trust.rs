//! Whose code a run executes, and who set it off: its trust class.
//!
//! Fork pull requests, and comments of people who may not write, get no secrets. `pull_request_target` of a fork runs the
//! base's workflow, but hands a stranger's texts and commits to it: it is not trusted either, unless a repository says so.
//! Follows the security model (research/security-reliability.md, 1.2 and section 5).

use serde::Deserialize;
use serde_json::Value as Json;
use workflow::event::{Event, EventName};

use super::followed::class_of_followed;
use crate::service::Trust;

/// `[trust]`: what a server trusts beyond the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrustPolicy {
    /// `pull_request_target` of forks gets secrets, as on GitHub.
    pub pull_request_target: bool,
    /// Comments, issues and discussions of anybody get secrets, as on GitHub.
    pub comments: bool,
    /// Which pull requests of forks wait for somebody who lets them run.
    pub fork_approval: ForkApproval,
}

/// Which pull requests of forks run only after somebody who may write has let them, see
/// <https://docs.github.com/en/actions/how-tos/manage-workflow-runs/approve-runs-from-forks>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForkApproval {
    /// Of everybody who may not write to the repository, as far as the forge tells.
    #[default]
    Outside,
    /// All of them.
    Always,
    /// None.
    Never,
}

/// People whose words count: GitHub's `author_association`.
const MAY_WRITE: [&str; 3] = ["OWNER", "MEMBER", "COLLABORATOR"];

/// What anybody may set off.
const ANYBODYS: [EventName; 7] = [
    EventName::IssueComment,
    EventName::Issues,
    EventName::Discussion,
    EventName::DiscussionComment,
    EventName::Fork,
    EventName::Watch,
    EventName::Gollum,
];

impl TrustPolicy {
    /// The trust class of what an event starts.
    #[must_use]
    pub fn of(self, event: &Event) -> Trust {
        if event.from_fork() || self.is_stranger(event) { Trust::Fork } else { Trust::Trusted }
    }

    /// Why somebody has to let a run of this event begin; `None`: nobody has to. What runs the base's own workflow never
    /// waits, as on GitHub.
    #[must_use]
    pub fn holds(self, event: &Event) -> Option<String> {
        let of_head = matches!(
            event.name,
            EventName::PullRequest | EventName::PullRequestReview | EventName::PullRequestReviewComment
        );
        if !of_head || !event.from_fork() {
            return None;
        }
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Json::as_str);
        let inside = text("/pull_request/author_association").is_some_and(|is| MAY_WRITE.contains(&is));
        let holds = match self.fork_approval {
            ForkApproval::Outside => !inside,
            ForkApproval::Always => true,
            ForkApproval::Never => false,
        };
        let fork = text("/pull_request/head/repo/full_name").unwrap_or("another repository");
        let author = text("/pull_request/user/login").unwrap_or(&event.actor.login);
        holds.then(|| format!("the pull request is from {fork}, by {author}: somebody who may write has to let it run"))
    }

    /// Whether the run that an event tells of is not trusted: what it left is not either.
    fn follows_stranger(self, event: &Event) -> bool {
        if let Some(class) = class_of_followed(event) {
            return class != Trust::Trusted.as_str();
        }
        // A run of the forge's own: it does not tell who may write.
        let text = |pointer: &str| event.payload.pointer(pointer).and_then(Json::as_str);
        let of_fork = text("/workflow_run/head_repository/full_name") != Some(&event.repository.full_name);
        match text("/workflow_run/event").and_then(EventName::parse) {
            Some(EventName::PullRequest | EventName::PullRequestReview | EventName::PullRequestReviewComment) => {
                of_fork
            }
            Some(EventName::PullRequestTarget) => !self.pull_request_target && of_fork,
            Some(name) => !self.comments && ANYBODYS.contains(&name),
            None => false,
        }
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
            EventName::WorkflowRun => self.follows_stranger(event),
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
        let all = TrustPolicy { pull_request_target: true, comments: true, ..TrustPolicy::default() }.of(&event);
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
        for (event, head, expected) in [
            ("push", "o/r", Trust::Trusted),
            ("pull_request", "o/r", Trust::Trusted),
            ("pull_request", "x/r", Trust::Fork),
            ("pull_request_review", "x/r", Trust::Fork),
        ] {
            check("workflow_run", &run(event, head), expected);
        }
        // One of ours says it itself, along the whole chain.
        let ours = |trust: &str| json!({ "workflow_run": { "event": "workflow_run", "pipe": { "trust": trust } } });
        check("workflow_run", &ours("trusted"), Trust::Trusted);
        check("workflow_run", &ours("fork"), Trust::Fork);
        check("workflow_run", &ours("of a newer program"), Trust::Fork);
        // Of runs of the forge's own that anybody may set off it is not known who did.
        let trust = |policy: TrustPolicy, event: &str, head: &str| {
            let mut payload = json!({ "repository": { "full_name": "o/r" }, "sender": { "login": "x" } });
            payload.as_object_mut().unwrap().extend(run(event, head).as_object().unwrap().clone());
            policy.of(&Event::parse("workflow_run", payload).unwrap())
        };
        let open = TrustPolicy { pull_request_target: true, comments: true, ..TrustPolicy::default() };
        for (event, head) in [("issue_comment", "o/r"), ("pull_request_target", "x/r"), ("watch", "o/r")] {
            assert_eq!(trust(TrustPolicy::default(), event, head), Trust::Fork, "{event}");
            assert_eq!(trust(open, event, head), Trust::Trusted, "{event}");
        }
        check("push", &json!({ "ref": "refs/heads/main" }), Trust::Trusted);
        check("watch", &json!({}), Trust::Fork);
    }

    #[test]
    fn pull_requests_of_strangers_wait_for_somebody_who_lets_them_run() {
        let held = |name: &str, head: &str, association: Option<&str>, policy: ForkApproval| {
            let payload = json!({
                "repository": { "full_name": "o/r" }, "sender": { "login": "x" }, "action": "opened",
                "pull_request": {
                    "number": 1, "base": { "ref": "main" }, "head": { "ref": "t", "repo": { "full_name": head } },
                    "user": { "login": "mallory" }, "author_association": association,
                },
            });
            let event = Event::parse(name, payload).unwrap();
            TrustPolicy { fork_approval: policy, ..TrustPolicy::default() }.holds(&event)
        };
        let outside = ForkApproval::Outside;
        assert_eq!(
            held("pull_request", "x/r", Some("NONE"), outside).as_deref(),
            Some("the pull request is from x/r, by mallory: somebody who may write has to let it run")
        );
        for (association, policy, expected) in [
            (Some("CONTRIBUTOR"), outside, true),
            (None, outside, true),
            (Some("MEMBER"), outside, false),
            (Some("MEMBER"), ForkApproval::Always, true),
            (Some("NONE"), ForkApproval::Never, false),
        ] {
            let is = held("pull_request", "x/r", association, policy).is_some();
            assert_eq!(is, expected, "{association:?} {policy:?}");
            assert_eq!(held("pull_request", "o/r", association, policy), None, "its own branch");
            assert_eq!(held("pull_request_target", "x/r", association, policy), None, "the base's workflow");
        }
    }
}
