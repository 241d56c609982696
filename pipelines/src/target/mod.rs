//! Where services are deployed to: the forms of [`crate::rollout::Target`].

#[cfg(test)]
mod bad;
mod clouds;
pub mod codedeploy;
pub mod ecs;
pub(crate) mod keeping;
mod keyed;
#[cfg(test)]
mod live;
pub mod local;
pub mod native;
pub mod paced;
mod quiet;
#[cfg(test)]
mod recorded;
mod renewal;
mod revisions;
pub mod rolling;
mod sides;
mod troubles;

pub use clouds::Clouds;
pub(crate) use clouds::{MACHINE_KEYS, account_of, machine_is_allowed, refused};
pub use keyed::Keyed;
pub use quiet::Quiet;
pub(crate) use renewal::Renewal;
pub(crate) use revisions::{PLAN_TAG, mark_of};
