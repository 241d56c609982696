//! The typed workflow.
