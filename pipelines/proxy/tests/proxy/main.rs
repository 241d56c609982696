//! The proxy over real sockets: backends and clients are of these tests, byte by byte where it matters.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "tests have no outside; `pub` means: for the other files")]

mod backend;
mod chunked;
mod control;
mod http;
mod load;
mod plain;
mod process;
mod retry;
mod shift;
mod split;
mod succession;
mod wire;
mod world;
