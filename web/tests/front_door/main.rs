//! The front door from outside: a real server on loopback, bytes on sockets, one test for each row of the attack table.

#![expect(clippy::unwrap_used, reason = "tests: what is missing fails them")]

mod attacks;
mod connections;
mod corpus;
mod full;
mod hooks;
mod http2;
mod killed;
mod processing;
mod pump;
mod world;
