//! Where services are deployed to: the forms of [`crate::rollout::Target`].

mod clouds;
pub mod ecs;
pub mod local;

pub use clouds::Clouds;
pub(crate) use clouds::refused;
