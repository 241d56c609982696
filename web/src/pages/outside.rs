//! What other programs show of runs: a badge for a README, and a feed.
//!
//! A badge says whether a workflow works, so it is given only to who may see the repository, as all pages, unless the
//! repository says that others may. To them one that they may not see is as one that does not exist.
//! Follows <https://www.rfc-editor.org/rfc/rfc4287> (Atom).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use engine::store::listing::RunFilter;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::filters::{name, plain};
use super::shown::Run;
use crate::Problem;
use crate::access::{self, Allowed, Perhaps};
use crate::api::answer::{Path, Query, store};
use crate::api::not_found;
use crate::site::Site;

/// Entries of a feed.
const ENTRIES: usize = 50;
/// Width of a character of a badge, and what is beside the text.
const CHARACTER_WIDTH: f64 = 6.6;
const PADDING: f64 = 10.0;

/// `/badge/{owner}/{name}/{workflow}.svg?branch=…&token=…`
pub(super) async fn badge(
    State(site): State<Arc<Site>>,
    Perhaps(somebody): Perhaps<access::RunsRead>,
    Path((owner, repository, workflow)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let repository = format!("{owner}/{repository}");
    let token = query.get("token").map(String::as_str);
    let is_for_others = site.badges.are_for(&repository, token).await.map_err(|error| store(&error))?;
    let may_see = is_for_others || somebody.is_some_and(|allowed| allowed.may_see(&repository));
    let workflow = workflow.strip_suffix(".svg").filter(|_| may_see);
    let workflow = workflow.ok_or_else(|| not_found("there is no such badge"))?;
    // `ci.svg` is of `ci.yml`; the whole name may be given too.
    let names = if workflow.contains('.') {
        vec![workflow.to_owned()]
    } else {
        ["yml", "yaml"].map(|end| format!("{workflow}.{end}")).into()
    };
    let mut word = "none".to_owned();
    for file in names {
        let branch = query.get("branch").filter(|branch| !branch.is_empty()).cloned();
        let filter = RunFilter {
            repository: Some(repository.clone()),
            workflow: Some(file),
            branch,
            status: Some("completed".to_owned()),
            limit: 1,
            ..RunFilter::default()
        };
        if let Some(run) = site.listing.list(filter).await.map_err(|error| store(&error))?.pop() {
            word = Run::of(run, Timestamp::now()).word;
            break;
        }
    }
    // Forges ask through caches of their own.
    let kept = if is_for_others { "public, max-age=60" } else { "private, max-age=60" };
    Ok(tagged(&headers, "image/svg+xml", &picture(&plain(workflow), &word), kept))
}

fn picture(label: &str, word: &str) -> String {
    let (text, colour) = match word {
        "success" => ("passing", "#1a7534"),
        "failure" => ("failing", "#b3261e"),
        "none" => ("no runs", "#59626e"),
        other => (other, "#59626e"),
    };
    let width =
        |text: &str| f64::from(u32::try_from(text.chars().count()).unwrap_or(0)) * CHARACTER_WIDTH + 2.0 * PADDING;
    let (left, right) = (width(label), width(text));
    let (whole, label, text) = (left + right, escaped(label), escaped(text));
    let (middle, end) = (left / 2.0, left + right / 2.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"{label}: {text}\">\
         <title>{label}: {text}</title><rect width=\"{whole}\" height=\"20\" rx=\"4\" fill=\"#30363d\"/>\
         <path d=\"M{left} 0h{}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{}z\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\" text-anchor=\"middle\">\
         <text x=\"{middle}\" y=\"14\">{label}</text><text x=\"{end}\" y=\"14\">{text}</text></g></svg>",
        right - 4.0,
        right - 4.0,
    )
}

/// `/runs.atom`: runs that are over, newest first.
pub(super) async fn feed(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let get = |name: &str| query.get(name).filter(|value| !value.is_empty()).cloned();
    let filter = RunFilter {
        repository: get("repository"),
        workflow: get("workflow"),
        branch: get("branch"),
        status: Some(get("status").unwrap_or_else(|| "completed".to_owned())),
        visible: allowed.holder.repositories.clone(),
        limit: ENTRIES,
        ..RunFilter::default()
    };
    let runs = site.listing.list(filter).await.map_err(|error| store(&error))?;
    // The address that people use is told by who asks, since it is the same that they came by.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(*c)).collect();
    let updated = runs.first().and_then(|run| run.finished_at.clone()).unwrap_or_else(|| "1970-01-01T00:00:00Z".into());
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>Runs</title>\
         <id>urn:pipe:{host}:runs</id><updated>{updated}</updated>\n"
    );
    for run in runs {
        let run = Run::of(run, Timestamp::now());
        let title = escaped(&plain(&format!("{}: {} ({} #{})", run.word, run.name, run.file, run.run.number)));
        let (id, at) = (run.run.id, run.run.finished_at.as_deref().unwrap_or(&run.run.created_at));
        let (actor, repository) = (escaped(&plain(&run.run.actor)), escaped(&plain(&run.run.repository)));
        writeln!(
            feed,
            "<entry><id>urn:pipe:{host}:run:{id}</id><title>{title}</title><updated>{at}</updated>\
             <author><name>{actor}</name></author><category term=\"{repository}\"/><link href=\"/runs/{id}\"/></entry>"
        )
        .expect("writing to memory cannot fail");
    }
    feed.push_str("</feed>\n");
    Ok(tagged(&headers, "application/atom+xml; charset=utf-8", &feed, "private, max-age=60"))
}

/// Text for XML; characters that XML does not have were written out before.
fn escaped(text: &str) -> String {
    name(text).trim_start_matches("<bdi>").trim_end_matches("</bdi>").to_owned()
}

fn tagged(headers: &HeaderMap, kind: &'static str, text: &str, kept: &'static str) -> Response {
    let tag: String = Sha256::digest(text.as_bytes())[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (StatusCode::OK, text.to_owned()).into_response()
    };
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    response
}
