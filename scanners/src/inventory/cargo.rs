//! Cargo: its lock file, and the list of crates that `cargo auditable` leaves in programs.
//!
//! <https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html>,
//! <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.

use std::io::Read;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::facts::{Said, Stated};
use super::lines::LineFinder;
use super::python_lock::toml_of;
use crate::package::Ecosystem;

/// Of the list in a program, unfolded.
const AUDIT_BYTES_MAX: u64 = 16 << 20;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    #[serde(default)]
    source: Option<String>,
}

/// Crates of the workspace itself come from nowhere, and have no advisories by their version.
pub(crate) fn lock(text: &[u8]) -> Said {
    let lock: Lock = match toml_of(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not Cargo's lock file: {error}")),
    };
    let mut lines = LineFinder::new(text);
    let packages = lock.package.into_iter().filter(|package| package.source.is_some()).map(|package| {
        let line = lines.next_start(&format!("name = \"{}\"", package.name));
        Stated::new(Ecosystem::Cargo, package.name, package.version).at_line(line)
    });
    Said::packages(packages.collect())
}

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Audited>,
}

#[derive(Deserialize)]
struct Audited {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
}

/// The section `.dep-v0`: JSON, compressed with zlib. What was needed only for building is not in the program.
pub(crate) fn audit(section: &[u8]) -> Said {
    let mut text = Vec::new();
    if let Err(error) = ZlibDecoder::new(section).take(AUDIT_BYTES_MAX).read_to_end(&mut text) {
        return Said::unread(format!("its list of crates cannot be unfolded: {error}"));
    }
    let audit: Audit = match serde_json::from_slice(&text) {
        Ok(audit) => audit,
        Err(error) => return Said::unread(format!("its list of crates is not what it should be: {error}")),
    };
    let shipped = audit.packages.into_iter().filter(|package| package.kind.as_deref() != Some("build"));
    Said::packages(shipped.map(|package| Stated::new(Ecosystem::Cargo, package.name, package.version)).collect())
}
