//! A client's connection as hyper gets it, and what hyper does not look at: how long a client may take, and whether its
//! requests can be read in two ways. The proxy's, and the server's of crate `web`.

mod framing;
mod tapped;
mod watched;

pub use tapped::{Tap, Tapped};
pub use watched::{Busy, Facts, Limits, Watch, Watched};
