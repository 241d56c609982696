//! The expression language: `${{ }}`.

/// Placeholder, replaced by the next commit of this module.
#[derive(Debug, Clone)]
pub struct Expression;
