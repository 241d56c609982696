//! Where services are deployed to: the forms of [`crate::rollout::Target`].

mod clouds;
pub mod ecs;
pub(crate) mod keeping;
pub mod local;
mod quiet;

pub use clouds::Clouds;
pub(crate) use clouds::refused;
pub use quiet::Quiet;
