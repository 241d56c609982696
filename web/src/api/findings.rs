//! What the steps of a run left to be shown: annotations and summaries.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::store::RunId;
use engine::store::findings::Findings;
use serde_json::json;

use super::answer::{self, Path};
use super::runs::visible;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::site::Site;

pub(super) async fn annotations(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&shared, &allowed, RunId(id)).await?;
    let annotations = Findings::of(shared.api.folders.clone()).annotations(run.id).await;
    answer::json(&headers, &json!(annotations))
}

pub(super) async fn summaries(
    State(shared): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = visible(&shared, &allowed, RunId(id)).await?;
    let summaries = Findings::of(shared.api.folders.clone()).summaries(run.id).await;
    answer::json(&headers, &json!({ "summaries": summaries }))
}
