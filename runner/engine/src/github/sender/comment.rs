//! The comment on a pull request: made once, found again by its marker, changed as the run goes on.

use serde_json::{Value as Json, json};

use super::{Attempt, Failed, id_of};
use crate::github::report::CommentReport;
use crate::reporting::Outcome;

/// Comments of one page.
const PAGE: usize = 100;
/// Pages that are looked through.
const PAGES_MAX: usize = 20;

pub(super) async fn send(attempt: &Attempt<'_>, report: &CommentReport) -> Result<Outcome, Failed> {
    let body = json!({ "body": report.comment.body });
    let path = |id: &str| attempt.repository_path(&format!("/issues/comments/{id}"));
    if let Some(id) = attempt.remote().await? {
        return match attempt.patch(&path(&id), &body).await {
            Ok(_) => Ok(Outcome::Arrived { remote: Some(id) }),
            // Somebody removed it: then nobody wants it.
            Err(Failed { outcome: Outcome::Refused { for_now: true, .. }, .. }) => Ok(Outcome::Unwanted),
            Err(failed) => Err(failed),
        };
    }
    if attempt.message.uncertain {
        for id in find(attempt, report).await? {
            match attempt.patch(&path(&id), &body).await {
                Ok(_) => return Ok(Outcome::Arrived { remote: Some(id) }),
                // Not ours: somebody copied the marker.
                Err(Failed { outcome: Outcome::Refused { .. }, .. }) => {}
                Err(failed) => return Err(failed),
            }
        }
    }
    let made = attempt.post(&attempt.repository_path(&format!("/issues/{}/comments", report.number)), &body).await?;
    Ok(Outcome::Arrived { remote: id_of(&made) })
}

/// Comments that begin with the marker, the oldest first.
async fn find(attempt: &Attempt<'_>, report: &CommentReport) -> Result<Vec<String>, Failed> {
    let mut found = Vec::new();
    for page in 1..=PAGES_MAX {
        let query = format!("/issues/{}/comments?per_page={PAGE}&page={page}", report.number);
        let comments = attempt.get(&attempt.repository_path(&query)).await?;
        let comments = comments.as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = |comment: &&Json| {
            comment["body"].as_str().is_some_and(|body| body.starts_with(report.comment.marker.as_str()))
        };
        found.extend(comments.iter().filter(ours).filter_map(id_of));
        if comments.len() < PAGE {
            break;
        }
    }
    Ok(found)
}
