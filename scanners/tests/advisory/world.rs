//! What the tests of advisories share: a database of the cases, and packages in a few words.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use scanners::advisory::{Database, Index, Matches};
use scanners::finding::Finding;
use scanners::package::{Ecosystem, Inventory, Location, Os, Package, SourcePackage};
use tempfile::TempDir;

/// The folder of cases.
pub(crate) fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/advisories")
}

/// Says which test did not run, and why.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn skipped(test: &str, why: &str) {
    eprintln!("{test}: SKIPPED, {why}");
}

/// The folder of what others answered, or none where the tests may go without it.
pub(crate) fn conformance(name: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("PIPE_CONFORMANCE").map_or_else(default, PathBuf::from).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    if std::env::var("PIPE_CONFORMANCE_OPTIONAL").is_ok_and(|value| value == "1") {
        skipped(&format!("conformance {name}"), &format!("{} is not there", folder.display()));
        return None;
    }
    panic!("{} is not there. Point PIPE_CONFORMANCE at the folder that holds {name}/", folder.display());
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A folder with the files of the cases.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().expect("a scratch folder");
    for name in ["records.jsonl", "debian-tracker.json", "kev.json", "epss.csv"] {
        std::fs::copy(cases().join(name), folder.path().join(name)).expect("the cases are there");
    }
    folder
}

pub(crate) fn index(folder: &TempDir) -> Index {
    Database::at(folder.path()).open(now()).expect("an index of the cases")
}

pub(crate) fn package(ecosystem: Ecosystem, name: &str, version: &str) -> Package {
    Package {
        ecosystem,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: String::new(),
        source: None,
        licences: Vec::new(),
        locations: vec![Location { layer: Some(1), path: "var/lib".to_owned(), line: None }],
    }
}

pub(crate) fn of_source(package: Package, name: &str, version: &str) -> Package {
    Package { source: Some(SourcePackage { name: name.to_owned(), version: version.to_owned() }), ..package }
}

pub(crate) fn os(id: &str, version: &str) -> Os {
    Os { id: id.to_owned(), like: Vec::new(), version: version.to_owned(), codename: String::new() }
}

pub(crate) fn inventory(os: Option<Os>, packages: Vec<Package>) -> Inventory {
    Inventory { target: "test".to_owned(), os, packages, ..Inventory::default() }
}

pub(crate) fn matches(index: &Index, os: Option<Os>, packages: Vec<Package>) -> Matches {
    index.matching(&inventory(os, packages)).expect("a whole index")
}

/// The one finding of that name.
pub(crate) fn named<'a>(matches: &'a Matches, name: &str) -> &'a Finding {
    let mut found = matches.findings.iter().filter(|finding| finding.is_named(name));
    let first = found.next().unwrap_or_else(|| panic!("no finding is named {name}: {:#?}", matches.findings));
    assert!(found.next().is_none(), "{name} is two findings: {:#?}", matches.findings);
    first
}
