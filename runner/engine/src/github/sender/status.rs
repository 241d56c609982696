//! Statuses of commits. Sending one again changes nothing but its history, so a repetition is looked for only where the
//! last attempt may have arrived.

use serde_json::{Value as Json, json};

use super::{Attempt, Failed, encoded};
use crate::github::report::{StatusReport, StatusState};
use crate::reporting::Outcome;

/// GitHub, Gitea, Forgejo.
pub(super) async fn send(attempt: &Attempt<'_>, status: &StatusReport) -> Result<Outcome, Failed> {
    let commit = &attempt.envelope.commit;
    if attempt.message.uncertain {
        let path = attempt.repository_path(&format!("/commits/{commit}/statuses?per_page=100"));
        let known = attempt.get(&path).await?;
        // The newest comes first. Gitea calls the state `status`.
        let last = known.as_array().and_then(|all| all.iter().find(|one| one["context"] == status.context.as_str()));
        let same = |last: &Json| {
            let state = last["state"].as_str().or(last["status"].as_str());
            state == Some(status.state.word()) && last["description"] == status.description.as_str()
        };
        if last.is_some_and(same) {
            return Ok(Outcome::Arrived { remote: None });
        }
    }
    attempt.post(&attempt.repository_path(&format!("/statuses/{commit}")), &json!(status)).await?;
    Ok(Outcome::Arrived { remote: None })
}

/// GitLab has other words and one status a name.
pub(super) async fn send_to_gitlab(attempt: &Attempt<'_>, status: &StatusReport) -> Result<Outcome, Failed> {
    let state = match status.state {
        StatusState::Pending => "running",
        StatusState::Success => "success",
        StatusState::Failure => "failed",
        StatusState::Error => "canceled",
    };
    let project = encoded(&attempt.envelope.repository);
    let path = format!("/projects/{project}/statuses/{}", attempt.envelope.commit);
    let mut body = json!({ "state": state, "name": status.context, "description": status.description });
    if let Some(url) = &status.target_url {
        body["target_url"] = url.as_str().into();
    }
    match attempt.post(&path, &body).await {
        Ok(_) => Ok(Outcome::Arrived { remote: None }),
        // GitLab refuses to move a status to the state that it has.
        Err(Failed { outcome: Outcome::Refused { problem, .. }, .. }) if problem.contains("Cannot transition") => {
            Ok(Outcome::Arrived { remote: None })
        }
        Err(failed) => Err(failed),
    }
}
