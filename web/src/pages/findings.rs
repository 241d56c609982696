//! `/findings`: what scans of a repository found over time, against what stands in an environment.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;

use super::filters::encoded;
use super::render::page;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::api::answer::Query;
use crate::api::found::{Wish, overview};
use crate::site::Site;

/// Findings of a page; the rest is in the JSON.
const LISTED: usize = 200;

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let wish = Wish {
        repository: get("repository"),
        branch: get("branch"),
        environment: get("environment"),
        subject: get("subject"),
        severity: get("severity"),
        state: get("state"),
        limit: Some(LISTED),
    };
    let (severity, subject) = (wish.severity.clone().unwrap_or_default(), wish.subject.clone().unwrap_or_default());
    let found = overview(&site, &allowed, wish).await?;
    let state = get("state").unwrap_or_else(|| "open".to_owned());
    let kept = [
        ("repository", found.repository.as_str()),
        ("branch", found.git_ref.as_str()),
        ("environment", found.environment.as_deref().unwrap_or_default()),
        ("subject", subject.as_str()),
        ("severity", severity.as_str()),
        ("state", state.as_str()),
    ];
    let kept = kept.into_iter().filter(|(_, value)| !value.is_empty());
    let kept: Vec<String> = kept.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let context = context! {
        title => "Findings", active => "findings", it => Serde(&found), repositories => found.repositories.clone(),
        severity, subject, query => kept.join("&"),
    };
    page(&allowed.holder, "findings.html", context)
}
