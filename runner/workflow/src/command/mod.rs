//! Workflow commands and environment files.
