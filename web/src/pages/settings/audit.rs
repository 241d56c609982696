//! `/audit`: who did what, with filters; and all of it as NDJSON with the hashes, to be kept elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use engine::store::audit::AuditFilter;
use minijinja::context;
use minijinja::value::{Serde, Value};

use crate::Problem;
use crate::access::{Allowed, AuditRead};
use crate::api::answer::{Query, store};
use crate::api::audit::exported;
use crate::pages::{encoded, page};
use crate::site::Site;

/// Rows of a page.
const LISTED: usize = 100;

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    allowed: Allowed<AuditRead>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    allowed.of_all()?;
    let text = |name: &str| query.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
    let before = some("before").and_then(|before| before.parse().ok());
    let filter = AuditFilter { what: some("what"), who: some("who"), before, limit: LISTED };
    let entries = site.api.audit.list(filter).await.map_err(|error| store(&error))?;
    let checkpoint = site.api.audit.checkpoint().await.map_err(|error| store(&error))?;
    let link =
        |before: u64| format!("/audit?what={}&who={}&before={before}", encoded(&text("what")), encoded(&text("who")));
    let next = entries.last().filter(|_| entries.len() == LISTED).map(|last| link(last.seq));
    let entries: Vec<Value> =
        entries.iter().map(|entry| context! { detail => detail(&entry.detail), ..Value::from(Serde(entry)) }).collect();
    let context = context! {
        title => "Audit log", active => "audit", entries, next, what => text("what"), who => text("who"),
        is_first => before.is_none(), rows => checkpoint.count, head => checkpoint.to_string(),
        key => site.api.audit.public_key(),
    };
    page(&allowed.holder, "audit.html", context)
}

/// What a row says beside who, what and whom, in a line.
fn detail(detail: &serde_json::Value) -> String {
    let Some(fields) = detail.as_object() else { return detail.as_str().unwrap_or_default().to_owned() };
    let shown = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}: {value}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

pub(super) async fn export(State(site): State<Arc<Site>>, allowed: Allowed<AuditRead>) -> Result<Response, Problem> {
    allowed.of_all()?;
    let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\"")];
    Ok((name, exported(&site)).into_response())
}
