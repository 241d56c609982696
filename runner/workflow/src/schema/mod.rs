//! The workflow schema as data.
