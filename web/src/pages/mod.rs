//! The pages that people look at. A page reads what the API reads and does what the API does; it only looks different.
//!
//! `render.rs` makes HTML of templates, `filters.rs` is what they can do with values, `files.rs` gives out style sheets
//! and scripts, `live.rs` tells what changed. The rest is one file or folder a page. Every page works without a script. No page decides about runs.

mod approval;
mod costs;
mod days;
mod deliveries;
mod deployment;
mod dispatch;
mod environments;
mod errors;
mod files;
mod filters;
mod findings;
mod forms;
mod gate;
mod insights;
mod job;
pub(crate) mod live;
pub(crate) mod log;
mod login;
mod markdown;
mod outside;
mod render;
mod review;
mod rollout;
mod run;
mod runs;
mod settings;
mod shown;
mod tested;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};

pub(crate) use errors::wants_page;
pub(crate) use filters::encoded;
pub use login::Oidc;
pub(crate) use render::{bare, page};
pub(crate) use run::planned_id;

use crate::site::Site;

/// All pages.
pub(crate) fn routes() -> Router<Arc<Site>> {
    let pages = Router::new()
        .route("/", get(runs::list))
        .route("/live", get(runs::follow))
        .route("/runs/{id}", get(run::show))
        .route("/runs/{id}/live", get(run::follow))
        .route("/runs/{id}/jobs/{job}", get(job::show))
        .route("/runs/{id}/jobs/{job}/live", get(job::follow))
        .route("/runs/{id}/jobs/{job}/lines", get(job::lines))
        .route("/runs/{id}/jobs/{job}/search", get(job::find_text))
        .route("/runs/{id}/jobs/{job}/times", get(job::times))
        .route("/runs/{id}/jobs/{job}/at", get(job::at))
        .route("/runs/{id}/jobs/{job}/raw", get(job::raw))
        .route("/runs/{id}/artifacts/{name}", get(crate::api::artifacts::download))
        .route("/runs/{id}/cancel", post(run::cancel))
        .route("/runs/{id}/approve", post(run::approve))
        .route("/runs/{id}/rerun", post(run::rerun))
        .route("/runs/{id}/review/{environment}", get(review::show).post(review::decide))
        .route("/runs/{id}/gates/{gate}", get(gate::show).post(gate::decide))
        .route("/a/{id}", get(approval::show).post(approval::decide))
        .route("/dispatch", get(dispatch::form).post(dispatch::start))
        .route("/environments", get(environments::list))
        .route("/environments/{name}", get(rollout::environment))
        .route("/environments/{name}/live", get(rollout::follow_environment))
        .route("/environments/{name}/rollback", post(rollout::rollback))
        .route("/rollouts/{id}", get(rollout::show))
        .route("/rollouts/{id}/live", get(rollout::follow))
        .route("/rollouts/{id}/order", post(rollout::order))
        .route("/deployments", get(environments::deployments))
        .route("/deployments/{id}", get(deployment::show))
        .route("/deployments/{id}/mark", post(deployment::mark))
        .route("/deployments/{id}/unmark", post(deployment::unmark))
        .route("/insights", get(insights::show))
        .route("/costs", get(costs::show))
        .route("/findings", get(findings::show))
        .route("/tests", get(tested::list))
        .route("/tests/{id}", get(tested::show))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{number}", get(deliveries::show))
        .route("/deliveries/{number}/replay", post(deliveries::replay))
        .route("/badge/{owner}/{name}/{workflow}", get(outside::badge))
        .route("/runs.atom", get(outside::feed))
        .merge(login::routes())
        .merge(settings::routes())
        .fallback(errors::nothing_there)
        .method_not_allowed_fallback(errors::another_method)
        .layer(from_fn(crate::access::prove))
        .layer(from_fn(errors::as_pages));
    Router::new().route("/static/{hash}/{*file}", get(files::file)).merge(pages)
}
