//! The table of pairs that were checked by hand, and how findings are made of several sources.

use scanners::finding::{Finding, Severity, SeveritySource, Status};
use scanners::package::Ecosystem;

use crate::world::{cases, folder, index, matches, named, of_source, os, package};

/// Fewest pairs that the table has to hold, and fewest of each answer.
const PAIRS_MIN: usize = 60;
const ANSWERS_MIN: usize = 20;

#[test]
fn pairs_checked_by_hand() {
    let folder = folder();
    let index = index(&folder);
    let table = std::fs::read_to_string(cases().join("pairs.tsv")).expect("the table is there");
    let mut failures = Vec::new();
    let mut counts = [0, 0];
    for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let fields: Vec<_> = line.split('\t').collect();
        let [ecosystem, system, name, version, source, source_version, advisory, applies, fixed, why] = fields[..]
        else {
            panic!("{line:?} has {} fields", fields.len());
        };
        let ecosystem = *Ecosystem::ALL
            .iter()
            .find(|known| known.purl_type() == if ecosystem == "debian" { "deb" } else { ecosystem })
            .unwrap_or_else(|| panic!("{ecosystem} is an ecosystem"));
        let mut installed = package(ecosystem, name, version);
        if source != "-" {
            installed = of_source(installed, source, if source_version == "-" { "" } else { source_version });
        }
        let system = system.split_once(' ').map(|(id, version)| os(id, version));
        let found = matches(&index, system, vec![installed]);
        assert!(found.uncovered.is_empty() && found.unversioned.is_empty(), "{line}: {found:?}");
        let hits: Vec<&Finding> = found.findings.iter().filter(|finding| finding.is_named(advisory)).collect();
        let expected_fixed = if fixed == "-" { String::new() } else { fixed.to_owned() };
        let actual_fixed = hits.first().map(|finding| finding.fixed_versions.join(", ")).unwrap_or_default();
        counts[usize::from(applies == "yes")] += 1;
        if hits.len() != usize::from(applies == "yes") || actual_fixed != expected_fixed {
            failures.push(format!(
                "{name} {version} and {advisory}: expected {applies} [{fixed}] ({why}), found {} [{actual_fixed}]",
                hits.len()
            ));
        }
    }
    println!("pairs: {} apply, {} do not, {} failed", counts[1], counts[0], failures.len());
    assert!(counts[0] + counts[1] >= PAIRS_MIN && counts.iter().all(|count| *count >= ANSWERS_MIN), "{counts:?}");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn what_two_databases_describe_is_one_finding() {
    let folder = folder();
    let found = matches(&index(&folder), None, vec![package(Ecosystem::PyPi, "flask", "2.3.1")]);
    let flask = named(&found, "CVE-2023-30861");
    assert_eq!(flask.id, "CVE-2023-30861");
    assert_eq!(flask.aliases, ["GHSA-m2qf-hxjv-5gpq", "PYSEC-2023-62"]);
    assert_eq!((flask.severity, flask.severity_source), (Severity::High, Some(SeveritySource::Vendor)));
    assert_eq!(flask.cvss.as_ref().map(|cvss| cvss.score), Some(7.5));
    assert!(flask.summary.starts_with("Flask vulnerable"), "{}", flask.summary);
    assert_eq!(flask.fixed_versions, ["2.3.2"]);
    assert_eq!(flask.status, Status::Affected);
    assert_eq!(flask.published.map(|time| time.to_string()).as_deref(), Some("2023-05-01T19:22:20Z"));
    assert_eq!(flask.references[0], "https://nvd.nist.gov/vuln/detail/CVE-2023-30861");
    let subject = flask.package().expect("it is about a package");
    assert_eq!((subject.purl.as_str(), subject.layer), ("pkg:pypi/flask@2.3.1", Some(1)));
}

#[test]
fn an_erratum_dates_the_fix_of_the_tracker() {
    let folder = folder();
    let openssl = of_source(package(Ecosystem::Debian, "libssl3", "3.0.11-1~deb12u1"), "openssl", "");
    let found = matches(&index(&folder), Some(os("debian", "12")), vec![openssl]);
    let finding = named(&found, "CVE-2023-5363");
    assert_eq!(finding.aliases, ["DSA-5532-1"]);
    assert_eq!(finding.fix_available.map(|time| time.to_string()).as_deref(), Some("2023-10-24T00:00:00Z"));
    assert!(finding.summary.starts_with("Issue summary"), "{}", finding.summary);
    let unimportant = named(&found, "CVE-2007-6755");
    assert_eq!((unimportant.status, unimportant.severity), (Status::WillNotFix, Severity::Low));
}

#[test]
fn attacks_are_known() {
    let folder = folder();
    let found = matches(
        &index(&folder),
        Some(os("debian", "10")),
        vec![package(Ecosystem::Debian, "sudo", "1.8.27-1+deb10u2")],
    );
    let sudo = named(&found, "CVE-2021-3156");
    let kev = sudo.kev.as_ref().expect("it is in the catalogue");
    assert_eq!(kev.due.map(|date| date.to_string()).as_deref(), Some("2022-04-27"));
    assert_eq!(sudo.epss.map(|epss| (epss.score, epss.percentile)), Some((0.92346, 0.99713)));
    let mut imported = [Finding { kev: None, epss: None, ..sudo.clone() }];
    index(&folder).enrich(&mut imported).expect("a whole index");
    assert!(imported[0].kev.is_some() && imported[0].epss.is_some());
}

#[test]
fn what_the_index_knows_nothing_about_is_said() {
    let folder = folder();
    let packages = vec![
        package(Ecosystem::Debian, "sudo", "1"),
        package(Ecosystem::Debian, "curl", "1"),
        package(Ecosystem::Maven, "a:b", "1"),
        package(Ecosystem::Go, "example.org/main", "(devel)"),
    ];
    let found = matches(&index(&folder), Some(os("ubuntu", "24.04")), packages);
    assert_eq!(found.uncovered.len(), 2, "{:?}", found.uncovered);
    assert_eq!(found.uncovered[0].release.as_deref(), Some("ubuntu:24.04"));
    assert_eq!(found.uncovered[0].packages, 2);
    assert!(found.uncovered[0].to_string().contains("ubuntu:24.04"), "{}", found.uncovered[0]);
    assert_eq!(found.unversioned, ["pkg:golang/example.org/main@%28devel%29"]);
    let nameless = matches(&index(&folder), None, vec![package(Ecosystem::Debian, "sudo", "1")]);
    assert!(nameless.uncovered[0].to_string().contains("os-release"), "{}", nameless.uncovered[0]);
}
