//! Nodes checked against the schema become tokens.
