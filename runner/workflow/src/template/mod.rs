//! From checked nodes to tokens: literals, sequences, mappings and parsed `${{ }}` expressions, each with its place.
//!
//! A token is what a workflow file says once the schema has accepted it, before any expression is evaluated. The
//! typed model keeps tokens wherever a value may still depend on a context.

mod error;
mod token;

pub use error::{GITHUB_ERRORS_MAX, MESSAGE_CHARS_MAX, Place, ReadError};
pub use token::{Token, TokenKind};
