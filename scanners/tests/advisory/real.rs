//! The real advisories in `$PIPE_CONFORMANCE/advisories` (default `../shared/conformance`), and for Python an independent
//! matcher: PyPA's `packaging`, with which pip-audit compares.
//!
//! The archives there are unpacked with `xz`. The interpreter is `$PIPE_PYTHON` or `python3`; without the package `packaging`
//! that comparison is reported as skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use scanners::advisory::{Database, Index};
use scanners::package::{Ecosystem, Package};
use tempfile::TempDir;

use crate::world::{conformance, inventory, matches, named, now, os, package, skipped};

/// Unpacks archives by their names without endings; all of them when there are no names.
fn unpacked(names: &[&str]) -> Option<TempDir> {
    let from = conformance("advisories")?;
    let folder = TempDir::new().expect("a scratch folder");
    for entry in std::fs::read_dir(&from).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".jsonl.xz") else { continue };
        if names.is_empty() || names.contains(&stem) {
            let target = File::create(folder.path().join(format!("{stem}.jsonl"))).expect("a file");
            let status = Command::new("xz").arg("-dc").arg(entry.path()).stdout(target).status();
            assert!(status.expect("`xz` is installed").success(), "{name} is an archive");
        }
    }
    std::fs::copy(from.join("kev.json"), folder.path().join("kev.json")).expect("the catalogue is there");
    Some(folder)
}

fn index(folder: &Path) -> Index {
    Database::at(folder).open(now()).expect("an index")
}

#[test]
fn everything_there_is_taken_in() {
    let Some(folder) = unpacked(&[]) else { return };
    let index = index(folder.path());
    let header = index.header();
    for source in &header.sources {
        println!(
            "{}: {} taken in, {} withdrawn, {} beside, {} unreadable",
            source.name, source.records, source.withdrawn, source.beside, source.unreadable
        );
        assert_eq!(source.unreadable, 0, "{source:?}");
        assert!(source.records > 400, "{source:?}");
    }
    println!("{} advisories, {} rows, {:?}", header.advisories, header.rows, header.releases);
    assert!(index.verify().is_ok());
    let installed = vec![
        package(Ecosystem::Rpm, "openssl-libs", "1:3.0.7-16.el9_2"),
        package(Ecosystem::PyPi, "Django", "2.2"),
        package(Ecosystem::Go, "stdlib", "go1.20.1"),
        package(Ecosystem::Cargo, "time", "0.1.43"),
        package(Ecosystem::RubyGems, "actionpack", "5.2.4.2"),
        package(Ecosystem::Packagist, "symfony/http-foundation", "v4.4.0"),
        package(Ecosystem::Npm, "bassmaster", "1.5.1"),
    ];
    let found = matches(&index, Some(os("almalinux", "9.2")), installed);
    assert!(found.uncovered.is_empty(), "{:?}", found.uncovered);
    for package in ["openssl-libs", "Django", "stdlib", "time", "actionpack", "symfony/http-foundation", "bassmaster"] {
        let of = found.findings.iter().filter(|finding| finding.package().is_some_and(|of| of.name == package));
        println!("{package}: {} findings", of.clone().count());
        assert!(of.count() > 0, "{package}");
    }
    assert_eq!(named(&found, "CVE-2020-8166").fixed_versions, ["5.2.4.3", "6.0.3.1"]);
    assert_eq!(named(&found, "CVE-2014-7205").fixed_versions, ["1.5.2"]);
}

/// Fewest pairs of a package and a version that are compared.
const PAIRS_MIN: usize = 10_000;

#[test]
fn python_packages_are_matched_as_by_packaging() {
    let python = std::env::var("PIPE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import packaging.version"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        let why = format!("{python} has no package `packaging` (PIPE_PYTHON names another interpreter)");
        skipped("python_packages_are_matched_as_by_packaging", &why);
        return;
    }
    let Some(folder) = unpacked(&["pypi"]) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advisory/packaging_matcher.py");
    let output = Command::new(&python).arg(script).arg(folder.path().join("pypi.jsonl")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
    let mut expected: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, version, ids] = fields[..] else { panic!("{line:?}") };
        expected.insert((name, version), ids.split(',').filter(|id| !id.is_empty()).collect());
    }
    assert!(expected.len() >= PAIRS_MIN, "only {} pairs", expected.len());
    let packages: Vec<Package> =
        expected.keys().map(|(name, version)| package(Ecosystem::PyPi, name, version)).collect();
    let found = index(folder.path()).matching(&inventory(None, packages)).expect("a whole index");
    let mut actual: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for finding in &found.findings {
        let of = finding.package().expect("it is about a package");
        let names = std::iter::once(&finding.id).chain(&finding.aliases).filter(|name| name.starts_with("PYSEC-"));
        actual.entry((&of.name, &of.version)).or_default().extend(names.map(String::as_str));
    }
    let mut failures = Vec::new();
    let mut positive = 0;
    for (pair, ids) in &expected {
        positive += ids.len();
        let ours = actual.remove(pair).unwrap_or_default();
        if ours != *ids {
            let missing: Vec<_> = ids.difference(&ours).collect();
            let more: Vec<_> = ours.difference(ids).collect();
            failures.push(format!("{} {}: missing {missing:?}, more {more:?}", pair.0, pair.1));
        }
    }
    println!("packaging: {} versions, {positive} findings, {} differ", expected.len(), failures.len());
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures[..failures.len().min(40)].join("\n"));
}
