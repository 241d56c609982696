//! The JSON API through its routes: who may what, lists and views, deeds, logs and live events.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod access;
mod artifacts;
mod deeds;
mod events;
mod logs;
mod runs;
mod world;
