//! Where services are deployed to: the forms of [`crate::rollout::Target`].

mod clouds;
pub mod codedeploy;
pub mod ecs;
pub(crate) mod keeping;
#[cfg(test)]
mod live;
pub mod local;
pub mod native;
mod pace;
pub mod paced;
mod quiet;
mod revisions;
pub mod rolling;
mod sides;
mod troubles;

pub use clouds::Clouds;
pub(crate) use clouds::refused;
pub use pace::Pace;
pub use quiet::Quiet;
pub(crate) use revisions::{PLAN_TAG, mark_of};
