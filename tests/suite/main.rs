//! The one test binary over the whole product: each module is a suite.

mod conformance;
