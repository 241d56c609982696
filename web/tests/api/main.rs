//! The JSON API and the pages through their routes: who may what, lists and views, deeds, logs and live events.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod access;
mod approvals;
mod artifacts;
mod deeds;
mod events;
mod findings;
mod findings_over_time;
mod gates;
mod logs;
mod notifications;
mod oidc;
mod pages;
mod people;
mod probing;
mod reported;
mod rollouts;
mod routes;
mod runs;
mod settings;
mod slow_readers;
mod world;
