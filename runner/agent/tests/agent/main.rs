//! The agent's tests: its frames as data, and the real binary with real processes.
//!
//! Every agent here runs on the host, where it is no PID 1; what only a container shows is in `container`.
//! Nothing sleeps in place of an event: tests wait for frames, for ends of named pipes, or for a process to go.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one event and lets all others pass")]

mod container;
mod daemons;
mod ends;
mod frames;
mod output;
mod requests;
mod shim;
mod starts;
mod stdio;
mod world;
