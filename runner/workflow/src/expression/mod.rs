//! The expression language: `${{ }}`.
