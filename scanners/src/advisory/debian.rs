//! Debian's security tracker: one document of packages, vulnerabilities and releases
//! (<https://security-tracker.debian.org/tracker/data/json>).
//!
//! It says more than the advisories do: what will not be fixed (`no-dsa`, `ignored`, `unimportant`) and what is still open. It
//! has no dates.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::json::{self, ReadError};
use super::model::{Advisory, Affected, Interval};
use super::osv::shortened;
use super::{names, severity};
use crate::finding::{Rating, SeveritySource};

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
    #[serde(default)]
    nodsa: Option<String>,
    #[serde(default)]
    nodsa_reason: Option<String>,
}

/// Hands over one advisory for each package and vulnerability.
///
/// # Errors
/// When it is not the tracker's document or ends early.
pub(crate) fn read(reader: impl Read, mut take: impl FnMut(Advisory) -> std::io::Result<()>) -> Result<(), ReadError> {
    json::each_member(reader, |package, entries: BTreeMap<String, Entry>| {
        for (id, entry) in entries {
            let affected: Vec<_> =
                entry.releases.iter().filter_map(|(codename, release)| affected(&package, codename, release)).collect();
            if !affected.is_empty() {
                take(Advisory {
                    references: vec![format!("https://security-tracker.debian.org/tracker/{id}")],
                    summary: shortened(entry.description.as_deref().unwrap_or("")),
                    id,
                    affected,
                    ..Advisory::default()
                })?;
            }
        }
        Ok(())
    })
}

fn affected(package: &str, codename: &str, release: &Release) -> Option<Affected> {
    let number = names::debian_release(codename)?;
    let interval = match release.status.as_str() {
        // Version 0 is the tracker's way of saying that it never was affected.
        "resolved" => Interval::before_fix(release.fixed_version.as_deref().filter(|version| *version != "0")?),
        "open" => Interval::default(),
        // Nobody knows yet whether it is affected at all.
        _ => return None,
    };
    let urgency = release.urgency.as_deref().unwrap_or("");
    let rating =
        severity::of_word(urgency).map(|severity| Rating { source: SeveritySource::Vendor, severity, cvss: None });
    let postponed = release.nodsa_reason.as_deref() == Some("postponed");
    let no_advisory = release.nodsa.is_some() || release.nodsa_reason.is_some();
    Some(Affected {
        release: format!("debian:{number}"),
        name: package.to_owned(),
        intervals: vec![interval],
        will_not_fix: matches!(urgency, "unimportant" | "end-of-life") || (no_advisory && !postponed),
        rating,
        ..Affected::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKER: &str = r#"{
        "zlib": {
            "CVE-2023-45853": {"description": "MiniZip in zlib", "scope": "remote", "releases": {
                "bookworm": {"status": "open", "repositories": {"bookworm": "1:1.2.13.dfsg-1"}, "urgency": "not yet assigned", "nodsa": "Minor issue", "nodsa_reason": "ignored"},
                "bullseye": {"status": "open", "urgency": "not yet assigned", "nodsa": "Minor issue", "nodsa_reason": "postponed"},
                "sid": {"status": "resolved", "fixed_version": "1:1.3.dfsg-3.1", "urgency": "not yet assigned"},
                "buster": {"status": "undetermined", "urgency": "not yet assigned"},
                "trixie": {"status": "resolved", "fixed_version": "0", "urgency": "unimportant"}
            }}
        },
        "openssl": {"CVE-2007-6755": {"releases": {"bookworm": {"status": "open", "urgency": "unimportant"}}}}
    }"#;

    #[test]
    fn what_will_not_be_fixed_is_told_from_what_is_open() {
        let mut advisories = Vec::new();
        read(TRACKER.as_bytes(), |advisory| {
            advisories.push(advisory);
            Ok(())
        })
        .expect("it is a tracker's document");
        let zlib = &advisories[0];
        assert_eq!(zlib.id, "CVE-2023-45853");
        let of = |release: &str| zlib.affected.iter().find(|affected| affected.release == release);
        assert!(
            of("debian:12")
                .is_some_and(|affected| affected.will_not_fix && affected.intervals == [Interval::default()])
        );
        assert!(of("debian:11").is_some_and(|affected| !affected.will_not_fix));
        assert!(of("debian:sid").is_some_and(|affected| affected.intervals[0].ends_with_fix));
        assert!(of("debian:10").is_none() && of("debian:13").is_none());
        assert!(advisories[1].affected[0].will_not_fix, "unimportant");
    }

    #[test]
    fn another_document_and_a_half_one_are_errors() {
        for bad in ["[]", "{\"zlib\": {\"CVE-1\": {\"releases\": {\"bookworm\"", "{\"zlib\": 3}", ""] {
            assert!(read(bad.as_bytes(), |_| Ok(())).is_err(), "{bad}");
        }
    }
}
