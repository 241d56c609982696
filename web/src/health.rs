//! Whether the process lives, and whether it should get requests.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use engine::store::Database;

use crate::Problem;

/// `GET /healthz`: the process answers. `GET /readyz`: the database takes writes.
pub fn health_routes(database: Database) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(readiness)).with_state(database)
}

async fn readiness(State(database): State<Database>) -> Result<&'static str, Problem> {
    // A disk that was full may have room again.
    if !database.is_healthy() && database.probe().await.is_err() {
        let reason = database.problem().unwrap_or_default();
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "database", format!("the database: {reason}")));
    }
    Ok("ready\n")
}
