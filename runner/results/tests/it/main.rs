//! The services as clients see them: GitHub's own packages, and requests of people who should not be here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod artifacts;
mod attacks;
mod caches;
mod identity;
mod said;
mod world;
