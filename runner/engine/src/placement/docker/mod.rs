//! Jobs in containers of a Docker engine.
//!
//! Knows nothing of workflows.

mod address;
mod connection;
mod options;
mod ports;
mod volumes;
mod words;

pub(crate) use connection::{message as docker_message, status as docker_status};
