//! Checks: made once, found again by `external_id`, brought up to date, annotations in batches.

use serde_json::{Value as Json, json};

use super::{Attempt, Failed, encoded, id_of};
use crate::github::report::{ANNOTATIONS_PER_REQUEST_MAX, CheckAnnotation, CheckReport, CheckStatus};
use crate::reporting::{Outcome, Scope};

pub(super) async fn send(attempt: &Attempt<'_>, check: &CheckReport) -> Result<Outcome, Failed> {
    let id = match attempt.remote().await? {
        Some(id) => Some(id),
        None if attempt.message.uncertain => find(attempt, check).await?,
        None => None,
    };
    let path = |id: &str| attempt.repository_path(&format!("/check-runs/{id}"));
    // Annotations are added, never replaced: those of an attempt that may have arrived are counted first.
    let mut there = 0;
    if let Some(id) = id.as_deref().filter(|_| attempt.message.uncertain && !check.annotations.is_empty()) {
        let known = attempt.get(&path(id)).await?;
        there = known["output"]["annotations_count"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    }
    let left = check.annotations.get(there..).unwrap_or_default();
    let mut batches = left.chunks(ANNOTATIONS_PER_REQUEST_MAX);
    let first = body(attempt, check, batches.next().unwrap_or_default());
    let id = match id {
        Some(id) => attempt.patch(&path(&id), &first).await.map(|_| id)?,
        None => {
            let made = attempt.post(&attempt.repository_path("/check-runs"), &first).await?;
            let no_id = || Outcome::Refused { problem: "the answer has no id".to_owned(), for_now: false };
            id_of(&made).ok_or_else(no_id)?
        }
    };
    for batch in batches {
        attempt.patch(&path(&id), &json!({ "output": output(check, batch) })).await.map_err(half_way)?;
    }
    Ok(Outcome::Arrived { remote: Some(id) })
}

/// Some of it has arrived, whatever became of the rest: what is there is counted before more is added.
fn half_way(failed: Failed) -> Failed {
    let outcome = match failed.outcome {
        Outcome::Later { problem, after, scope, .. } => Outcome::Later { problem, after, scope, uncertain: true },
        Outcome::Refused { problem, for_now: true } => {
            Outcome::Later { problem, after: None, scope: Scope::Lane, uncertain: true }
        }
        outcome @ (Outcome::Refused { for_now: false, .. } | Outcome::Arrived { .. } | Outcome::Unwanted) => outcome,
    };
    Failed { outcome, ..failed }
}

/// The check that an earlier attempt made.
async fn find(attempt: &Attempt<'_>, check: &CheckReport) -> Result<Option<String>, Failed> {
    let commit = &attempt.envelope.commit;
    let query = format!("check_name={}&filter=all&per_page=100", encoded(&check.name));
    let found = attempt.get(&attempt.repository_path(&format!("/commits/{commit}/check-runs?{query}"))).await?;
    let same = |run: &&Json| run["external_id"] == check.external_id.as_str();
    Ok(found["check_runs"].as_array().and_then(|runs| runs.iter().find(same)).and_then(id_of))
}

fn body(attempt: &Attempt<'_>, check: &CheckReport, annotations: &[CheckAnnotation]) -> Json {
    let mut body = json!(check);
    if let Some(body) = body.as_object_mut() {
        for field in ["title", "summary", "annotations"] {
            body.shift_remove(field);
        }
        body.insert("head_sha".into(), attempt.envelope.commit.as_str().into());
        if check.status == CheckStatus::Completed {
            body.insert("output".into(), output(check, annotations));
        }
    }
    body
}

fn output(check: &CheckReport, annotations: &[CheckAnnotation]) -> Json {
    let mut output = json!({ "title": check.title, "summary": check.summary });
    if !annotations.is_empty() {
        output["annotations"] = json!(annotations);
    }
    output
}
