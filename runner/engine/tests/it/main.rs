//! The placements with real agents: in containers of a real Docker engine, and on this machine.
//!
//! Where Docker or the machine's static busybox is missing these tests fail and say so; they are never passed over.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod build;
mod docker;
mod host;
mod leftovers;
mod services;
mod warm;
mod world;
