//! The names of the events that can start a workflow, and their activity types.
//!
//! Follows <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.

use std::fmt;

macro_rules! events {
    ($($variant:ident $name:literal [$($activity:literal),*]),* $(,)?) => {
        /// An event that can start a workflow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventName {
            $(#[doc = concat!("`", $name, "`.")] $variant),*
        }

        impl EventName {
            /// All of them, by name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As written below `on:` and in `github.event_name`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The activity types that GitHub knows for it; empty where it has none (or, for `repository_dispatch`,
            /// where they are the sender's choice).
            #[must_use]
            pub const fn activities(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($activity),*]),* }
            }

            /// The event of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

events! {
    BranchProtectionRule "branch_protection_rule" ["created", "edited", "deleted"],
    CheckRun "check_run" ["created", "rerequested", "completed", "requested_action"],
    CheckSuite "check_suite" ["completed", "requested", "rerequested"],
    Create "create" [],
    Delete "delete" [],
    Deployment "deployment" [],
    DeploymentStatus "deployment_status" [],
    Discussion "discussion" [
        "created", "edited", "deleted", "transferred", "pinned", "unpinned", "labeled", "unlabeled", "locked",
        "unlocked", "category_changed", "answered", "unanswered"
    ],
    DiscussionComment "discussion_comment" ["created", "edited", "deleted"],
    Fork "fork" [],
    Gollum "gollum" [],
    ImageVersion "image_version" [],
    IssueComment "issue_comment" ["created", "edited", "deleted"],
    Issues "issues" [
        "opened", "edited", "deleted", "transferred", "pinned", "unpinned", "closed", "reopened", "assigned",
        "unassigned", "labeled", "unlabeled", "locked", "unlocked", "milestoned", "demilestoned", "typed", "untyped"
    ],
    Label "label" ["created", "edited", "deleted"],
    MergeGroup "merge_group" ["checks_requested"],
    Milestone "milestone" ["created", "closed", "opened", "edited", "deleted"],
    PageBuild "page_build" [],
    Project "project" ["created", "updated", "closed", "reopened", "edited", "deleted"],
    ProjectCard "project_card" ["created", "moved", "converted", "edited", "deleted"],
    ProjectColumn "project_column" ["created", "updated", "moved", "deleted"],
    Public "public" [],
    PullRequest "pull_request" [
        "assigned", "unassigned", "labeled", "unlabeled", "opened", "edited", "closed", "reopened", "synchronize",
        "converted_to_draft", "locked", "unlocked", "enqueued", "dequeued", "milestoned", "demilestoned",
        "ready_for_review", "review_requested", "review_request_removed", "auto_merge_enabled", "auto_merge_disabled"
    ],
    PullRequestReview "pull_request_review" ["submitted", "edited", "dismissed"],
    PullRequestReviewComment "pull_request_review_comment" ["created", "edited", "deleted"],
    PullRequestTarget "pull_request_target" [
        "assigned", "unassigned", "labeled", "unlabeled", "opened", "edited", "closed", "reopened", "synchronize",
        "converted_to_draft", "locked", "unlocked", "enqueued", "dequeued", "milestoned", "demilestoned",
        "ready_for_review", "review_requested", "review_request_removed", "auto_merge_enabled", "auto_merge_disabled"
    ],
    Push "push" [],
    RegistryPackage "registry_package" ["published", "updated"],
    Release "release" ["published", "unpublished", "created", "edited", "deleted", "prereleased", "released"],
    RepositoryDispatch "repository_dispatch" [],
    Schedule "schedule" [],
    Status "status" [],
    Watch "watch" ["started"],
    WorkflowCall "workflow_call" [],
    WorkflowDispatch "workflow_dispatch" [],
    WorkflowRun "workflow_run" ["completed", "requested", "in_progress"],
}

impl EventName {
    /// The activity types that start a workflow when `types:` is not written; `None` means every type.
    #[must_use]
    pub fn default_activities(self) -> Option<&'static [&'static str]> {
        matches!(self, Self::PullRequest | Self::PullRequestTarget).then_some(&["opened", "synchronize", "reopened"])
    }

    /// Whether it is about a pull request and has its base and head at `payload.pull_request`.
    #[must_use]
    pub const fn is_pull_request(self) -> bool {
        matches!(
            self,
            Self::PullRequest | Self::PullRequestTarget | Self::PullRequestReview | Self::PullRequestReviewComment
        )
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for EventName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for EventName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown event `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in EventName::ALL {
            assert_eq!(EventName::parse(name.as_str()), Some(*name));
        }
        assert_eq!(EventName::parse("Push"), None);
        assert_eq!(EventName::parse("ping"), None);
    }
}
