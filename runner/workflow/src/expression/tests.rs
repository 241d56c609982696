//! Tables of expressions and their values, beyond the conformance cases.
