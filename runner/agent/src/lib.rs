//! What the engine needs to talk to the agent: the frames ([`protocol`]) and a small blocking client ([`client`]).
//!
//! The agent itself is the binary `pipe-agent` of this crate: it runs inside a job's container as PID 1 (on the host for
//! host placement), executes steps, and keeps output and exit codes until they are acknowledged. Nothing here decides
//! anything about a run. See ARCHITECTURE.md, decisions 3 and 4.

pub mod client;
pub mod protocol;
