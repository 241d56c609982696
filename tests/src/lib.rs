//! The test crate holds no code of its own.
