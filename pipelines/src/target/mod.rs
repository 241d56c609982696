//! Where services are deployed to: the forms of [`crate::rollout::Target`].

pub mod ecs;
pub mod local;
