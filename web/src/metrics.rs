//! `GET /metrics`: the server's numbers for Prometheus.
//!
//! With a token it is for who sends it (`Authorization: Bearer …`, in constant time); without one it is for this
//! machine only, since numbers tell who builds when.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, http};
use engine::metrics::{CONTENT_TYPE, Delivery, Standing, metrics, render_delivery};
use engine::service::RunService;
use engine::store::{Database, StoreError};
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;
use workflow::secret::Secret;

use crate::{ClientAddress, Problem};

/// For how long figures of delivery are told again: they are of 30 days, and scrapers ask every few seconds.
const DELIVERY_KEPT: SignedDuration = SignedDuration::from_mins(1);

#[derive(Debug)]
struct Numbers {
    database: Database,
    token: Option<Secret>,
    /// The queue, where there is one.
    runs: Option<RunService>,
    /// Figures of delivery as text, and when they were made.
    delivery: Mutex<Option<(Timestamp, String)>>,
}

/// The route. `token`: what a scraper has to send; `runs`: whose queue is told of.
pub fn metrics_routes(database: Database, token: Option<Secret>, runs: Option<RunService>) -> Router {
    Router::new().route("/metrics", get(numbers)).with_state(Arc::new(Numbers {
        database,
        token,
        runs,
        delivery: Mutex::default(),
    }))
}

async fn numbers(
    State(numbers): State<Arc<Numbers>>,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    numbers.allow(address.map(|Extension(address)| address), &headers)?;
    let unreadable = |error: StoreError| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", format!("the numbers cannot be read: {error}"))
    };
    let mut standing = Standing::read(&numbers.database).await.map_err(unreadable)?;
    let delivery = numbers.delivery(Timestamp::now()).await.map_err(unreadable)?;
    if let Some(runs) = &numbers.runs {
        let (_, placed, waiting) = runs.load();
        standing.jobs = Some((placed as u64, runs.places() as u64));
        standing.jobs_queued = Some(waiting as u64);
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics().render(&standing) + &delivery))
}

impl Numbers {
    /// Who asks meanwhile waits for the one who reads.
    async fn delivery(&self, now: Timestamp) -> Result<String, StoreError> {
        let mut kept = self.delivery.lock().await;
        if let Some((at, text)) = kept.as_ref()
            && now.duration_since(*at).abs() < DELIVERY_KEPT
        {
            return Ok(text.clone());
        }
        let text = render_delivery(&Delivery::read(&self.database, now).await?);
        *kept = Some((now, text.clone()));
        Ok(text)
    }

    fn allow(&self, address: Option<ClientAddress>, headers: &http::HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            // Without a connection it is asked by this process.
            if address.is_none_or(|address| address.0.to_canonical().is_loopback()) {
                return Ok(());
            }
            let detail = "without a token the numbers are for this machine only; see `metrics-token-file`";
            return Err(Problem::new(StatusCode::FORBIDDEN, "address", detail));
        };
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let same = sent.is_some_and(|sent| bool::from(sent.trim().as_bytes().ct_eq(token.expose().as_bytes())));
        if same {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "send the token of the numbers as `Authorization: Bearer …`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_are_for_who_may_see_them() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("pipe.db"), engine::store::Options::LOCAL).unwrap();
        for (token, address, sent, status) in [
            (None, "127.0.0.1", None, 200),
            (None, "::ffff:127.0.0.1", None, 200),
            (None, "192.0.2.1", None, 403),
            (Some("secret"), "127.0.0.1", None, 401),
            (Some("secret"), "192.0.2.1", Some("Bearer wrong"), 401),
            (Some("secret"), "192.0.2.1", Some("secret"), 401),
            (Some("secret"), "192.0.2.1", Some("Bearer secret"), 200),
        ] {
            let numbers = Arc::new(Numbers {
                database: database.clone(),
                token: token.map(Secret::new),
                runs: None,
                delivery: Mutex::default(),
            });
            let address = Some(Extension(ClientAddress(address.parse().unwrap())));
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(header::AUTHORIZATION, sent.parse().unwrap());
            }
            let response = match super::numbers(State(numbers), address, headers).await {
                Ok(response) => response.into_response(),
                Err(problem) => problem.into_response(),
            };
            assert_eq!(response.status().as_u16(), status, "{token:?} {sent:?}");
        }
    }
}
