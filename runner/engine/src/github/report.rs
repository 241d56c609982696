//! The forms of reports, as they lie in the outbox and as GitHub's API names their fields.

use serde::{Deserialize, Serialize};

/// Annotations of one request; more are added with further requests.
/// See <https://docs.github.com/en/rest/checks/runs#create-a-check-run>.
pub const ANNOTATIONS_PER_REQUEST_MAX: usize = 50;

/// A report with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// `owner/name`.
    pub repository: String,
    /// The commit, 40 or 64 hexadecimal digits.
    pub commit: String,
    /// What is said of it.
    pub report: Report,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Report {
    /// The status of a commit: one a workflow.
    Status(StatusReport),
    /// A check: one a job.
    Check(Box<CheckReport>),
    /// That a deployment begins.
    Deployment(DeploymentReport),
    /// How a deployment goes.
    DeploymentStatus(DeploymentStatusReport),
    /// A comment on a pull request.
    Comment(CommentReport),
}

impl Report {
    /// Its kind as the outbox names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Check(_) => "check",
            Self::Deployment(_) => "deployment",
            Self::DeploymentStatus(_) => "deployment_status",
            Self::Comment(_) => "comment",
        }
    }

    /// What it tells about: a later report of the same kind on the same thing makes this one unnecessary.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Status(status) => format!("status {}", status.context),
            Self::Check(check) => format!("check {}", check.external_id),
            Self::Deployment(deployment) => format!("deployment {}", deployment.external_id),
            Self::DeploymentStatus(status) => format!("deployment {}", status.external_id),
            Self::Comment(comment) => format!("comment {}", comment.comment.marker),
        }
    }
}

/// The status of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// How it stands.
    pub state: StatusState,
    /// Whose status it is; a later one with the same context replaces this one.
    pub context: String,
    /// At most 140 characters.
    pub description: String,
    /// The run's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
}

/// GitHub's states of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Not decided.
    Pending,
    /// Well.
    Success,
    /// Not well.
    Failure,
    /// Stopped before it could say.
    Error,
}

impl StatusState {
    /// GitHub's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A check, whole: each report says all that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Its name on pages and in branch protection.
    pub name: String,
    /// How it is found again.
    pub external_id: String,
    /// How far it is.
    pub status: CheckStatus,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<CheckConclusion>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// The job's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details_url: Option<String>,
    /// One line over the summary.
    pub title: String,
    /// Markdown, at most 65,535 bytes.
    pub summary: String,
    /// All of them; sent in batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<CheckAnnotation>,
}

/// GitHub's states of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Waiting.
    Queued,
    /// Going on.
    InProgress,
    /// Over.
    Completed,
}

/// GitHub's conclusions of a check, as far as jobs have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    /// Well.
    Success,
    /// Not well.
    Failure,
    /// Stopped.
    Cancelled,
    /// It did not run.
    Skipped,
    /// Stopped since it took too long.
    TimedOut,
}

/// A message at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnnotation {
    /// From the root of the repository.
    pub path: String,
    /// From 1.
    pub start_line: u32,
    /// Not before `start_line`.
    pub end_line: u32,
    /// From 1; only where the lines are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    /// Not before `start_column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// How bad it is.
    pub annotation_level: CheckLevel,
    /// At most 64 KiB.
    pub message: String,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// GitHub's levels of annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// Good to know.
    Notice,
    /// May be a problem.
    Warning,
    /// A problem.
    Failure,
}

/// That a deployment begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentReport {
    /// How it is found again; it lies in the deployment's `payload`.
    pub external_id: String,
    /// The environment.
    pub environment: String,
    /// At most 140 characters.
    pub description: String,
}

/// How a deployment goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStatusReport {
    /// Of the deployment.
    pub external_id: String,
    /// The environment.
    pub environment: String,
    /// How it stands.
    pub state: DeploymentState,
    /// At most 140 characters.
    pub description: String,
    /// The job's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_url: Option<String>,
    /// Where what was deployed is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
}

/// GitHub's states of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Going on.
    InProgress,
    /// Well.
    Success,
    /// Not well.
    Failure,
    /// Stopped.
    Error,
}

impl DeploymentState {
    /// GitHub's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A comment on a pull request, made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentReport {
    /// The pull request.
    pub number: u64,
    /// What it says.
    #[serde(flatten)]
    pub comment: Comment,
}

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its first line, by which it is found again; an HTML comment, which nobody sees.
    pub marker: String,
    /// Markdown with the marker, at most 65,535 bytes.
    pub body: String,
}
