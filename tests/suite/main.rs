//! The one test binary over the whole product: each module is a suite.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod mistakes;
mod tidy;
