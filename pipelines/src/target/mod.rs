//! Where services are deployed to: the forms of [`crate::rollout::Target`].

pub mod local;
