//! Tokens to the typed workflow.
