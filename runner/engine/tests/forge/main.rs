//! Reports to a forge that keeps state and misbehaves: whatever goes wrong on the way, it ends as if nothing had.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod apps;
mod fake;
mod faults;
mod inbox;
mod limits;
mod others;
mod people;
mod reader;
mod world;
