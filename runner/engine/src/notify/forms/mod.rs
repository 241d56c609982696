//! How an announcement is written: one file a form, without any I/O.

pub(super) mod discord;
pub(super) mod letter;
pub(super) mod slack;
pub(super) mod teams;
