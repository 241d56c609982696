//! The fake as its users meet it: stories on the virtual clock, calls by SDKs over the wire, and real containers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "what is skipped is named")]

mod boto;
mod codedeploy;
mod containers;
mod identity;
mod native;
mod registry;
mod rolling;
mod stage;
mod task_sets;
mod wire;
