//! A real `pipe serve` that is killed, and whose world fails: what was acknowledged becomes one run, each job has one
//! conclusion, no step runs twice, logs are what the steps wrote, nothing is left. And rollouts: each effect happens once, and no
//! user of the service notices.
//!
//! Follows rows X01–X38 of the fault table. Needs strace and, for containers, Docker; a test that lacks them says so and
//! passes. A short form by default; `PIPE_TORTURE=1` takes every point, `PIPE_TORTURE_PROGRAM` another build of pipe.

#![expect(clippy::unwrap_used, reason = "a test stops where its own world is not as it made it")]
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "what was skipped or counted is said")]

mod colours;
mod dockerd;
mod faults;
mod follow;
mod gate;
mod image;
mod kills;
mod ledger;
mod load;
mod outcome;
mod rollouts;
mod rows;
mod server;
mod stage;
mod storms;
mod wal;
mod world;

/// Whether all points are wanted.
fn is_long() -> bool {
    let is_long = std::env::var_os("PIPE_TORTURE").is_some();
    if !is_long {
        eprintln!("SHORT: `PIPE_TORTURE=1` (`make torture`) takes every point");
    }
    is_long
}
