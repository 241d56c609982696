//! The target against a fake of AWS: whole rollouts, call by call, each with its answer lost once.

mod bad;
mod calls;
mod driven;
mod world;

pub(crate) use self::driven::canary;
