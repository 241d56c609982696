//! From text to decisions: everything `pipe` knows about workflows that needs no I/O, no clock and no async.
//!
//! The modules are listed in the order in which data meets them. A workflow file is read ([`yaml`], [`schema`],
//! [`template`]) into a typed model ([`model`]) and judged ([`check`]), an [`event`] is matched against it ([`trigger`]), the two give an
//! immutable [`plan`], and a run of that plan is a state machine of facts ([`run`]). What a step prints passes
//! [`command`] and [`mask`].

pub mod action;
pub mod catalogue;
pub mod check;
pub mod command;
pub mod diagnostic;
pub mod event;
pub mod expression;
pub mod mask;
pub mod matrix;
pub mod model;
pub mod plan;
pub mod read;
pub mod run;
pub mod schema;
pub mod secret;
pub mod source;
pub mod template;
pub mod trigger;
pub mod yaml;
