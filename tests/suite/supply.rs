//! Row T10 of the attack table: what pipe is built from. `deny.toml` is held against `Cargo.lock`: banned packages, those
//! of which there may be one version, where all come from, and their licences.
//!
//! Advisories that came later need a network and are `cargo deny check advisories`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

fn read(name: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn texts<'a>(table: &'a toml::Table, section: &str, name: &str) -> Vec<&'a str> {
    table[section][name].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn texts_of<'a>(list: &'a toml::Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap()).collect()
}

/// What `deny` finds wrong with a lock file.
fn problems(deny: &toml::Table, lock: &toml::Table) -> Vec<String> {
    let text = |table: &toml::Table, name: &str| table.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    let allowed = texts(deny, "sources", "allow-registry");
    for package in lock["package"].as_array().unwrap() {
        let package = package.as_table().unwrap();
        let (name, version) = (text(package, "name").unwrap(), text(package, "version").unwrap());
        if let Some(source) = text(package, "source") {
            let is_allowed = allowed.iter().any(|registry| source == format!("registry+{registry}"));
            if !is_allowed || text(package, "checksum").is_none_or(|sum| sum.len() != 64) {
                problems.push(format!("{name} {version} comes from {source}, or without a checksum"));
            }
        }
        versions.entry(name).or_default().push(version);
    }
    for banned in deny["bans"]["deny"].as_array().unwrap() {
        let banned = banned.as_table().unwrap();
        let name = text(banned, "crate").unwrap();
        let mut there = versions.get(&name).cloned().unwrap_or_default();
        let only_several = banned.get("deny-multiple-versions").is_some_and(|value| value.as_bool() == Some(true));
        if only_several {
            there.retain(|version| !is_skipped(deny, &name, version));
        }
        if there.len() > usize::from(only_several) {
            let reason = text(banned, "reason").unwrap_or_else(|| "there may be one version of it".to_owned());
            problems.push(format!("{name} {}: {reason}", there.join(", ")));
        }
    }
    problems
}

/// Whether the list of versions that may stand beside another has that one: `name@1.2` is every 1.2.
fn is_skipped(deny: &toml::Table, name: &str, version: &str) -> bool {
    texts_of(&deny["bans"]["skip"], "crate").iter().any(|skipped| {
        skipped
            .split_once('@')
            .is_some_and(|(of, from)| of == name && format!("{version}.").starts_with(&format!("{from}.")))
    })
}

/// Whether a licence expression (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>) can be met.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = either(&words, allowed);
    assert!(rest.is_empty(), "`{expression}` is not understood at {rest:?}");
    met
}

fn either<'a, 'w>(words: &'a [&'w str], allowed: &[&str]) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = both(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (other, left) = both(after, allowed);
        (met, rest) = (met || other, left);
    }
    (met, rest)
}

fn both<'a, 'w>(words: &'a [&'w str], allowed: &[&str]) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (other, left) = one(after, allowed);
        (met, rest) = (met && other, left);
    }
    (met, rest)
}

fn one<'a, 'w>(words: &'a [&'w str], allowed: &[&str]) -> (bool, &'a [&'w str]) {
    match words {
        ["(", inside @ ..] => {
            let (met, rest) = either(inside, allowed);
            (met, rest.strip_prefix(&[")"]).unwrap_or(rest))
        }
        [licence, "WITH", exception, rest @ ..] => (allowed.contains(&&*format!("{licence} WITH {exception}")), rest),
        [licence, rest @ ..] => (allowed.contains(licence), rest),
        [] => (false, &[]),
    }
}

#[test]
fn t10_nothing_banned_is_in_the_lock_file() {
    assert_eq!(problems(&read("deny.toml"), &read("Cargo.lock")), Vec::<String>::new());
}

#[test]
fn t10_what_should_be_found_is_found() {
    let deny = read("deny.toml");
    let lock = |packages: &[(&str, &str)]| -> toml::Table {
        let source = "registry+https://github.com/rust-lang/crates.io-index";
        let package = |(name, more): &(&str, &str)| {
            let source = if more.contains("source") { String::new() } else { format!("source = '{source}'\n") };
            let version = if more.contains("version") { "" } else { "version = '1.0.0'\n" };
            let sum = "0".repeat(64);
            format!("[[package]]\nname = '{name}'\n{version}checksum = '{sum}'\n{source}{more}\n")
        };
        packages.iter().map(package).collect::<String>().parse().unwrap()
    };
    for (packages, expect) in [
        (&[("serde", ""), ("sha2", "")][..], &[][..]),
        (&[("serde_yml", "")], &["serde_yml 1.0.0: RUSTSEC-2025-0068"]),
        (&[("tokio-tar", "")], &["tokio-tar 1.0.0: RUSTSEC-2025-0111"]),
        (&[("sha2", ""), ("sha2", "")], &["sha2 1.0.0, 1.0.0: there may be one version"]),
        (&[("sha2", ""), ("sha2", "version = '0.11.1'")], &[]),
        (&[("sha2", ""), ("sha2", "version = '0.110.1'")], &["sha2 1.0.0, 0.110.1: there may be one version"]),
        (&[("syn", ""), ("syn", "")], &[]),
        (&[("a", "source = 'git+https://example.com/a'")], &["a 1.0.0 comes from git+https"]),
        (
            &[("a", "source = 'registry+https://example.com/index'")],
            &["a 1.0.0 comes from registry+https://example.com"],
        ),
    ] {
        let found = problems(&deny, &lock(packages));
        let as_expected = found.iter().zip(expect).all(|(found, expect)| found.starts_with(expect));
        assert!(found.len() == expect.len() && as_expected, "{packages:?}: {found:?}");
    }
}

#[test]
fn t10_licences_are_such_that_can_be_met() {
    let deny = read("deny.toml");
    let allowed = texts(&deny, "licenses", "allow");
    for (expression, expect) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("Unlicense/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
    ] {
        assert_eq!(is_met(expression, &allowed), expect, "{expression}");
    }
    // What is built here: what other systems would need may never have been fetched.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();
    let of = |name: &Json| {
        let own = exceptions.iter().filter(|it| it["crate"].as_str() == name.as_str());
        let own = own.flat_map(|it| it["allow"].as_array().unwrap()).map(|text| text.as_str().unwrap());
        allowed.iter().copied().chain(own).collect::<Vec<_>>()
    };
    let unmet: Vec<_> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| is_met(licence, &of(&package["name"]))))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert_eq!(unmet, Vec::<String>::new());
}
