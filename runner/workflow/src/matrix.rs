//! Matrix legs.
