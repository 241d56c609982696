//! Every reader of advisories on documents that are cut, changed and put together wrongly: an answer or an error, never a panic.

use proptest::prelude::*;

use super::osv::Record;
use super::range::{self, Event};
use super::{alpine, debian, exploit, requirement};
use crate::version::Scheme;

const RECORD: &str = r#"{"id":"GHSA-1","aliases":["CVE-2024-1"],"modified":"2024-01-01T00:00:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"last_affected":"2.4.0"}]}],"versions":["0.1.0"],"database_specific":{"patched":[">= 1.2.3, < 2"],"unaffected":["^0.4 || 7.x"]}}]}"#;
const TRACKER: &str = r#"{"zlib":{"CVE-2023-1":{"description":"text","releases":{"bookworm":{"status":"resolved","fixed_version":"1:1.2","urgency":"low","nodsa":"Minor"}}}}}"#;
const SECDB: &str = r#"{"distroversion":"v3.19","packages":[{"pkg":{"name":"curl","secfixes":{"7.0-r0":["CVE-2020-1 GHSA-x-1"],"0":["CVE-2020-3"]}}}]}"#;
const KEV: &str = r#"{"vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10","dueDate":"2021-12-24"}]}"#;
const EPSS: &str = "#model\ncve,epss,percentile\nCVE-2021-44228,0.94358,0.99957\n";

/// The document with some bytes changed, doubled or missing.
fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..text.len(), any::<u8>(), 0..4_u8), 0..6).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.min(bytes.len().saturating_sub(1));
            match kind {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), byte),
                2 if !bytes.is_empty() => bytes[at] = byte,
                _ => bytes.extend_from_within(at.min(bytes.len())..),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn records(bytes in damaged(RECORD)) {
        if let Ok(record) = serde_json::from_slice::<Record>(&bytes) {
            let _ = record.read();
        }
    }

    #[test]
    fn documents(tracker in damaged(TRACKER), secdb in damaged(SECDB), kev in damaged(KEV), epss in damaged(EPSS)) {
        let _ = debian::read(tracker.as_slice(), |_| Ok(()));
        let _ = alpine::read(secdb.as_slice(), |_| Ok(()));
        let _ = exploit::read_kev(kev.as_slice(), |_, _| {});
        let _ = exploit::read_epss(epss.as_slice(), |_, _| {});
    }

    #[test]
    fn requirements(text in "[0-9xX*.<>=^~!|, a-zα-]{0,30}") {
        for scheme in [Scheme::SemVer, Scheme::RubyGems, Scheme::Packagist] {
            let _ = requirement::parse(scheme, &text, "^");
        }
    }

    /// What events make is in order, does not overlap, and holds exactly the versions that the rule of OSV says.
    #[test]
    fn events(events in prop::collection::vec((0..3_u8, 0..8_u8), 0..12)) {
        let versions: Vec<String> = (0..8).map(|number| format!("1.{number}.0")).collect();
        let events: Vec<Event<'_>> = events.iter().map(|(kind, at)| {
            let version = versions[usize::from(*at)].as_str();
            match kind {
                0 => Event::Introduced(version),
                1 => Event::Fixed(version),
                _ => Event::LastAffected(version),
            }
        }).collect();
        let intervals = range::of_events(Scheme::SemVer, &events);
        let joined = range::union(Scheme::SemVer, intervals.clone());
        let rest = range::complement(Scheme::SemVer, intervals.clone());
        for version in ["0.9.0", "1.0.0", "1.3.0", "1.3.1", "1.7.0", "1.9.0"] {
            let inside = |set: &[super::model::Interval]| set.iter().filter(|one| one.contains(Scheme::SemVer, version)).count();
            prop_assert_eq!(inside(&joined), usize::from(inside(&intervals) > 0));
            prop_assert_eq!(inside(&rest), 1 - inside(&joined));
        }
    }
}
