//! One report in every form, with texts that mean something to each form. What the schemas say of them is checked by
//! `others.rs` with tools of others.

use super::*;
use crate::package::{Ecosystem, Inventory};
use crate::policy::{BaselineState, Database, Input, Policy, decide, read, sample};

fn policy() -> Policy {
    let text = "gate:\n  fail-on: high\n  ignore:\n    - {id: CVE-2, reason: 'a | b', owner: a@b, expires: 2027-01-01}\n    - {id: CVE-none, reason: x, owner: a@b, expires: 2027-01-01}\n";
    read(&workflow::source::SourceFile::new("gate.yml", text)).unwrap()
}

fn findings() -> Vec<Finding> {
    let mut ignored = sample::zlib();
    ignored.id = "CVE-2".to_owned();
    let mut low = sample::package(Ecosystem::Npm, "left-pad", "1.0.0");
    (low.id, low.severity, low.cvss) = ("GHSA-1".to_owned(), crate::finding::Severity::Low, None);
    vec![low, sample::zlib(), ignored, sample::secret()]
}

pub(crate) fn with<T>(doubts: &[String], look: impl FnOnce(&Report<'_>) -> T) -> T {
    let (policy, findings, inventory) = (policy(), findings(), sample::inventory());
    let verdict = decide(&Input {
        policy: &policy,
        inventory: &inventory,
        findings: &findings,
        baseline: BaselineState::NotAsked,
        statements: &[],
        known: None,
        database: Database::NotNeeded,
        doubts,
        dockerfile: Some("Dockerfile"),
        now: sample::time(sample::NOW),
    });
    look(&Report {
        inventory: &inventory,
        findings: &findings,
        verdict: Some(&verdict),
        made: sample::time(sample::NOW),
        version: "0.1.0",
    })
}

/// Names and texts that break a careless writer.
pub(crate) fn with_odd(look: impl FnOnce(&Report<'_>)) {
    let odd = "\u{0}\u{1b}[31m<>&\"'\u{fffe} %41 \u{202e}\n日本 ]]>";
    let mut finding = sample::zlib();
    (finding.id, finding.summary) = (format!("CVE {odd}"), odd.to_owned());
    finding.references = vec![format!("https://x.example/{odd}"), "ftp://x".to_owned(), String::new()];
    let mut secret = sample::secret();
    secret.summary = String::new();
    if let crate::finding::Subject::Place(place) = &mut secret.subject {
        (place.file, place.line, place.end_line, place.column) = (format!("/a b/{odd}"), Some(9), Some(3), Some(0));
    }
    let mut inventory = sample::inventory();
    inventory.target = odd.to_owned();
    inventory.packages[0].name = odd.to_owned();
    inventory.packages[0].licences = vec!["MIT OR".to_owned(), odd.to_owned(), "Apache-2.0 OR MIT".to_owned()];
    let twin = inventory.packages[1].clone();
    inventory.packages.push(twin);
    look(&Report {
        inventory: &inventory,
        findings: &[finding, secret],
        verdict: None,
        made: sample::time(sample::NOW),
        version: "0.1.0",
    });
}

fn written(format: Format) -> String {
    with(&[], |report| report.write(format, Terminal { width: 100, colour: false }))
}

#[test]
fn the_table_has_everything_for_mending() {
    insta::assert_snapshot!(written(Format::Table));
    let narrow = with(&[], |report| report.write(Format::Table, Terminal { width: 60, colour: false }));
    let is_cut = |line: &&str| {
        !line.trim_start().starts_with("fix")
            && !line.contains('✗')
            && !line.contains("sha256")
            && !line.contains("warning")
    };
    for line in narrow.lines().filter(is_cut) {
        assert!(line.chars().count() <= 60, "{line}");
    }
    let coloured = with(&[], |report| report.write(Format::Table, Terminal { width: 100, colour: true }));
    assert!(coloured.contains("\u{1b}[1m\u{1b}[31m✗ critical\u{1b}[0m"), "{coloured}");
}

#[test]
fn summaries_and_commands() {
    insta::assert_snapshot!("summary", written(Format::Summary));
    insta::assert_snapshot!("annotations", written(Format::Annotations));
    assert!(written(Format::Comment).starts_with("<!-- pipe scan: shop/orders:1.2 -->\n### ❌ Scan of"));
}

#[test]
fn test_results() {
    insta::assert_snapshot!("junit", written(Format::JUnit));
}

#[test]
fn nothing_is_left_out() {
    for format in Format::ALL {
        let text = written(format);
        assert_eq!(Format::parse(format.as_str()), Some(format));
        let names: &[&str] = match format {
            Format::Spdx => &["zlib1g", "@shop/orders"],
            Format::CycloneDx => &["CVE-2023-45853", "CVE-2", "GHSA-1"],
            Format::Table
            | Format::Json
            | Format::Sarif
            | Format::JUnit
            | Format::Summary
            | Format::Annotations
            | Format::Comment => &["CVE-2023-45853", "CVE-2", "GHSA-1", "aws-access-key"],
        };
        for name in names {
            assert!(text.contains(name), "{format:?} lacks {name}: {text}");
        }
    }
}

#[test]
fn a_doubt_is_shown_everywhere() {
    for format in [Format::Table, Format::Json, Format::Sarif, Format::JUnit, Format::Summary, Format::Annotations] {
        let text = with(&["no advisories of Debian 99".to_owned()], |report| report.write(format, Terminal::PLAIN));
        assert!(text.contains("no advisories of Debian 99"), "{format:?}: {text}");
    }
}

#[test]
fn long_comments_end_in_time() {
    let mut findings = Vec::new();
    for number in 0..3000 {
        let mut finding = sample::zlib();
        finding.id = format!("CVE-2026-{number}");
        findings.push(finding);
    }
    let inventory = Inventory::default();
    let report = Report {
        inventory: &inventory,
        findings: &findings,
        verdict: None,
        made: sample::time(sample::NOW),
        version: "0.1.0",
    };
    let text = report.write(Format::Comment, Terminal::PLAIN);
    assert!(text.len() <= 65_536 && text.contains(" more; the full report has them all"), "{}", text.len());
}
