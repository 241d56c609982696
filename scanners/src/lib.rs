//! Image to packages to findings to a decision.
//!
//! `package` holds the words of all parts. What reads (`inventory`) knows no advisory, what matches (`advisory`) knows no
//! file, what decides (`policy`) is pure and sees findings only.

pub mod advisory;
pub mod finding;
pub mod inventory;
pub mod package;
mod purl;
pub mod source;
pub mod version;
