//! Where requests go: one immutable table, replaced whole.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A table. A higher generation replaces a lower one and nothing else does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number, from 1; 0 is the empty table of a new proxy.
    pub generation: u64,
    /// The longest matching path decides.
    pub routes: Vec<Route>,
}

/// A service behind a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The service; unique in a table.
    pub service: String,
    /// Requests whose path is this or lies below it, on whole segments: `/`, `/orders`.
    pub path: String,
    /// Whether the path is taken off before the request goes on.
    #[serde(default)]
    pub strip: bool,
    /// Whether a client keeps its colour.
    #[serde(default)]
    pub affinity: Affinity,
    /// The colours: those with weight share the requests.
    pub colours: Vec<Colour>,
    /// The colour that tests reach: by the test port, and by the header `X-Pipe-Color`.
    #[serde(default)]
    pub test: Option<String>,
}

/// A colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// `blue` or `green`.
    pub name: String,
    /// Which revision it is: counters are kept by it.
    pub revision: String,
    /// Its share in thousandths; those of a route are 1,000 together, or all 0.
    pub weight: u16,
    /// Where it answers.
    pub backends: Vec<SocketAddr>,
}

/// Whether a client keeps its colour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affinity {
    /// Each request for itself: what statistics need.
    #[default]
    None,
    /// By the value of a cookie.
    Cookie(String),
    /// By the value of a header.
    Header(String),
}
