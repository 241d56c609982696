//! The agent at work: one thread, one loop over descriptors and deadlines.
//!
//! In the order in which things pass through: a [`connection`] brings requests, [`start`] starts a program, [`exec`] follows
//! it, its output goes through the [`spool`], a [`climb`] ends it where it must be ended, and [`supervisor`] turns the wheel.
//! No other threads: what would be a race between reaping and starting cannot be written down here.

mod cgroup;
mod climb;
mod connection;
mod exec;
mod files;
mod journal;
mod processes;
mod requests;
mod segments;
mod spool;
mod start;
mod stopping;
mod supervisor;
mod turn;

pub(crate) use supervisor::run;
