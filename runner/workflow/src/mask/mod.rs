//! Hides secrets in byte streams.
