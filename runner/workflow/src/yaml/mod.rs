//! From bytes to YAML events with places: decoding, parsing, YAML 1.2 core-schema scalars, aliases, budgets.
//!
//! A document is kept as a flat list of events rather than a tree: aliases then cost nothing until somebody walks
//! through them, nesting needs no recursion, and a syntax error stands in its place after everything that was fine
//! before it, which is the order in which GitHub reports. [`Cursor`] walks the list and follows aliases.
//!
//! What it does not do: merge keys (`<<` is a key like any other, as at GitHub), schemas, expressions.
//! Follows <https://yaml.org/spec/1.2.2/> and, where they differ, GitHub's own reader.

mod cursor;
mod decode;
mod event;
mod flow;
mod locate;
mod parse;
mod scalar;
mod syntax;

#[cfg(test)]
mod tests;

pub use cursor::{ALIAS_NODES_MAX, Cursor, CursorError};
pub use decode::{DecodeError, decode};
pub use event::{Ending, Event, EventKind, Scalar, ScalarStyle, Stream};
pub use parse::{NESTING_MAX, parse};
pub use scalar::{Literal, ScalarError, resolve};
pub use syntax::{SyntaxError, SyntaxKind};
