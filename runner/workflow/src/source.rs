//! Source texts and positions.
