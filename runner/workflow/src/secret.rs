//! Secret values.
