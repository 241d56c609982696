//! pnpm's lock files, versions 5 to 9 (<https://github.com/pnpm/spec/tree/master/lockfile>).

use std::collections::HashSet;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_yaml::Value as Yaml;

use super::facts::{Said, Stated};
use super::lines::LineFinder;
use crate::package::Ecosystem;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    #[serde(default)]
    lockfile_version: Option<Yaml>,
    #[serde(default)]
    importers: Option<IndexMap<String, Importer>>,
    #[serde(default)]
    packages: Option<IndexMap<String, Package>>,
    /// Version 9: what each depends on, apart from what it is.
    #[serde(default)]
    snapshots: Option<IndexMap<String, Snapshot>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Importer {
    #[serde(default)]
    dependencies: Option<IndexMap<String, Yaml>>,
    #[serde(default)]
    optional_dependencies: Option<IndexMap<String, Yaml>>,
}

#[derive(Deserialize, Default)]
struct Package {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    dev: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    #[serde(default)]
    dependencies: Option<IndexMap<String, String>>,
    #[serde(default)]
    optional_dependencies: Option<IndexMap<String, String>>,
}

pub(crate) fn parse(text: &[u8], development: bool) -> Said {
    let lock: Lock = match serde_yaml::from_slice(text) {
        Ok(lock) => lock,
        Err(error) => return Said::unread(format!("it is not pnpm's lock file: {error}")),
    };
    let version = lock.lockfile_version.as_ref().and_then(major).unwrap_or(5.0);
    let shipped = match &lock.snapshots {
        Some(snapshots) if !development => Some(reachable(lock.importers.as_ref(), snapshots)),
        Some(_) | None => None,
    };
    let mut lines = LineFinder::new(text);
    lines.next("\npackages:");
    let mut packages = Vec::new();
    for (key, package) in lock.packages.into_iter().flatten() {
        let line = lines.next(&key);
        if package.dev == Some(true) && !development {
            continue;
        }
        if shipped.as_ref().is_some_and(|shipped| !shipped.contains(without_peers(&key))) {
            continue;
        }
        let named = split(&key, version);
        let name = package.name.or_else(|| named.map(|(name, _)| name.to_owned()));
        let number = package.version.or_else(|| named.map(|(_, version)| version.to_owned()));
        let (Some(name), Some(number)) = (name, number) else { continue };
        // Files, links and repositories that state no version of their own.
        if number.contains(':') || number.contains('/') {
            continue;
        }
        packages.push(Stated::new(Ecosystem::Npm, name, number).at_line(line));
    }
    Said::packages(packages)
}

/// `5.4`, `'6.0'`, `'9.0'`.
fn major(version: &Yaml) -> Option<f64> {
    version.as_f64().or_else(|| version.as_str()?.parse().ok())
}

/// Name and version: `/a/1.0.0_peer` (5), `/a@1.0.0(peer)` (6), `a@1.0.0` (9).
fn split(key: &str, version: f64) -> Option<(&str, &str)> {
    let key = key.strip_prefix('/').unwrap_or(key);
    if version < 6.0 {
        let (name, version) = key.rsplit_once('/')?;
        return Some((name, version.split('_').next().unwrap_or(version)));
    }
    let key = without_peers(key);
    let at = key.get(1..)?.find('@')? + 1;
    Some((key.get(..at)?, key.get(at + 1..)?))
}

fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// What the projects need to run, by `name@version` without peers.
fn reachable(
    importers: Option<&IndexMap<String, Importer>>,
    snapshots: &IndexMap<String, Snapshot>,
) -> HashSet<String> {
    let mut seen = HashSet::new();
    let mut waiting: Vec<String> = Vec::new();
    for importer in importers.into_iter().flat_map(IndexMap::values) {
        for (name, value) in
            importer.dependencies.iter().chain(&importer.optional_dependencies).flat_map(IndexMap::iter)
        {
            let version = value.as_str().or_else(|| value.get("version").and_then(Yaml::as_str));
            waiting.extend(version.map(|version| key_of(name, version, snapshots)));
        }
    }
    while let Some(key) = waiting.pop() {
        if !seen.insert(key.clone()) {
            continue;
        }
        let Some(snapshot) = snapshots.get(&key) else { continue };
        for (name, version) in
            snapshot.dependencies.iter().chain(&snapshot.optional_dependencies).flat_map(IndexMap::iter)
        {
            waiting.push(key_of(name, version, snapshots));
        }
    }
    let mut packages = HashSet::with_capacity(seen.len());
    packages.extend(snapshots.keys().filter(|key| seen.contains(*key)).map(|key| without_peers(key).to_owned()));
    packages
}

/// A version, or for an alias the whole key.
fn key_of(name: &str, version: &str, snapshots: &IndexMap<String, Snapshot>) -> String {
    if snapshots.contains_key(version) { version.to_owned() } else { format!("{name}@{version}") }
}
