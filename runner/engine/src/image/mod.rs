//! Images of containers: which one a reference means here, and getting it where it is missing.
//!
//! Does not build images (that is a built-in action) and does not choose one for a label (that is configuration).

mod error;

pub use error::{ImageError, PullProblem};

/// An image as the engine knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// As asked for.
    pub reference: String,
    /// `sha256:…` of its configuration.
    pub id: String,
    /// `sha256:…` of its manifest in the registry, where it came from one.
    pub digest: Option<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// Its user; empty: root.
    pub user: String,
    /// Its working directory; empty: `/`.
    pub workdir: String,
    /// Its `HEALTHCHECK`, if it has one that is not `NONE`.
    pub has_healthcheck: bool,
    /// `linux/amd64` and the like.
    pub platform: String,
}
