//! The pages that people look at. A page reads what the API reads and does what the API does; it only looks different.
//!
//! `render.rs` makes HTML of templates, `filters.rs` is what they can do with values, `files.rs` gives out style sheets
//! and scripts. Every page works without a script. No page decides about runs.

mod errors;
mod files;
mod filters;
mod render;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;

#[expect(unused_imports, reason = "pages of the other parts are made with them")]
pub(crate) use render::{bare, page};

use crate::site::Site;

/// All pages.
pub(crate) fn routes() -> Router<Arc<Site>> {
    let pages = Router::new().fallback(errors::nothing_there).layer(from_fn(errors::as_pages));
    Router::new().route("/static/{hash}/{*file}", get(files::file)).merge(pages)
}
