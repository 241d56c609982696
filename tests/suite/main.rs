//! The one test binary over the whole product: each module is a suite.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod audits;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod infrastructure;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod run_cases;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod supply;
mod tidy;
