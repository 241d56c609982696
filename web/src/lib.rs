//! The server: the front door that hooks come through, and the accept loop that API and pages share.
//!
//! It holds no run logic: what becomes of a delivery is a [`DeliveryProcessor`]'s. Rules of the door:
//! `webhook/mod.rs`; limits of connections: `server/mod.rs`.

mod access;
pub mod api;
mod dispatching;
mod headers;
mod health;
mod issuer;
mod metrics;
mod pages;
mod problem;
mod processor;
mod pump;
mod server;
mod site;
mod webhook;

pub use access::Entrance;
pub use dispatching::{dispatch, offers};
pub use health::health_routes;
pub use issuer::issuer_routes;
pub use metrics::metrics_routes;
pub use pages::Oidc;
pub use problem::Problem;
pub use processor::Processor;
pub use pump::{DeliveryProcessor, Outcome, Pump};
pub use server::{ClientAddress, Drained, Network, RequestId, Server, ServerOptions};
pub use webhook::{FrontDoor, FrontDoorOptions, Hook, HookError, HookSecrets, Rate, StoredSecrets};
