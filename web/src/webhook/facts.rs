//! What the headers of a hook tell: its event, its id, and those that are worth keeping.

use axum::http::{HeaderMap, StatusCode};
use workflow::event::Forge;

use crate::Problem;

/// Longest name of an event and longest id.
const TEXT_BYTES_MAX: usize = 128;
/// Longest value of a header that is kept.
const KEPT_BYTES_MAX: usize = 256;
/// Headers that are kept with a delivery. Never one that proves anything.
const KEPT: [&str; 10] = [
    "content-type",
    "user-agent",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-github-enterprise-host",
    "x-gitea-event-type",
    "x-forgejo-event-type",
    "x-gitlab-instance",
    "x-gitlab-webhook-uuid",
];

/// Name of the event and id of the delivery. `digest` is the body's, for forges that send no id of their own.
pub(super) fn event_and_id(forge: Forge, headers: &HeaderMap, digest: &[u8; 32]) -> Result<(String, String), Problem> {
    let (events, ids): (&[&str], &[&str]) = match forge {
        Forge::Github => (&["x-github-event"], &["x-github-delivery"]),
        Forge::Gitea => (&["x-gitea-event"], &["x-gitea-delivery"]),
        Forge::Forgejo => (&["x-forgejo-event", "x-gitea-event"], &["x-forgejo-delivery", "x-gitea-delivery"]),
        Forge::Gitlab => (&["x-gitlab-event"], &["idempotency-key", "x-gitlab-event-uuid"]),
        Forge::Push => (&["x-pipe-event"], &["x-pipe-delivery"]),
    };
    let missing = |name: &str| Problem::new(StatusCode::BAD_REQUEST, "headers", format!("one usable {name} is needed"));
    let event = match (one(headers, events)?, forge) {
        (Some((_, event)), _) => event,
        (None, Forge::Push) => "push".to_owned(),
        (None, Forge::Github | Forge::Gitea | Forge::Forgejo | Forge::Gitlab) => return Err(missing(events[0])),
    };
    let id = match (one(headers, ids)?, forge) {
        // GitLab gives one id to all hooks that an event sets off.
        (Some(("x-gitlab-event-uuid", id)), _) => format!("{id}:{}", short(digest)),
        (Some((_, id)), _) => id,
        (None, Forge::Gitlab | Forge::Push) => {
            format!("{}-{}-{}", forge.as_str(), jiff::Timestamp::now().as_nanosecond(), short(digest))
        }
        (None, Forge::Github | Forge::Gitea | Forge::Forgejo) => return Err(missing(ids[0])),
    };
    Ok((event, id))
}

/// The first of these headers that is there; it has to be there once, short and plain.
fn one<'name>(headers: &HeaderMap, names: &[&'name str]) -> Result<Option<(&'name str, String)>, Problem> {
    let Some(name) = names.iter().find(|name| headers.contains_key(**name)) else { return Ok(None) };
    let mut values = headers.get_all(*name).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).map(str::trim);
    let is_plain = |text: &&str| !text.is_empty() && text.len() <= TEXT_BYTES_MAX;
    match (value.filter(is_plain), values.next()) {
        (Some(value), None) => Ok(Some((name, value.to_owned()))),
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "headers", format!("one usable {name} is needed"))),
    }
}

fn short(digest: &[u8; 32]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: &str| headers.get(name)?.to_str().ok().filter(|value| value.len() <= KEPT_BYTES_MAX);
    KEPT.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?.to_owned()))).collect()
}
