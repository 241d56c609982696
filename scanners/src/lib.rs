//! Image to packages to findings to a decision.
//!
//! `package` holds the words of all parts. What reads (`inventory`) knows no advisory, what matches (`advisory`) knows no
//! file, what decides (`policy`) is pure and sees findings only.

pub mod advisory;
pub mod attest;
pub mod case;
pub mod code;
pub mod coverage;
pub mod dockerfile;
pub mod files;
pub mod finding;
pub mod import;
pub mod inventory;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod others;
pub mod package;
pub mod policy;
pub mod probe;
mod purl;
mod purl_pattern;
pub mod report;
mod rule_finding;
pub mod secret;
pub mod source;
pub mod terraform;
pub mod version;
pub mod vex;
pub mod workflows;
mod yaml;

pub use purl_pattern::{Match, PurlError, PurlPattern};
