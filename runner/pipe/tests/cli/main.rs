//! The binary from outside: files, arguments and standard input against exit code, stdout and stderr, kept as snapshots.
//!
//! But for `again`, `resume::{docker, image_action, kept}` and shells of `terminal` nothing here needs Docker or a network; runs are on
//! the host placement.

#![expect(clippy::unwrap_used, reason = "a test stops where its own world is not as it made it")]

mod account;
mod again;
mod attest;
mod aws;
mod check;
mod cloud;
mod deploy;
mod elsewhere;
mod eval;
#[path = "../../../engine/tests/forge/fake.rs"]
mod forge;
mod gc;
mod groups;
mod hook;
mod infrastructure;
mod kept;
mod left;
mod look;
mod proxied;
mod proxy;
mod pull;
mod regions;
mod remote;
mod resume;
mod run;
mod scan;
mod serve;
mod terminal;
mod world;
