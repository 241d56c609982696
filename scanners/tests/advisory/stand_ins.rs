//! The stand-in advisories of `services/advisories`: what its page says of planted packages is what the gate says.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use scanners::advisory::Database;
use scanners::package::Ecosystem;
use scanners::policy::{BaselineState, Database as Compared, Input, Outcome, decide, read};
use tempfile::TempDir;
use workflow::source::SourceFile;

use crate::world::{inventory, named, of_source, os, package};

/// The table has that many rows at least.
const ROWS_MIN: usize = 8;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/advisories")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `` | npm `lodash` 4.17.11 | CVE-2019-10744, critical | 4.17.12 | fail | ``
struct Row {
    planted: scanners::package::Package,
    advisory: String,
    fixed: String,
    verdict: String,
}

fn rows() -> Vec<Row> {
    let page = text("README.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let [planted, advisory, fixed, verdict] = &cells[..] else { panic!("{line} has {} cells", cells.len()) };
        let [ecosystem, name, version] = planted.split('`').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{planted} is no package")
        };
        let planted = match ecosystem {
            "npm" => package(Ecosystem::Npm, name, version),
            "PyPI" => package(Ecosystem::PyPi, name, version),
            "Debian 12" => of_source(package(Ecosystem::Debian, name, version), name, version),
            other => panic!("{other} is no ecosystem of the page"),
        };
        let advisory = advisory.split(',').next().unwrap_or_default().to_owned();
        Row { planted, advisory, fixed: fixed.clone(), verdict: verdict.clone() }
    };
    rows.map(row).collect()
}

#[test]
fn planted_packages_get_the_verdicts_of_the_page() {
    let scratch = TempDir::new().expect("a scratch folder");
    let database = Database::at(&folder()).with_index(&scratch.path().join("stand-ins.index"));
    let index = database.open(Timestamp::now()).expect("an index of the stand-ins");
    let policy = read(&SourceFile::new("gate.yml", text("gate.yml"))).expect("the policy is right");
    let decided = |planted: scanners::package::Package| {
        let inventory = inventory(Some(os("debian", "12")), vec![planted]);
        let matches = index.matching(&inventory).expect("the index is whole");
        assert!(matches.uncovered.is_empty(), "{matches:?}");
        // As on a machine where the files were checked out long ago.
        let updated = Timestamp::now() - SignedDuration::from_hours(24 * 365);
        let verdict = decide(&Input {
            policy: &policy,
            inventory: &inventory,
            findings: &matches.findings,
            baseline: BaselineState::NotAsked,
            statements: &[],
            known: None,
            database: Compared::Used { digest: index.digest(), updated },
            doubts: &[],
            dockerfile: None,
            now: Timestamp::now(),
        });
        (matches, verdict)
    };
    let rows = rows();
    assert!(rows.len() >= ROWS_MIN, "the page has {} rows", rows.len());
    for Row { planted, advisory, fixed, verdict: expected } in rows {
        let (matches, verdict) = decided(planted.clone());
        let outcome = if expected == "fail" { Outcome::Fail } else { Outcome::Pass };
        assert_eq!(verdict.outcome, outcome, "{planted:?}: {verdict:?}");
        assert_eq!(named(&matches, &advisory).fixed_versions, std::slice::from_ref(&fixed), "{planted:?}");
        let mut mended = planted;
        mended.version.clone_from(&fixed);
        if let Some(source) = &mut mended.source {
            source.version.clone_from(&fixed);
        }
        let (matches, verdict) = decided(mended.clone());
        assert!(!matches.findings.iter().any(|finding| finding.is_named(&advisory)), "{mended:?}");
        let is_other = matches.findings.iter().all(|finding| finding.package().is_some());
        assert!(verdict.outcome == Outcome::Pass && is_other, "{mended:?}: {verdict:?}");
    }
}
