//! The binary from outside: files, arguments and standard input against exit code, stdout and stderr, kept as snapshots.
//!
//! Nothing here needs Docker or a network; runs are on the host placement.

mod check;
mod eval;
mod look;
mod run;
mod world;
