//! What a forge is told about runs: statuses and checks of commits, deployments, a comment on a pull request.
//!
//! [`Course`] is pure: facts of a run in, [`Report`]s out. The reports lie in the outbox until [`Sender`] has brought
//! them to the forge. Everything in a report comes from the stored log, which is masked. A run never waits for a report
//! and never fails because of one.
//! Follows <https://docs.github.com/en/rest/checks>, <https://docs.github.com/en/rest/commits/statuses>,
//! <https://docs.github.com/en/rest/deployments> and <https://docs.github.com/en/rest/issues/comments>.

mod annotation;
mod app;
mod client;
mod comment;
mod course;
mod environment;
mod hooks;
mod report;
mod sender;
#[cfg(test)]
mod tests;
mod text;

pub use app::{App, Credentials, KeyError};
pub use client::ApiSettings;
pub use course::{About, Course, JobFindings, Problem};
pub use hooks::SentByGithub;
pub use report::{
    ANNOTATIONS_PER_REQUEST_MAX, CheckAnnotation, CheckConclusion, CheckLevel, CheckReport, CheckStatus, Comment,
    CommentReport, DeploymentReport, DeploymentState, DeploymentStatusReport, Envelope, Report, StatusReport,
    StatusState,
};
pub use sender::{Flavour, Sender};
