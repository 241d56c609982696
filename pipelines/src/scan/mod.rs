//! A scan from a target to a verdict: what `pipe scan` and `pipe/scan` share.
//!
//! Composition only. The crate `scanners` reads, compares and decides; here an image is asked of Docker, and what
//! is missing becomes a doubt, never a pass.

mod again;
mod baseline;
mod examine;
mod foreign;
mod require;
mod said;
mod target;
#[cfg(test)]
mod tests;

pub use again::{Again, stamp};
pub use baseline::{Standing, compared_with, standing};
pub use examine::{Dockerfile, Order, Scanned, Scanners, examine};
pub use foreign::Foreign;
pub use require::RequireScan;
pub use said::{Place, found, said};
pub use target::{Leftover, Opened, Target, TargetError, open};
