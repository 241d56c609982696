//! The runs of a server: made durably, queued, carried, taken up after a restart, steered.
//!
//! It does not speak HTTP, does not decide which workflows an event starts, and keeps no secrets: those come through
//! ports ([`RunSecrets`], [`RunRepository`]).

mod ports;
mod spec;

pub use ports::{FixedRepository, FixedSecrets, PortError, RunRepository, RunSecrets};
pub use spec::{RunSpec, SPEC_VERSION, Trust};
