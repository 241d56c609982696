//! Lays layers over each other: what is still there on top, which layer brought it, and what the operating system owns.
//!
//! OCI image-spec, layer.md: a path of an upper layer hides the same path below and, unless both are directories, all
//! beneath it; a whiteout hides likewise; an opaque directory hides all beneath it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::facts::{Facts, Found, PathDigest, Stated};
use crate::package::{Ecosystem, Inventory, Location, Os, Package, Unread};

/// Places of one package that are listed; more help nobody.
const LOCATIONS_MAX: usize = 200;

/// Digests are spread already.
#[derive(Debug, Default, Clone, Copy)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = PathDigest::of(bytes);
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

type Digests = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// What the layers above hide.
#[derive(Debug, Default)]
struct Above {
    covered: Digests,
    directories: Digests,
    opaque: Digests,
}

impl Above {
    fn hides(&self, path: &str) -> bool {
        let mut digest = PathDigest::new();
        if self.opaque.contains(&digest.value()) {
            return true;
        }
        for byte in path.bytes() {
            if byte == b'/' {
                let folder = digest.value();
                if self.covered.contains(&folder) || self.opaque.contains(&folder) {
                    return true;
                }
            }
            digest = digest.then(byte);
        }
        self.covered.contains(&digest.value()) || self.directories.contains(&digest.value())
    }

    fn add(&mut self, facts: &Facts) {
        self.covered.extend(&facts.covered);
        self.directories.extend(&facts.directories);
        self.opaque.extend(&facts.opaque);
    }
}

/// Puts what the layers say into an inventory. `is_layered` is whether they are layers of an image, lowest first.
pub(crate) fn merge(layers: &[Facts], is_layered: bool, inventory: &mut Inventory) {
    let visible = visible(layers);
    let mut versions: HashMap<&str, Vec<(usize, &Found)>> = HashMap::new();
    for (layer, facts) in layers.iter().enumerate() {
        for found in &facts.found {
            versions.entry(&found.path).or_default().push((layer, found));
        }
    }
    let mut owned = Digests::default();
    owned.extend(visible.iter().flat_map(|(_, found)| &found.said.owned));
    let mut packages: BTreeMap<(Ecosystem, &str, &str, &str), Package> = BTreeMap::new();
    for (layer, found) in &visible {
        let is_owned = is_owned(&found.path, &owned);
        for stated in &found.said.packages {
            if is_owned && !stated.ecosystem.is_os() {
                continue;
            }
            let older = versions.get(found.path.as_str()).map(Vec::as_slice).unwrap_or_default();
            let layer = is_layered.then(|| brought_by(stated, *layer, older));
            let key = (stated.ecosystem, stated.name.as_str(), stated.version.as_str(), stated.architecture.as_str());
            let package = packages.entry(key).or_insert_with(|| package(stated));
            let location = location(stated, &found.path, layer);
            if package.locations.len() < LOCATIONS_MAX && !package.locations.contains(&location) {
                package.locations.push(location);
            }
            if package.licences.is_empty() {
                package.licences.clone_from(&stated.licences);
            }
        }
    }
    for package in packages.values_mut() {
        package.locations.sort();
    }
    inventory.packages = packages.into_values().collect();
    inventory.os = os(&visible);
    for (layer, facts) in layers.iter().enumerate() {
        let layer = is_layered.then_some(layer);
        inventory.unread.extend(facts.unread.iter().map(|unread| Unread { layer, ..unread.clone() }));
    }
}

/// What no layer above hides, with its layer.
fn visible(layers: &[Facts]) -> Vec<(usize, &Found)> {
    let mut above = Above::default();
    let mut visible = Vec::new();
    for (layer, facts) in layers.iter().enumerate().rev() {
        visible.extend(facts.found.iter().filter(|found| !above.hides(&found.path)).map(|found| (layer, found)));
        // The lowest hides nothing, and is mostly the largest.
        if layer > 0 {
            above.add(facts);
        }
    }
    visible
}

/// The lowest layer since which the file has named this package: a database is written anew by each installation.
fn brought_by(stated: &Stated, layer: usize, versions: &[(usize, &Found)]) -> usize {
    let mut brought = layer;
    for (older, found) in versions.iter().rev().filter(|(older, _)| *older < layer) {
        if !found.said.packages.iter().any(|package| package.is_same(stated)) {
            break;
        }
        brought = *older;
    }
    brought
}

/// Whether a package of the operating system brought the file. Where `/bin` is `/usr/bin`, lists may use the short name.
fn is_owned(path: &str, owned: &Digests) -> bool {
    let short =
        path.strip_prefix("usr/").filter(|rest| ["bin/", "sbin/", "lib"].iter().any(|top| rest.starts_with(top)));
    owned.contains(&PathDigest::of(path.as_bytes()))
        || short.is_some_and(|short| owned.contains(&PathDigest::of(short.as_bytes())))
}

fn package(stated: &Stated) -> Package {
    Package {
        ecosystem: stated.ecosystem,
        name: stated.name.clone(),
        version: stated.version.clone(),
        architecture: stated.architecture.clone(),
        source: stated.source.clone(),
        licences: stated.licences.clone(),
        locations: Vec::new(),
    }
}

fn location(stated: &Stated, path: &str, layer: Option<usize>) -> Location {
    let path = if stated.within.is_empty() { path.to_owned() } else { format!("{path}!{}", stated.within) };
    Location { layer, path, line: stated.line }
}

/// `/etc/os-release` before `/usr/lib/os-release`.
fn os(visible: &[(usize, &Found)]) -> Option<Os> {
    let of =
        |path: &str| visible.iter().find(|(_, found)| found.path == path).and_then(|(_, found)| found.said.os.clone());
    of("etc/os-release").or_else(|| of("usr/lib/os-release"))
}
