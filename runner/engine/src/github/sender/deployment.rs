//! Deployments: made once, found again by their payload; their statuses are added to them.

use serde_json::{Value as Json, json};

use super::{Attempt, Failed, encoded, id_of};
use crate::github::report::{DeploymentReport, DeploymentStatusReport};
use crate::reporting::Outcome;

pub(super) async fn send(attempt: &Attempt<'_>, deployment: &DeploymentReport) -> Result<Outcome, Failed> {
    if attempt.message.uncertain {
        let found = find(attempt, &deployment.environment, &deployment.external_id).await?;
        if found.is_some() {
            return Ok(Outcome::Arrived { remote: found });
        }
    }
    let body = json!({
        "ref": attempt.envelope.commit, "environment": deployment.environment, "description": deployment.description,
        "auto_merge": false, "required_contexts": [], "payload": { "pipe": deployment.external_id },
    });
    let made = attempt.post(&attempt.repository_path("/deployments"), &body).await?;
    Ok(Outcome::Arrived { remote: id_of(&made) })
}

pub(super) async fn send_status(attempt: &Attempt<'_>, status: &DeploymentStatusReport) -> Result<Outcome, Failed> {
    let id = match attempt.remote().await? {
        Some(id) => Some(id),
        None => find(attempt, &status.environment, &status.external_id).await?,
    };
    let Some(id) = id else {
        let problem = "its deployment was not made".to_owned();
        return Ok(Outcome::Refused { problem, for_now: false });
    };
    let path = attempt.repository_path(&format!("/deployments/{id}/statuses"));
    if attempt.message.uncertain {
        let known = attempt.get(&format!("{path}?per_page=100")).await?;
        let same = |known: &Json| known["state"] == status.state.word();
        if known.as_array().is_some_and(|known| known.iter().any(same)) {
            return Ok(Outcome::Arrived { remote: None });
        }
    }
    let mut body = json!({
        "state": status.state.word(), "environment": status.environment, "description": status.description,
    });
    for (name, url) in [("log_url", &status.log_url), ("environment_url", &status.environment_url)] {
        if let Some(url) = url {
            body[name] = url.as_str().into();
        }
    }
    attempt.post(&path, &body).await?;
    Ok(Outcome::Arrived { remote: None })
}

async fn find(attempt: &Attempt<'_>, environment: &str, external_id: &str) -> Result<Option<String>, Failed> {
    let query = format!("sha={}&environment={}&per_page=100", attempt.envelope.commit, encoded(environment));
    let found = attempt.get(&attempt.repository_path(&format!("/deployments?{query}"))).await?;
    let same = |known: &&Json| {
        // GitHub gives the payload back as it was sent, or as the text of it.
        let text = known["payload"].as_str().and_then(|text| serde_json::from_str(text).ok());
        let payload: Json = text.unwrap_or_else(|| known["payload"].clone());
        payload["pipe"] == external_id
    };
    Ok(found.as_array().and_then(|all| all.iter().find(same)).and_then(id_of))
}
