//! `GET /rollouts/{id}/events`: a rollout as server-sent events, whole whenever something has changed, until it has ended.
//!
//! Each event is what `GET /rollouts/{id}` answers; the last one is followed by an event named `end`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use engine::store::tokens::Holder;
use serde_json::Value as Json;

use super::super::answer::Path;
use super::visible;
use crate::Problem;
use crate::access::{self, Allowed};
use crate::pages::live::{self, Watch};
use crate::site::Site;

/// How often a rollout is looked at; others than this process may drive it.
pub(crate) const EVERY: Duration = Duration::from_millis(250);

pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    allowed: Allowed<access::RunsRead>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    visible(&site, &allowed.holder, id).await?;
    let place = live::place(&site, &headers)?;
    let stop = site.follow.stop().clone();
    Ok(live::stream(place, Look { site, holder: allowed.holder, id, sent: None }, stop))
}

struct Look {
    site: Arc<Site>,
    holder: Holder,
    id: u64,
    sent: Option<Json>,
}

impl Watch for Look {
    async fn wait(&mut self) -> bool {
        if self.sent.is_some() {
            tokio::time::sleep(EVERY).await;
        }
        true
    }

    async fn look(&mut self) -> Result<(String, bool), Problem> {
        let seen = visible(&self.site, &self.holder, self.id).await?;
        let (told, is_over) = (seen.told(&self.holder), !seen.is_active());
        if self.sent.as_ref() == Some(&told) {
            return Ok((String::new(), is_over));
        }
        let text = told.to_string();
        self.sent = Some(told);
        Ok((text, is_over))
    }
}
