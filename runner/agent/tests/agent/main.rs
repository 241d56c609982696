//! The agent's tests: its frames as data, and the real binary with real processes.
//!
//! Container placement is checked by the engine's tests; here every agent runs on the host.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod frames;
